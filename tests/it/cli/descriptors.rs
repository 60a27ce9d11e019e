//! A server that has no file descriptor left for whoever comes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::program::Site;
use crate::harness::User;

/// 400 connections on which nothing is sent, as long as this is kept. Those that the server does
/// not accept may not even come about: the system keeps a queue, and no long one.
fn crowd(address: SocketAddr) -> JoinSet<TcpStream> {
    let connect = move || async move { TcpStream::connect(address).await.expect("a connection") };
    (0..400).map(|_| connect()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_the_server_waits_and_goes_on_with_what_is_open() {
    let site = Site::bare()
        .with("CHATROOM_SERVER_MAX_CONNECTIONS", "10000")
        .with("CHATROOM_SERVER_HEAD_TIMEOUT", "5m");
    let mut server = site.call_under("ulimit -n 256", "serve --port 0").serve();
    server.line("has room for 118");
    let ann = User::register(server.address, "ann").await;
    let room = ann.room("general").await;
    let (mut first, mut second) = (ann.socket(&room).await, ann.socket(&room).await);
    for socket in [&mut first, &mut second] {
        socket.expect("message_history").await;
    }

    let crowd = crowd(server.address);
    server.line("no new connections can be accepted");
    let before = server.cpu();
    // The passing of time is what is tested. A loop that does not wait takes a whole core, or
    // what others leave of it.
    sleep(Duration::from_secs(2)).await;
    let used = server.cpu().saturating_sub(before);
    assert!(used < Duration::from_millis(200), "{used:?} of 2 s");
    first.say("is anybody there?", "1").await;
    let heard = second.expect("chat_message").await;
    assert_eq!(heard["message"], "is anybody there?");

    drop(crowd);
    let released = Instant::now();
    let answer = server.stranger().get("/healthz").await;
    answer.expect(200);
    assert!(released.elapsed() < Duration::from_secs(5));
    server.line("new connections are accepted again");
    first.close().await;
    second.close().await;
    let said = server.stop();
    let failures = said.matches("no new connections can be accepted").count();
    assert_eq!(failures, 1, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_there_are_as_many_connections_as_there_are_descriptors_for() {
    let site = Site::bare().with("CHATROOM_SERVER_HEAD_TIMEOUT", "5m");
    let mut server = site.call_under("ulimit -n 256", "serve --port 0").serve();
    let ann = User::register(server.address, "ann").await;
    let crowd = crowd(server.address);
    server.line("all 118 connections are taken");
    // On her own connection, which has a place.
    ann.get("/rooms/").await.expect(200);
    drop(crowd);
    server.stranger().get("/healthz").await.expect(200);
    let said = server.stop();
    assert!(!said.contains("can be accepted"), "{said}");
}
