//! Frames that cannot be done: each is answered, nothing is stored, and the socket lives.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{open, two_in};
use crate::harness::App;

const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

on_both! {
    async fn a_frame_that_names_no_room_of_the_user_s_gets_an_error(db) {
        let app = App::start(db).await;
        let (ann, bob, _) = two_in(&app, ["general"]).await;
        let foreign = bob.room("bob's").await;
        let (mut a, _) = open(&ann).await;
        let (mut b, _) = open(&bob).await;
        for kind in ["message", "typing", "history"] {
            let nowhere = if kind == "typing" { "not_a_member" } else { "room_not_found" };
            for (room, code) in [
                (None, "invalid_frame"),
                (Some(json!(null)), "invalid_frame"),
                (Some(json!("general")), "invalid_frame"),
                (Some(json!("")), "invalid_frame"),
                (Some(json!(format!("{foreign}0"))), "invalid_frame"),
                (Some(json!(7)), "invalid_frame"),
                (Some(json!([foreign])), "invalid_frame"),
                (Some(json!(foreign)), "not_a_member"),
                (Some(json!(NOWHERE)), nowhere),
            ] {
                for reference in [json!(7), json!("seven")] {
                    let mut frame = json!({"type": kind, "message": "hi", "ref": reference});
                    if let Some(room) = &room {
                        frame["room_id"] = room.clone();
                    }
                    a.send(frame.clone()).await;
                    let told = a.expect("error").await;
                    assert_eq!(told["code"], code, "{frame}");
                    assert_eq!(told["ref"], reference, "{frame}");
                    let named = room.as_ref().filter(|_| code != "invalid_frame");
                    assert_eq!(told.get("room_id"), named, "{frame}");
                    a.quiet().await;
                }
            }
        }
        b.quiet().await;
        assert_eq!(app.place.count("select count(*) from messages").await, 0);
    }

    async fn a_message_that_is_none_gets_an_error_that_says_where(db) {
        let app = App::start(db).await;
        let (ann, bob, [room]) = two_in(&app, ["general"]).await;
        let (mut a, _) = open(&ann).await;
        let (mut b, _) = open(&bob).await;
        for (fields, code, text) in [
            (json!({"message": " "}), "empty_message", "Message is empty."),
            (json!({"type": "message"}), "empty_message", "Message is empty."),
            (json!({"message": 7}), "message_invalid", "Message must be a string."),
            (json!({"message": "hi", "nonce": 7}), "message_invalid", "A nonce must be a string."),
            (
                json!({"type": "history", "before": "x"}),
                "invalid_frame",
                "before must be a whole number from 0.",
            ),
            (json!({"type": "dance"}), "unknown_type", "Unknown frame type: dance"),
        ] {
            let mut frame = fields;
            (frame["room_id"], frame["ref"]) = (json!(room), json!("r"));
            a.send(frame).await;
            let expected = json!({
                "type": "error", "room_id": room, "message": text, "code": code, "ref": "r",
            });
            assert_eq!(a.next().await, expected);
            a.quiet().await;
        }
        let bad_ref = json!({"room_id": room, "message": "hi", "ref": [1]});
        for (frame, code) in [
            (Message::text(""), "empty_frame"),
            (Message::binary(vec![1]), "empty_frame"),
            (Message::text("{"), "invalid_json"),
            (Message::text("[]"), "invalid_frame"),
            (Message::text(bad_ref.to_string()), "invalid_frame"),
        ] {
            a.send_raw(frame).await;
            let told = a.expect("error").await;
            assert_eq!((&told["code"], told.get("room_id")), (&json!(code), None));
            a.quiet().await;
        }
        b.quiet().await;
        assert_eq!(app.place.count("select count(*) from messages").await, 0);
    }
}
