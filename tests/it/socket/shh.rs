//! The old front end's dialect, `compat.shh_frontend`.

use serde_json::json;

use super::{enter, two};
use crate::harness::App;

const SHH: &[(&str, &str)] = &[("compat.shh_frontend", "true")];

on_both! {
    async fn a_new_message_is_a_message_and_its_user_an_address(db) {
        let app = App::start_with(db, SHH).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        a.send(json!({"message": "hi", "ref": 1})).await;
        let (one, two) = (a.next().await, a.next().await);
        let (ack, message) = if one["type"] == "ack" { (one, two) } else { (two, one) };
        let expected = json!({
            "type": "message", "id": 1, "seq": 1, "room_id": room, "user": "ann@example.org",
            "username": "ann", "user_id": ann.id, "message": "hi",
            "timestamp": ack["timestamp"], "nonce": null,
        });
        assert_eq!(message, expected);
        assert_eq!(b.next().await, expected);
        a.send(json!({"message": "typing"})).await;
        let expected = json!({
            "type": "typing", "room_id": room, "user": "ann@example.org", "username": "ann",
        });
        assert_eq!(b.next().await, expected);
        let page = bob.get(&format!("/messages/{room}/")).await.expect(200);
        assert_eq!(page["type"], "message_history");
        assert_eq!(page["messages"][0]["user"], "ann@example.org");
        let sent = bob.say(&room, "by REST").await;
        assert_eq!(sent["user"], "bob@example.org");
        let got = b.next().await;
        assert_eq!((&got["type"], &got["user"]), (&json!("message"), &json!("bob@example.org")));
    }

    async fn a_server_that_stops_drops_the_socket_without_a_close_frame(db) {
        let app = App::start_with(db, SHH).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.send(json!({"message": "hi", "ref": 1})).await;
        a.send(json!({"type": "ping"})).await;
        let mut frames = Vec::new();
        while frames.last() != Some(&json!("pong")) {
            frames.push(a.next().await["type"].clone());
        }
        app.begin_to_stop();
        let code = loop {
            match a.next_or_close().await {
                Ok(frame) => frames.push(frame["type"].clone()),
                Err(code) => break code,
            }
        };
        assert_eq!(code, 1006);
        assert!(frames.contains(&json!("ack")), "{frames:?}");
        app.stop().await;
    }

    async fn other_ends_have_their_codes(db) {
        let app = App::start_with(db, SHH).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        bob.post("/logout/", json!({})).await.expect(200);
        assert_eq!(b.next_or_close().await, Err(4002));
        ann.delete(&format!("/room/delete/{room}/")).await.expect(200);
        assert_eq!(a.next_or_close().await, Err(4004));
    }
}
