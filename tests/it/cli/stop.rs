//! How a server stops.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use super::program::Site;
use super::server::Server;

const BODY: &str = r#"{"username":"ann","password":"correct horse battery"}"#;

/// A request that the server is in the middle of: it waits for the body.
fn half_a_request(server: &Server) -> TcpStream {
    let mut client = TcpStream::connect(server.address).expect("a connection");
    let head = format!(
        "POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        BODY.len()
    );
    client.write_all(head.as_bytes()).expect("to send");
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; go_on.len()];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), go_on);
    client
}

#[test]
fn the_first_ctrl_c_finishes_what_is_under_way() {
    let mut server = Site::bare().serve();
    let mut client = half_a_request(&server);
    server.signal(Signal::INT);
    server.line("shutting down, finishing what is under way, up to 10 s; press again to force");
    client.write_all(BODY.as_bytes()).expect("to send");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("Invalid email or password"), "{answer}");
    let ran = server.end();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:#?}");
}

#[test]
fn the_second_ctrl_c_does_not_wait() {
    let mut server = Site::bare().serve();
    let client = half_a_request(&server);
    server.signal(Signal::INT);
    server.line("press again to force");
    server.signal(Signal::INT);
    assert_eq!(server.end().code, 130);
    drop(client);
}

#[test]
fn what_takes_longer_than_the_time_to_drain_is_dropped() {
    let server = Site::bare()
        .with("CHATROOM_SERVER_DRAIN_TIMEOUT", "100ms")
        .serve();
    let client = half_a_request(&server);
    let said = server.stop();
    assert!(said.contains("up to 0.1 s"), "{said}");
    assert!(
        said.contains("still open when the time to drain was over"),
        "{said}"
    );
    drop(client);
}

#[tokio::test]
async fn sockets_hear_that_the_server_goes_away() {
    let server = Site::bare().serve();
    let ann = crate::harness::User::register(server.address, "ann").await;
    let room = ann.room("general").await;
    let mut socket = ann.socket(&room).await;
    socket.expect("message_history").await;
    server.signal(Signal::TERM);
    assert_eq!(socket.closed().await, 1001);
    drop(socket);
    assert_eq!(server.end().code, 0);
}
