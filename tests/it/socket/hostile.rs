//! Clients and disks that behave badly: what one asks for and does not read, what a crowd types, and
//! a database that is away for longer than anybody waits. Most of it is about the server's own
//! bookkeeping, so SQLite is enough.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_tungstenite::tungstenite::Message;

use super::{enter, number, two};
use crate::harness::{App, Db, Place, Process, Socket, User};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_and_not_read_is_not_made() {
    let place = Place::new(Db::Sqlite);
    let process = Process::start(&place, &[]).await;
    let ann = User::register(process.address, "ann").await;
    let room = ann.room("general").await;
    let mut speaker = enter(&ann, &room).await;
    speaker.say_numbers(1..=200, 16 * 1024 - 1).await;
    let path = format!("/ws/chat/{room}/?token={}", ann.token);
    let mut stuck = Socket::open_narrow(process.address, &path).await;
    let before = process.memory();
    for _ in 0..60 {
        let ask = json!({"type": "history", "limit": 200});
        stuck.send(ask).await;
    }
    // By when this is answered, all that was to be read has been.
    for n in 0..20 {
        speaker.say("still here", &n.to_string()).await;
    }
    if let (Some(before), Some(after)) = (before, process.memory()) {
        let grown = after.saturating_sub(before) / (1024 * 1024);
        // A page has 3 MiB; it is read, made into a frame, and written.
        assert!(grown < 40, "{grown} MiB for one socket");
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_types_pushes_out_no_message() {
    let app = App::start(Db::Sqlite).await;
    let (ann, bob, room) = two(&app).await;
    let mut crowd = join_all((0..400).map(|_| enter(&bob, &room))).await;
    let mut speaker = enter(&ann, &room).await;
    let typing = || Message::text(r#"{"type":"typing"}"#);
    let (first, rest) = crowd.split_at_mut(60);
    join_all(first.iter_mut().map(|socket| socket.send_raw(typing()))).await;
    let said = json!({"message": "to all", "ref": 1});
    speaker.send(said).await;
    join_all(rest.iter_mut().map(|socket| socket.send_raw(typing()))).await;
    for socket in crowd.iter_mut().chain([&mut speaker]) {
        while socket.next().await["type"] != "chat_message" {}
    }
    while speaker.next().await["type"] != "ack" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_heard_again_when_the_disk_is_back() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let mut socket = enter(&ann, &room).await;
    let file = app.place.database_url.trim_start_matches("sqlite:///");
    let options = SqliteConnectOptions::new().filename(file);
    let mut holder = options.connect().await.expect("SQLite");
    sqlx::raw_sql("begin immediate")
        .execute(&mut holder)
        .await
        .expect("the lock");
    // More than may be under way: what comes later is not even read.
    for n in 0..100 {
        socket.send(json!({"message": "hi", "ref": n})).await;
    }
    let mut refused = 0;
    while refused < 64 {
        let frame = socket.expect("error").await;
        assert_eq!(frame["code"], "unavailable");
        refused += 1;
    }
    sqlx::raw_sql("rollback")
        .execute(&mut holder)
        .await
        .expect("the lock given back");
    let mut answered = 64;
    while answered < 100 {
        let frame = socket.next().await;
        answered += usize::from(frame["type"] == "ack" || frame["type"] == "error");
    }
    tokio::time::timeout(Duration::from_secs(10), socket.say("again", "again"))
        .await
        .expect("to be heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_comes_before_any_answer() {
    let app = App::start(Db::Sqlite).await;
    let (ann, bob, room) = two(&app).await;
    enter(&bob, &room).await.say_numbers(1..=60, 0).await;
    for after in ["", "&after=55"] {
        let path = format!("/ws/chat/{room}/?token={}{after}", ann.token);
        let mut socket = Socket::open(app.address, &path, &[]).await;
        socket.send(json!({"type": "ping"})).await;
        socket
            .send(json!({"type": "history", "before": 3, "limit": 1}))
            .await;
        let page = socket.expect("message_history").await;
        assert_eq!(number(&page, "last_seq"), 60);
        socket.expect("pong").await;
        let asked = socket.expect("message_history").await;
        assert_eq!(asked["messages"][0]["id"], 2);
    }
}
