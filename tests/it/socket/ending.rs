//! How a live socket ends: each reason has its code, and nothing is delivered after it.

use futures_util::StreamExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{enter, two};
use crate::harness::client::PASSWORD;
use crate::harness::{App, Db, Random};

on_both! {
    async fn a_logout_ends_the_sockets_of_its_login_and_no_others(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let other_login = bob.log_in("bob", PASSWORD).await;
        let mut gone = [enter(&bob, &room).await, enter(&bob, &room).await];
        let mut stays = enter(&other_login, &room).await;
        bob.post("/logout/", json!({})).await.expect(200);
        let sent = ann.say(&room, "after").await;
        for socket in &mut gone {
            assert_eq!(socket.next_or_close().await, Err(4002));
        }
        assert_eq!(stays.expect("chat_message").await["seq"], sent["seq"]);
    }

    async fn a_logout_that_meets_an_opening_socket_shuts_it_out(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        bob.join(&room).await;
        let mut random = Random::printed();
        for round in 0..40 {
            let login = app.stranger().log_in("bob", PASSWORD).await;
            let opening = tokio::spawn({
                let (login, room, turns) = (login.clone(), room.clone(), random.below(60));
                async move {
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    login.socket(&room).await
                }
            });
            for _ in 0..random.below(60) {
                tokio::task::yield_now().await;
            }
            login.post("/logout/", json!({})).await.expect(200);
            let secret = format!("secret {round}");
            ann.say(&room, &secret).await;
            let mut socket = opening.await.expect("no panic");
            loop {
                match socket.next_or_close().await {
                    Ok(frame) => assert!(!frame.to_string().contains(&secret), "{frame}"),
                    Err(code) => break assert_eq!(code, 4002),
                }
            }
        }
    }

    async fn a_deleted_room_ends_its_sockets_with_4004(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let other = ann.room("other").await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        let mut elsewhere = enter(&ann, &other).await;
        ann.delete(&format!("/room/delete/{room}/")).await.expect(200);
        assert_eq!(a.next_or_close().await, Err(4004));
        assert_eq!(b.next_or_close().await, Err(4004));
        elsewhere.quiet().await;
    }

    async fn what_another_process_ends_in_the_database_ends_here(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let eve = app.user("eve").await;
        let kim = app.user("kim").await;
        for who in [&eve, &kim] {
            who.join(&room).await;
        }
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        let mut e = enter(&eve, &room).await;
        let mut k = enter(&kim, &room).await;
        app.place.sql(&format!("update users set is_active = false where id = {}", bob.id)).await;
        app.place.sql(&format!("delete from sessions where user_id = {}", eve.id)).await;
        app.place.sql(&format!("delete from members where user_id = {}", kim.id)).await;
        assert_eq!(b.next_or_close().await, Err(4002));
        assert_eq!(e.next_or_close().await, Err(4002));
        assert_eq!(k.next_or_close().await, Err(4003));
        a.quiet().await;
        app.place.sql("delete from rooms").await;
        assert_eq!(a.next_or_close().await, Err(4004));
    }

    async fn who_was_just_removed_cannot_send_by_the_socket_he_still_has(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        app.place.sql(&format!("delete from members where user_id = {}", bob.id)).await;
        b.try_send_raw(Message::text(json!({"message": "hi", "ref": 7}).to_string())).await;
        // The store says no, unless the watch was faster.
        let mut next = b.next_or_close().await;
        if let Ok(frame) = next {
            let expected = json!({
                "type": "error", "message": "You are not a member of this room",
                "code": "not_a_member", "ref": 7,
            });
            assert_eq!(frame, expected);
            next = b.next_or_close().await;
        }
        assert_eq!(next, Err(4003));
        a.quiet().await;
        assert!(ann.history(&room).await.is_empty());
    }

    async fn a_server_that_stops_acks_what_was_sent_and_says_1001(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        for n in 1..=30 {
            a.send(json!({"message": "hi", "ref": n})).await;
        }
        a.send(json!({"type": "ping"})).await;
        let mut acked = Vec::new();
        loop {
            let frame = a.next().await;
            if frame["type"] == "pong" {
                break;
            }
            acked.extend(frame["ref"].as_i64());
        }
        // What was sent before the ping has been handed in by now.
        app.begin_to_stop();
        let code = loop {
            match a.next_or_close().await {
                Ok(frame) => acked.extend(frame["ref"].as_i64()),
                Err(code) => break code,
            }
        };
        assert_eq!(code, 1001);
        assert_eq!(b.closed().await, 1001);
        acked.sort_unstable();
        assert_eq!(acked, (1..=30).collect::<Vec<_>>());
        let place = app.stop().await;
        assert_eq!(place.count("select count(*) from messages").await, 30);
    }
}

#[tokio::test]
async fn a_token_that_runs_out_ends_its_socket_with_4001() {
    let app = App::start_with(Db::Sqlite, &[("auth.access_ttl", "2s")]).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let mut a = enter(&ann, &room).await;
    assert_eq!(a.next_or_close().await, Err(4001));
    assert_eq!(ann.get("/rooms/").await.status, 401);
}

