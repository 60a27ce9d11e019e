//! Messages, acks and history on a socket.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{as_frame, enter, ids, two};
use crate::harness::App;

on_both! {
    async fn the_newest_history_comes_first(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = ann.socket(&room).await;
        let first = a.expect("message_history").await;
        let keys: Vec<_> = first.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["type", "room_id", "messages", "has_more", "last_id", "last_seq"]);
        let empty = json!({
            "type": "message_history", "room_id": room, "messages": [],
            "has_more": false, "last_id": 0, "last_seq": 0,
        });
        assert_eq!(first, empty);
        a.say_numbers(1..=60, 0).await;
        let mut b = bob.socket(&room).await;
        let page = b.expect("message_history").await;
        assert_eq!(ids(&page), (11..=60).collect::<Vec<_>>());
        assert_eq!(page, bob.get(&format!("/messages/{room}/")).await.expect(200));
        b.quiet().await;
    }

    async fn a_message_reaches_every_socket_of_its_room_and_no_other(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let other = ann.room("other").await;
        let mut here = [
            enter(&ann, &room).await,
            enter(&ann, "GENERAL").await,
            enter(&bob, &room.to_uppercase().replace('-', "")).await,
        ];
        let mut elsewhere = enter(&ann, &other).await;

        here[0].send(json!({"message": "by socket", "nonce": "n"})).await;
        let mut frames = Vec::new();
        for socket in &mut here {
            frames.push(socket.expect("chat_message").await);
        }
        let keys: Vec<_> = frames[0].as_object().expect("an object").keys().collect();
        let expected = [
            "type", "id", "seq", "room_id", "user", "username", "user_id", "message", "timestamp",
            "nonce",
        ];
        assert_eq!(keys, expected);
        let stored = ann.history(&room).await;
        assert_eq!(stored[0]["message"], "by socket");
        assert_eq!(stored[0]["nonce"], "n");
        assert_eq!(stored[0]["user"], "ann");
        assert_eq!(frames, vec![as_frame(&stored[0]); 3]);

        let sent = bob.say(&room, "by REST").await;
        for socket in &mut here {
            assert_eq!(socket.expect("chat_message").await, as_frame(&sent));
            socket.quiet().await;
        }
        elsewhere.quiet().await;
    }

    async fn an_ack_carries_the_ref_and_says_where_the_message_is(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        let references =
            [json!(7), json!(0), json!(-1.5), json!("seven"), json!(""), json!("x".repeat(128))];
        for (id, reference) in (1..).zip(references) {
            let frame = json!({"type": "message", "message": "hi", "ref": reference});
            let (ack, message) = a.say_and_hear(frame).await;
            let expected = json!({
                "type": "ack", "ref": reference, "id": id, "seq": id,
                "timestamp": message["timestamp"], "duplicate": false,
            });
            assert_eq!(ack, expected);
            assert_eq!(b.expect("chat_message").await, message);
            b.quiet().await;
        }
        a.quiet().await;
    }

    async fn without_a_ref_there_is_no_ack(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        for frame in [
            json!({"message": "hi"}),
            json!({"type": "message", "message": "hi", "nonce": "n"}),
            json!({"message": "hi", "ref": null}),
        ] {
            a.send(frame).await;
            a.expect("chat_message").await;
            a.quiet().await;
        }
        // Whoever waits for an ack that cannot come is told at once.
        for reference in [json!([7]), json!({"a": 7}), json!(true), json!("x".repeat(129))] {
            a.send(json!({"message": "hi", "ref": reference})).await;
            let text = "ref must be a number or a string of up to 128 bytes.";
            let told = json!({"type": "error", "message": text, "code": "invalid_frame"});
            assert_eq!(a.next().await, told);
            a.quiet().await;
        }
    }

    async fn a_duplicate_is_acked_and_told_to_nobody(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        let frame = json!({"message": "first", "nonce": "n", "ref": 1});
        let (ack, message) = a.say_and_hear(frame).await;
        assert_eq!(b.expect("chat_message").await, message);
        for text in ["first", "second"] {
            a.send(json!({"message": text, "nonce": "n", "ref": 2})).await;
            let mut expected = ack.clone();
            expected["ref"] = json!(2);
            expected["duplicate"] = json!(true);
            assert_eq!(a.next().await, expected);
            a.quiet().await;
            b.quiet().await;
        }
        // Without a ref there is nothing at all to tell, and the next message is the next one.
        a.send(json!({"message": "third", "nonce": "n"})).await;
        let (ack, _) = a.say_and_hear(json!({"message": "next", "ref": 3})).await;
        assert_eq!((&ack["id"], &ack["seq"]), (&json!(2), &json!(2)));
        assert_eq!(b.expect("chat_message").await["message"], "next");
    }

    async fn two_sockets_with_one_nonce_store_one_message(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut sockets = [enter(&ann, &room).await, enter(&ann, &room).await];
        for n in 0..20 {
            let nonce = format!("n{n}");
            for socket in &mut sockets {
                let frame = json!({"message": "hi", "nonce": nonce, "ref": nonce});
                socket.send(frame).await;
            }
            let mut duplicates = 0;
            for socket in &mut sockets {
                let (ack, message) = {
                    let (one, two) = (socket.next().await, socket.next().await);
                    if one["type"] == "ack" { (one, two) } else { (two, one) }
                };
                assert_eq!((&ack["ref"], &ack["id"]), (&json!(nonce), &json!(n + 1)));
                assert_eq!((&message["nonce"], &message["id"]), (&json!(nonce), &json!(n + 1)));
                duplicates += usize::from(ack["duplicate"] == true);
            }
            assert_eq!(duplicates, 1);
        }
        assert_eq!(ann.history(&room).await.len(), 20);
    }

    async fn a_history_frame_gives_older_pages(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=210, 0).await;
        let mut a = enter(&ann, &room).await;
        for (frame, first, last, has_more) in [
            (json!({"type": "history"}), 161, 210, true),
            (json!({"type": "history", "before": null, "limit": null}), 161, 210, true),
            (json!({"type": "history", "before": 12, "limit": 5}), 7, 11, true),
            (json!({"type": "history", "before": 12}), 1, 11, false),
            (json!({"type": "history", "before": 6, "limit": 5}), 1, 5, false),
            (json!({"type": "history", "limit": 500}), 11, 210, true),
            (json!({"type": "history", "limit": i64::MAX}), 11, 210, true),
            (json!({"type": "history", "limit": 0}), 210, 210, true),
            (json!({"type": "history", "before": i64::MAX, "limit": 1}), 210, 210, true),
        ] {
            a.send(frame.clone()).await;
            let page = a.expect("message_history").await;
            assert_eq!(ids(&page), (first..=last).collect::<Vec<_>>(), "{frame}");
            assert_eq!(page["has_more"], has_more, "{frame}");
            assert_eq!(page["last_id"], last, "{frame}");
            assert_eq!(page["last_seq"], last, "{frame}");
        }
        for nothing in [0, 1] {
            a.send(json!({"type": "history", "before": nothing})).await;
            let page = a.expect("message_history").await;
            assert_eq!((&page["messages"], &page["has_more"]), (&json!([]), &json!(false)));
        }
        a.quiet().await;
    }

    async fn every_text_arrives_as_it_was_sent(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let longest = "é".repeat(8192);
        for text in [
            " a\n\tb ", "👩‍👩‍👧‍👦", "שלום\u{202b}", "e\u{301}\u{10ffff}\u{feff}",
            "typing ", "Typing", "\\u0000", longest.as_str(),
        ] {
            a.send(json!({"message": text})).await;
            assert_eq!(a.expect("chat_message").await["message"], text);
        }
        // However it is escaped.
        let raw = r#"{"me\u0073sage":"\uD83D\uDC4B\u0068i\/"}"#;
        a.send_raw(Message::text(raw)).await;
        assert_eq!(a.expect("chat_message").await["message"], "👋hi/");
    }
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_pings_between() {
    let app = App::start(crate::harness::Db::Sqlite).await;
    let (ann, _, room) = two(&app).await;
    let mut a = enter(&ann, &room).await;
    let fragment = |text: &[u8], first: bool, last: bool| {
        let code = OpCode::Data(if first { Data::Text } else { Data::Continue });
        Message::Frame(Frame::message(text.to_vec(), code, last))
    };
    // Cut in the middle of a character.
    let text = r#"{"message":"é"}"#.as_bytes();
    a.send_raw(fragment(&text[..13], true, false)).await;
    a.send_raw(Message::Ping("p".into())).await;
    a.send_raw(fragment(&text[13..], false, false)).await;
    a.send_raw(fragment(b"", false, true)).await;
    assert_eq!(a.expect("chat_message").await["message"], "é");
}

#[tokio::test]
async fn a_ping_of_either_kind_is_answered() {
    use futures_util::StreamExt;
    let app = App::start(crate::harness::Db::Sqlite).await;
    let (ann, _, room) = two(&app).await;
    let mut a = enter(&ann, &room).await;
    a.send(json!({"type": "ping"})).await;
    assert_eq!(a.next().await, json!({"type": "pong"}));
    a.send(json!({"type": "ping", "ref": 1, "more": Value::Null}))
        .await;
    assert_eq!(a.next().await, json!({"type": "pong"}));
    a.send_raw(Message::Ping("are you there".into())).await;
    let pong = a.stream().next().await.expect("a frame").expect("no error");
    assert_eq!(pong, Message::Pong("are you there".into()));
    // One that nobody asked for is no fault.
    a.send_raw(Message::Pong("unasked".into())).await;
    a.quiet().await;
}
