//! The handshake: what it must have, and which pages may use their visitors' cookies.

use reqwest::Method;
use serde_json::json;

use super::{enter, two};
use crate::harness::client::answer;
use crate::harness::{Answer, App, Db, Socket, User};

const LISTED: &str = "http://localhost:5173";

/// A handshake with these headers besides the usual ones, without what follows it.
async fn shake(who: &User, path: &str, headers: &[(&str, &str)]) -> Answer {
    let usual = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut request = who.request(Method::GET, path);
    for (name, value) in usual {
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            request = request.header(name, value);
        }
    }
    for (name, value) in headers.iter().filter(|(_, value)| *value != "-") {
        request = request.header(*name, *value);
    }
    answer(request).await
}

on_both! {
    async fn a_cookie_opens_a_socket_only_for_pages_that_are_trusted(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let path = format!("/ws/chat/{room}/");
        let cookie = format!("a=b; access_token={}; c=d", ann.token);
        let own = format!("http://{}", app.address);
        let own_tls = format!("https://{}", app.address);
        for origin in [LISTED, "http://127.0.0.1:5173", &own, &own_tls, "HTTP://LocalHost:5173"] {
            let headers = [("cookie", cookie.as_str()), ("origin", origin)];
            let mut socket = Socket::open(app.address, &path, &headers).await;
            socket.expect("message_history").await;
            socket.quiet().await;
        }
        let near = format!("http://127.0.0.1:{}", app.address.port() ^ 1);
        let user_part = format!("http://{}@evil.example", app.address);
        for origins in [
            &[][..],
            &["http://evil.example"],
            &["null"],
            &[""],
            &["http://localhost:5174"],
            &["https://localhost:5173"],
            &["http://localhost:5173.evil.example"],
            &["http://localhost:5173/"],
            &["http://localhost"],
            &[near.as_str()],
            &[user_part.as_str()],
            &[LISTED, LISTED],
            &["http://evil.example", LISTED],
            &["http://evil.example http://localhost:5173"],
        ] {
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend(origins.iter().map(|origin| ("origin", *origin)));
            let refused = shake(&app.stranger(), &path, &headers).await;
            let body = refused.refused(403, "origin_not_allowed");
            let text =
                "This origin may not open sockets with cookies; see cors.allowed_origins.";
            assert_eq!(body["detail"], text, "{origins:?}");
        }
    }

    async fn a_refresh_cookie_alone_needs_a_trusted_origin_too(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let path = format!("/ws/chat/{room}/");
        let cookie = format!("refresh_token={}", ann.refresh);
        for origin in ["http://evil.example", "null"] {
            let headers = [("cookie", cookie.as_str()), ("origin", origin)];
            let refused = Socket::try_open(app.address, &path, &headers).await;
            assert_eq!(refused.err(), Some(403));
        }
    }

    async fn a_token_in_header_or_query_needs_no_origin(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let plain = format!("/ws/chat/{room}/");
        let query = format!("/ws/chat/{room}?after=0&token={}", ann.token);
        let header = format!("Bearer {}", ann.token);
        let bobs = format!("access_token={}", bob.token);
        for (path, headers) in [
            (&plain, vec![("authorization", header.as_str())]),
            (&query, vec![]),
            (&plain, vec![("authorization", &header), ("origin", "http://evil.example")]),
            (&query, vec![("origin", "null")]),
            // The cookie that comes along does not count.
            (&plain, vec![("authorization", &header), ("cookie", &bobs)]),
            (&query, vec![("cookie", &bobs), ("origin", "http://evil.example")]),
        ] {
            let mut socket = Socket::open(app.address, path, &headers).await;
            socket.expect("message_history").await;
            socket.send(json!({"message": "hi"})).await;
            assert_eq!(socket.expect("chat_message").await["user"], "ann");
        }
        // The header's goes before the query's, and both before the cookie's.
        let path = format!("{plain}?token={}", bob.token);
        let headers = [("authorization", header.as_str()), ("cookie", &bobs)];
        let mut socket = Socket::open(app.address, &path, &headers).await;
        socket.expect("message_history").await;
        socket.send(json!({"message": "hi"})).await;
        assert_eq!(socket.expect("chat_message").await["user"], "ann");
    }

    async fn a_room_goes_by_its_id_in_any_spelling_and_by_its_name(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("Große Halle").await;
        for spelling in
            [room.to_uppercase(), room.replace('-', ""), "GROSSE%20halle".to_owned()]
        {
            let mut socket = ann.socket(&spelling).await;
            assert_eq!(socket.expect("message_history").await["room_id"], room);
        }
        enter(&ann, &room).await.close().await;
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_told_so() {
    let app = App::start(Db::Sqlite).await;
    let (ann, _, room) = two(&app).await;
    let path = format!("/ws/chat/{room}/");
    for headers in [
        &[("upgrade", "-"), ("connection", "-")][..],
        &[("upgrade", "-")],
        &[("connection", "keep-alive")],
        &[("upgrade", "h2c")],
    ] {
        let refused = shake(&ann, &path, headers).await;
        let body = refused.refused(426, "upgrade_required");
        let text = "This is a WebSocket. The request lacks Upgrade: websocket.";
        assert_eq!(body["detail"], text, "{headers:?}");
        assert_eq!(refused.header("upgrade"), "websocket");
    }
    for version in ["-", "8", "14", "", "13, 8"] {
        let refused = shake(&ann, &path, &[("sec-websocket-version", version)]).await;
        refused.refused(426, "upgrade_required");
        assert_eq!(refused.header("sec-websocket-version"), "13", "{version}");
    }
    // None, none to speak of, 16 bytes without their padding, 3 bytes, and 19.
    for key in [
        "-",
        "",
        "short",
        "dGhlIHNhbXBsZSBub25jZQ",
        "AAAA",
        "dGhlIHNhbXBsZSBub25jZXh4eA==",
    ] {
        let refused = shake(&ann, &path, &[("sec-websocket-key", key)]).await;
        let body = refused.refused(400, "bad_handshake");
        assert_eq!(
            body["detail"], "Sec-WebSocket-Key must be 16 bytes in base64.",
            "{key}"
        );
    }
    let posted = ann.post(&path, json!({})).await;
    posted.refused(405, "method_not_allowed");
    assert_eq!(posted.header("allow"), "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn a_handshake_is_answered_as_the_rfc_shows() {
    let app = App::start(Db::Sqlite).await;
    let (ann, _, room) = two(&app).await;
    let path = format!("/ws/chat/{room}/?token={}", ann.token);
    let mut socket = tokio::net::TcpStream::connect(app.address)
        .await
        .expect("a connection");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n",
        app.address
    );
    tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes())
        .await
        .expect("to send");
    let mut head = vec![0; 2048];
    let length = tokio::io::AsyncReadExt::read(&mut socket, &mut head)
        .await
        .expect("an answer");
    let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
    assert!(
        head.starts_with("http/1.1 101 switching protocols\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    // RFC 6455, 1.3.
    let accept = "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    assert!(head.contains(&accept.to_lowercase()), "{head}");
    // What was not agreed on is not spoken.
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
}
