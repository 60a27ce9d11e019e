//! Nonces: a message that is sent again is stored once.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::answer;
use crate::harness::{Answer, App, User};

async fn send(who: &User, room: &str, form: Value) -> Answer {
    who.post(&format!("/messages/{room}/send/"), form).await
}

async fn send_with_key(who: &User, room: &str, form: Value, key: &str) -> Answer {
    let path = format!("/messages/{room}/send/");
    answer(
        who.request(Method::POST, &path)
            .header("Idempotency-Key", key)
            .json(&form),
    )
    .await
}

on_both! {
    async fn the_same_nonce_again_answers_with_the_first_message(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let form = json!({"message": "first", "nonce": "n"});
        let first = send(&ann, &room, form.clone()).await.expect(201);
        assert_eq!(send(&ann, &room, form).await.expect(200), first);
        let other = json!({"message": "second", "nonce": "n"});
        assert_eq!(send(&ann, &room, other).await.expect(200), first);
        // The same user from another login.
        let again = app.stranger().log_in("ann", crate::harness::client::PASSWORD).await;
        let form = json!({"message": "third", "nonce": "n"});
        assert_eq!(send(&again, &room, form).await.expect(200), first);
        assert_eq!(ann.history(&room).await, [first]);
        // What comes next has the next number.
        assert_eq!(ann.say(&room, "next").await["id"], 2);
    }

    async fn a_nonce_can_come_as_a_header(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let form = json!({"message": "hi"});
        let first = send_with_key(&ann, &room, form.clone(), "k").await.expect(201);
        assert_eq!(first["nonce"], "k");
        assert_eq!(send_with_key(&ann, &room, form, "k").await.expect(200), first);
        let null = json!({"message": "hi", "nonce": null});
        assert_eq!(send_with_key(&ann, &room, null, "k").await.expect(200), first);
        let body = json!({"message": "hi", "nonce": "k"});
        assert_eq!(send(&ann, &room, body).await.expect(200), first);
        // The body's goes before the header's.
        let both = json!({"message": "hi", "nonce": "other"});
        let second = send_with_key(&ann, &room, both, "k").await.expect(201);
        assert_eq!((&second["id"], &second["nonce"]), (&json!(2), &json!("other")));
    }

    async fn a_nonce_is_its_users_and_its_rooms_own(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        let general = ann.room("general").await;
        let other = ann.room("other").await;
        bob.join(&general).await;
        let form = json!({"message": "hi", "nonce": "n"});
        for (who, room, id) in [(&ann, &general, 1), (&bob, &general, 2), (&ann, &other, 1)] {
            let sent = send(who, room, form.clone()).await.expect(201);
            assert_eq!((&sent["id"], &sent["user_id"]), (&json!(id), &json!(who.id)));
        }
        // Nonces are compared as they are.
        for nonce in ["N", "n ", "ｎ", "n\u{200d}"] {
            send(&ann, &general, json!({"message": "hi", "nonce": nonce})).await.expect(201);
        }
        assert_eq!(ann.history(&general).await.len(), 6);
        assert_eq!(ann.history(&other).await.len(), 1);
    }

    async fn messages_without_a_nonce_are_all_new(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        for id in 1..=3 {
            assert_eq!(ann.say(&room, "hi").await["id"], id);
        }
    }

    async fn fifty_parallel_sends_with_one_nonce_make_one_message(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let sends = (0..50).map(|n| {
            let form = json!({"message": format!("attempt {n}"), "nonce": "n"});
            let (ann, room) = (ann.clone(), room.clone());
            tokio::spawn(async move { send(&ann, &room, form).await })
        });
        let answers: Vec<Answer> =
            join_all(sends).await.into_iter().map(|a| a.expect("an answer")).collect();
        let stored = answers.iter().filter(|a| a.status == 201).count();
        let repeated = answers.iter().filter(|a| a.status == 200).count();
        assert_eq!((stored, repeated), (1, 49));
        let all = ann.history(&room).await;
        assert_eq!(all.len(), 1);
        for answer in answers {
            assert_eq!(answer.json(), all[0]);
        }
    }

    async fn parallel_senders_get_numbers_without_gaps(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        let room = ann.room("general").await;
        bob.join(&room).await;
        let sends = (0..60).map(|n| {
            let who = if n % 2 == 0 { ann.clone() } else { bob.clone() };
            // Each third is a retry of the one before.
            let form = json!({"message": "hi", "nonce": format!("n{}", n / 6 * 2 + n % 2)});
            let room = room.clone();
            tokio::spawn(async move { send(&who, &room, form).await.json()["seq"].as_i64() })
        });
        let seqs: HashSet<_> =
            join_all(sends).await.into_iter().map(|s| s.expect("an answer")).collect();
        assert_eq!(seqs, (1..=20).map(Some).collect());
        let all = ann.history(&room).await;
        let numbers: Vec<_> = all.iter().map(|m| (m["id"].as_i64(), m["seq"].as_i64())).collect();
        assert_eq!(numbers, (1..=20).map(|n| (Some(n), Some(n))).collect::<Vec<_>>());
    }

    async fn a_nonce_has_1_to_128_bytes_and_no_control_characters(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let mut taken = 0;
        for nonce in ["x".repeat(128), "é".repeat(64), "👋".to_owned(), " ".to_owned()] {
            let form = json!({"message": "hi", "nonce": nonce});
            let sent = send(&ann, &room, form.clone()).await.expect(201);
            assert_eq!(sent["nonce"], nonce);
            assert_eq!(send(&ann, &room, form).await.expect(200), sent);
            taken += 1;
        }
        for nonce in ["", "a\0b", "a\nb", "a\tb", "\u{7f}", "\u{85}"] {
            let form = json!({"message": "hi", "nonce": nonce});
            let body = send(&ann, &room, form).await.refused(400, "message_invalid");
            assert_eq!(body["error"], "A nonce has 1 to 128 bytes and no control characters.");
        }
        for nonce in ["x".repeat(129), "é".repeat(65)] {
            let form = json!({"message": "hi", "nonce": nonce});
            send(&ann, &room, form).await.refused(400, "message_invalid");
        }
        for nonce in [json!(7), json!(true), json!([]), json!({"n": 1})] {
            let form = json!({"message": "hi", "nonce": nonce});
            let body = send(&ann, &room, form).await.refused(400, "message_invalid");
            assert_eq!(body["error"], "A nonce must be a string.");
        }
        let hi = json!({"message": "hi"});
        for key in [String::new(), "x".repeat(129)] {
            let refused = send_with_key(&ann, &room, hi.clone(), &key).await;
            refused.refused(400, "message_invalid");
        }
        assert_eq!(ann.history(&room).await.len(), taken);
    }

    async fn a_header_that_cannot_be_a_nonce_does_not_go_unnoticed(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let path = format!("/messages/{room}/send/");
        let key = reqwest::header::HeaderValue::from_bytes(b"caf\xe9").expect("a value");
        let request = ann.request(Method::POST, &path).header("Idempotency-Key", key);
        let sent = answer(request.json(&json!({"message": "hi"}))).await;
        sent.refused(400, "message_invalid");
        assert!(ann.history(&room).await.is_empty());
    }

    async fn a_message_by_socket_is_not_repeated_by_rest_nor_the_other_way_round(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let mut socket = ann.socket(&room).await;
        socket.expect("message_history").await;

        let frame = json!({"message": "by socket", "nonce": "s", "ref": "s"});
        let (ack, message) = socket.say_and_hear(frame).await;
        assert_eq!(ack["duplicate"], false);
        let again = json!({"message": "by REST", "nonce": "s"});
        let again = send(&ann, &room, again).await.expect(200);
        assert_eq!(again["message"], "by socket");
        assert_eq!(again["seq"], message["seq"]);

        let first = json!({"message": "by REST", "nonce": "r"});
        let first = send(&ann, &room, first).await.expect(201);
        assert_eq!(socket.expect("chat_message").await["seq"], first["seq"]);
        let ack = socket.say("by socket", "r").await;
        let expected = json!({
            "type": "ack", "ref": "r", "id": first["id"], "seq": first["seq"],
            "timestamp": first["timestamp"], "duplicate": true,
        });
        assert_eq!(ack, expected);
        socket.quiet().await;
        assert_eq!(ann.history(&room).await.len(), 2);
    }
}
