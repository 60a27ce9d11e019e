//! Who gets a socket of all rooms, and how it ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{enter, message, open, path, two_in};
use crate::harness::client::{PASSWORD, answer};
use crate::harness::{App, Socket};

const ORIGIN: (&str, &str) = ("origin", "http://localhost:5173");

/// The code of a socket that is closed before anything else.
async fn code(app: &App, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut socket = Socket::open(app.address, path, headers).await;
    let first = socket.next_or_close().await;
    first.expect_err("a close and no frame")
}

on_both! {
    async fn without_good_credentials_it_is_closed_with_the_reason(db) {
        let app = App::start(db).await;
        let (ann, bob, _) = two_in(&app, ["general"]).await;
        assert_eq!(code(&app, "/ws/", &[]).await, 4000);
        assert_eq!(code(&app, "/ws/?token=", &[ORIGIN]).await, 4000);
        let refresh = format!("refresh_token={}", ann.refresh);
        assert_eq!(code(&app, "/ws/", &[("cookie", &refresh), ORIGIN]).await, 4001);
        for token in ["garbage", "a.b.c", &ann.refresh] {
            assert_eq!(code(&app, &format!("/ws/?token={token}"), &[]).await, 4002, "{token}");
        }
        ann.post("/logout/", json!({})).await.expect(200);
        assert_eq!(code(&app, &path(&ann), &[]).await, 4002);
        app.place.sql(&format!("update users set is_active = false where id = {}", bob.id)).await;
        assert_eq!(code(&app, &path(&bob), &[]).await, 4002);
    }

    async fn a_cookie_opens_it_only_for_pages_that_are_trusted(db) {
        let app = App::start(db).await;
        let (ann, _, _) = two_in(&app, ["general"]).await;
        let cookie = format!("access_token={}", ann.token);
        let mut socket =
            Socket::open(app.address, "/ws/", &[("cookie", &cookie), ORIGIN]).await;
        assert_eq!(socket.expect("ready").await["user"]["id"], ann.id);
        let header = format!("Bearer {}", ann.token);
        let evil = ("origin", "http://evil.example");
        let mut socket =
            Socket::open(app.address, "/ws/", &[("authorization", &header), evil]).await;
        assert_eq!(socket.expect("ready").await["user"]["id"], ann.id);
        for headers in [vec![evil], vec![("origin", "null")], vec![]] {
            let headers = [headers, vec![("cookie", cookie.as_str())]].concat();
            let refused = Socket::try_open(app.address, "/ws/", &headers).await;
            assert_eq!(refused.err(), Some(403), "{headers:?}");
        }
    }

    async fn a_logout_ends_the_sockets_of_its_login_and_no_others(db) {
        let app = App::start(db).await;
        let (ann, bob, [room]) = two_in(&app, ["general"]).await;
        let node = app.another_node().await;
        let other_login = bob.log_in("bob", PASSWORD).await;
        let mut gone = [open(&bob).await.0, open(&bob).await.0];
        let mut far = open(&bob.at(node.address)).await.0;
        let mut stays = open(&other_login).await.0;
        bob.post("/logout/", json!({})).await.expect(200);
        let sent = ann.say(&room, "after").await;
        for socket in &mut gone {
            assert_eq!(socket.next_or_close().await, Err(4002));
        }
        assert_eq!(far.closed().await, 4002);
        assert_eq!(stays.expect("chat_message").await["seq"], sent["seq"]);
        app.place.sql(&format!("delete from sessions where user_id = {}", bob.id)).await;
        assert_eq!(stays.next_or_close().await, Err(4002));
    }

    async fn it_lives_by_the_token_it_was_given_last(db) {
        let app = App::start(db).await;
        let (ann, bob, [room]) = two_in(&app, ["general"]).await;
        let again = ann.log_in("ann", PASSWORD).await;
        let (mut a, _) = open(&ann).await;
        for token in [bob.token.as_str(), "garbage"] {
            a.send(json!({"type": "auth", "token": token, "ref": 1})).await;
            let told = a.expect("error").await;
            assert_eq!((&told["code"], &told["ref"]), (&json!("token_invalid"), &json!(1)));
        }
        a.send(json!({"type": "auth", "token": again.token})).await;
        a.quiet().await;
        ann.post("/logout/", json!({})).await.expect(200);
        a.quiet().await;
        a.send(message(&room, "still here", 1)).await;
        assert_eq!(a.expect("chat_message").await["user"], "ann");
        a.expect("ack").await;
        // Rooms to come are told to it too.
        again.room("new").await;
        a.expect("room_joined").await;
        again.post("/logout/", json!({})).await.expect(200);
        assert_eq!(a.next_or_close().await, Err(4002));
    }

    async fn a_server_that_stops_acks_what_was_sent_in_every_room_and_says_1001(db) {
        let app = App::start(db).await;
        let (ann, bob, rooms) = two_in(&app, ["one", "two", "three"]).await;
        let (mut a, mut b) = (open(&ann).await.0, open(&bob).await.0);
        let mut idle = open(&app.user("kim").await).await.0;
        for n in 1..=30_usize {
            a.send(message(&rooms[n % 3], "hi", n)).await;
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
        assert_eq!(idle.closed().await, 1001);
        acked.sort_unstable();
        assert_eq!(acked, (1..=30).collect::<Vec<_>>());
        let place = app.stop().await;
        assert_eq!(place.count("select count(*) from messages").await, 30);
    }

    async fn a_request_that_is_no_handshake_is_told_so(db) {
        let app = App::start(db).await;
        let (ann, _, _) = two_in(&app, ["general"]).await;
        for who in [&ann, &app.stranger()] {
            let refused = who.get("/ws/").await;
            let body = refused.refused(426, "upgrade_required");
            let text = "This is a WebSocket. The request lacks Upgrade: websocket.";
            assert_eq!(body["detail"], text);
            assert_eq!(refused.header("upgrade"), "websocket");
            let posted = who.post("/ws/", json!({})).await;
            posted.refused(405, "method_not_allowed");
            assert_eq!(posted.header("allow"), "GET, HEAD, OPTIONS");
        }
        let request = ann.request(Method::GET, "/ws/");
        let request = request.header("connection", "Upgrade").header("upgrade", "websocket");
        let refused = answer(request).await;
        refused.refused(426, "upgrade_required");
        assert_eq!(refused.header("sec-websocket-version"), "13");
    }

    async fn a_token_that_runs_out_ends_it_with_4001_unless_it_was_given_a_newer_one(db) {
        let app = App::start_with(db, &[("auth.access_ttl", "3s")]).await;
        let (ann, _, [room]) = two_in(&app, ["general"]).await;
        let (mut runs_out, mut lives) = (open(&ann).await.0, open(&ann).await.0);
        let mut in_room = enter(&ann, &room).await;
        // Tokens end at whole seconds, so that a newer one ends later only after one.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let form = json!({"refresh_token": ann.refresh});
        let newer = app.stranger().post("/refresh/", form).await.expect(200);
        lives.send(json!({"type": "auth", "token": newer["token"]})).await;
        lives.quiet().await;
        assert_eq!(runs_out.next_or_close().await, Err(4001));
        assert_eq!(in_room.next_or_close().await, Err(4001));
        lives.quiet().await;
        assert_eq!(code(&app, &path(&ann), &[]).await, 4001);
        assert_eq!(lives.next_or_close().await, Err(4001));
    }
}
