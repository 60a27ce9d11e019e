//! Clients that fall silent, and clients that stop reading.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::client::raw;
use crate::harness::{App, Db, Socket};

/// As short as the configuration allows, since these tests wait for them.
const SHORT: [(&str, &str); 3] = [
    ("sockets.ping_interval", "1s"),
    ("sockets.ping_timeout", "1s"),
    ("sockets.stall_timeout", "2s"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_client_is_pinged_and_lives_as_long_as_it_answers() {
    let app = App::start_with(Db::Sqlite, &SHORT).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let mut socket = ann.socket(&room).await;
    socket.expect("message_history").await;
    for _ in 0..3 {
        // Reading on is what sends the pong.
        match socket.stream().next().await {
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("not a ping: {other:?}"),
        }
    }
    socket.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_answers_no_ping_is_let_go() {
    let app = App::start_with(Db::Sqlite, &SHORT).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    // A handshake by hand, after which nobody answers anything; `raw` returns when it is over.
    let request = format!(
        "GET /ws/chat/{room}/?token={} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
        ann.token, app.address
    );
    let answer = raw(app.address, request.as_bytes()).await;
    assert_eq!(answer.status, 101);
    assert!(answer.text.contains("message_history"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_let_go_and_resumes_where_it_was() {
    let app = App::start_with(Db::Sqlite, &SHORT).await;
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    let room = ann.room("general").await;
    bob.join(&room).await;
    let path = format!("/ws/chat/{room}/?token={}", bob.token);
    let mut stuck = Socket::open_narrow(app.address, &path).await;
    stuck.expect("message_history").await;
    let mut sender = ann.socket(&room).await;
    sender.expect("message_history").await;
    let text = "x".repeat(16 * 1024);
    // More than any socket buffer on the way takes.
    let count = 600;
    for n in 0..count {
        sender.send(json!({"message": text, "ref": n})).await;
        while sender.next().await["type"] != "ack" {}
    }
    assert_eq!(
        app.place.count("select count(*) from messages").await,
        count
    );
    // Time is the subject here: this is longer than the server waits for a client that is stuck.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut last = 0;
    while let Ok(frame) = stuck.next_or_close().await {
        assert_eq!(frame["seq"], last + 1);
        last += 1;
    }
    assert!(last < count, "it was never stuck");
    let mut again = bob.socket_after(&room, last).await;
    while last < count {
        let page = again.expect("message_history").await;
        for message in page["messages"].as_array().expect("messages") {
            last += 1;
            assert_eq!(message["seq"], last);
        }
    }
    again.quiet().await;
}