#[tokio::test]
async fn frames_too_fast_get_errors_first_and_then_1008() {
    let limits = [
        ("limits.enabled", "true"),
        ("limits.frames_burst", "5"),
        ("limits.frames_per_second", "1"),
    ];
    let app = App::start_with(Db::Sqlite, &limits).await;
    let (ann, bob, room) = two(&app).await;
    let mut a = enter(&ann, &room).await;
    let mut b = enter(&bob, &room).await;
    for n in 0..200 {
        // Of any kind.
        let frame = match n % 3 {
            0 => Message::text(json!({"message": "hi", "ref": n}).to_string()),
            1 => Message::text("{"),
            _ => Message::binary(vec![0]),
        };
        if !a.try_send_raw(frame).await {
            break;
        }
    }
    let (mut errors, mut references) = (0, 0);
    let code = loop {
        match a.next_or_close().await {
            Ok(frame) if frame["code"] == "too_many_requests" => {
                let text = "Too many requests. Try again in 1 s.";
                assert_eq!(
                    (&frame["type"], &frame["message"]),
                    (&json!("error"), &json!(text))
                );
                references += usize::from(frame["ref"].is_i64());
                errors += 1;
            }
            Ok(_) => {}
            Err(code) => break code,
        }
    };
    assert_eq!(code, 1008);
    assert!((51..=190).contains(&errors), "{errors}");
    assert!(references >= errors / 3, "{references} of {errors}");
    // Each socket has a limit of its own.
    b.send(json!({"type": "ping"})).await;
    while b.next().await["type"] != "pong" {}
    enter(&ann, &room).await.quiet().await;
}

#[tokio::test]
async fn a_frame_over_64_kib_ends_the_socket_with_1009() {
    let app = App::start(Db::Sqlite).await;
    let (ann, _, room) = two(&app).await;
    let mut a = enter(&ann, &room).await;
    // The longest that is read.
    a.send_raw(Message::text("x".repeat(64 * 1024))).await;
    assert_eq!(a.expect("error").await["code"], "invalid_json");
    a.quiet().await;
    for size in [64 * 1024 + 1, 65 * 1024, 1 << 20, 8 << 20] {
        let mut a = enter(&ann, &room).await;
        for text in [true, false] {
            let frame = "x".repeat(size);
            let frame = if text {
                Message::text(frame)
            } else {
                Message::binary(frame)
            };
            // It can be sent to its end: a reset in the middle would swallow the close frame.
            assert!(a.try_send_raw(frame).await, "{size}");
            assert_eq!(a.next_or_close().await, Err(1009), "{size}");
            a = enter(&ann, &room).await;
        }
    }
    // In fragments it is no smaller.
    let fragment = |first: bool| {
        let code = OpCode::Data(if first { Data::Text } else { Data::Continue });
        Message::Frame(Frame::message(vec![b'x'; 30 * 1024], code, false))
    };
    a.send_raw(fragment(true)).await;
    a.send_raw(fragment(false)).await;
    a.try_send_raw(fragment(false)).await;
    assert_eq!(a.next_or_close().await, Err(1009));
}

#[tokio::test]
async fn who_breaks_the_protocol_gets_1002_or_1007() {
    let app = App::start(Db::Sqlite).await;
    let (ann, _, room) = two(&app).await;
    let frame = |payload: &[u8], code| Message::Frame(Frame::message(payload.to_vec(), code, true));
    let text = OpCode::Data(Data::Text);
    for (message, code) in [
        (frame(b"\xff\xfe", text), 1007),
        (frame(b"{\"message\":\"a\xc3\"}", text), 1007),
        (frame(b"\xed\xa0\x80", text), 1007),
        (frame(b"x", OpCode::Data(Data::Continue)), 1002),
    ] {
        let mut a = enter(&ann, &room).await;
        a.send_raw(message.clone()).await;
        assert_eq!(a.next_or_close().await, Err(code), "{message:?}");
    }
    let too_long = [&b"\x89\xfe\0\x7e\0\0\0\0"[..], &[b'x'; 126]].concat();
    for (bytes, code) in [
        // A text that is not masked.
        (&b"\x81\x02hi"[..], 1002),
        // A reserved bit is set, as a compressed frame has it.
        (b"\xc1\x82\0\0\0\0hi", 1002),
        // Opcodes that are not given out.
        (b"\x83\x82\0\0\0\0hi", 1002),
        (b"\x8b\x82\0\0\0\0hi", 1002),
        // A ping in fragments, and one that is too long.
        (b"\x09\x82\0\0\0\0hi", 1002),
        (&too_long, 1002),
        // A close with half a code.
        (b"\x88\x81\0\0\0\0x", 1002),
        // A text that begins within another.
        (b"\x01\x81\0\0\0\0h\x81\x81\0\0\0\0i", 1002),
        // A length that no frame has.
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
    ] {
        let mut a = enter(&ann, &room).await;
        a.stream()
            .get_mut()
            .write_all(bytes)
            .await
            .expect("to send");
        assert_eq!(a.next_or_close().await, Err(code), "{bytes:?}");
    }
    enter(&ann, &room).await.quiet().await;
}

#[tokio::test]
async fn who_goes_is_let_go() {
    let app = App::start(Db::Sqlite).await;
    let (ann, bob, room) = two(&app).await;
    let mut b = enter(&bob, &room).await;
    // As a browser does: the server answers, and the connection ends.
    let mut a = enter(&ann, &room).await;
    a.send_raw(Message::Close(None)).await;
    assert_eq!(a.next_or_close().await, Err(1005));
    assert!(a.stream().next().await.is_none());
    // As a lost network does, with a message under way.
    let mut a = enter(&ann, &room).await;
    a.send(json!({"message": "last words"})).await;
    drop(a);
    assert_eq!(b.expect("chat_message").await["message"], "last words");
    let mut half = enter(&ann, &room).await;
    half.stream()
        .get_mut()
        .write_all(b"\x81\xfe\x10")
        .await
        .expect("to send");
    drop(half);
    b.quiet().await;
    // Nobody is left to wait for but Bob.
    app.begin_to_stop();
    assert_eq!(b.closed().await, 1001);
    app.stop().await;
}
