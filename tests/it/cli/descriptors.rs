//! A server that has few file descriptors.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::program::Site;
use crate::harness::User;

/// 400 connections on which nothing is sent, as long as this is kept. Those that the server does
/// not accept may not even come about: the system keeps a queue, and no long one.
fn crowd(address: SocketAddr) -> JoinSet<TcpStream> {
    let connect = move || async move { TcpStream::connect(address).await.expect("a connection") };
    (0..400).map(|_| connect()).collect()
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
