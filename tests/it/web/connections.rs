//! Connections: how long they may do nothing, and how they end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{App, Db};

/// No wait of a test is longer, unless what it waits for never comes.
const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

async fn send(tcp: &mut TcpStream, text: &str) {
    tcp.write_all(text.as_bytes()).await.expect("to send");
}

/// Reads until this has come.
async fn read_until(tcp: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut some = [0; 1024];
        let reading = timeout(PATIENCE, tcp.read(&mut some)).await;
        let read = reading.expect("an answer in time").expect("to read");
        assert!(read > 0, "hung up after {text:?}");
        text += &String::from_utf8_lossy(&some[..read]);
    }
    text
}

/// Waits until the server hangs up, and returns what it said before.
async fn hung_up(tcp: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let reading = timeout(PATIENCE, tcp.read_to_end(&mut bytes)).await;
    let _ = reading.expect("an end of the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Makes a request that has no body, as its answer has none, and leaves the connection open.
async fn head(tcp: &mut TcpStream, address: SocketAddr) -> String {
    send(
        tcp,
        &format!("HEAD /nowhere HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    )
    .await;
    read_until(tcp, "\r\n\r\n").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_head_that_takes_too_long_is_not_waited_for() {
    let app = App::start_with(Db::Sqlite, &[("server.head_timeout", "1s")]).await;
    let began = Instant::now();
    let mut silent = connect(app.address).await;
    let (mut reads, mut writes) = connect(app.address).await.into_split();
    let dribble = tokio::spawn(async move {
        writes
            .write_all(b"GET /healthz HTTP/1.1\r\nX: ")
            .await
            .expect("to send");
        while writes.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert_eq!(hung_up(&mut silent).await, "");
    let mut answer = Vec::new();
    let reading = timeout(PATIENCE, reads.read_to_end(&mut answer)).await;
    let _ = reading.expect("an end of the connection");
    assert_eq!(String::from_utf8_lossy(&answer), "");
    assert!(began.elapsed() >= SECOND);
    timeout(PATIENCE, dribble)
        .await
        .expect("an end")
        .expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_kept_for_a_while_after_a_request() {
    let set = [("server.head_timeout", "5m"), ("server.idle_timeout", "2s")];
    let app = App::start_with(Db::Sqlite, &set).await;
    let mut silent = connect(app.address).await;
    let mut slow = connect(app.address).await;
    for tcp in [&mut silent, &mut slow] {
        for _ in 0..3 {
            assert!(head(tcp, app.address).await.starts_with("HTTP/1.1 404 "));
        }
    }
    // Half of the next head is no request.
    send(&mut slow, "GET /healthz HTTP/1.1\r\n").await;
    let began = Instant::now();
    for tcp in [&mut silent, &mut slow] {
        assert_eq!(hung_up(tcp).await, "");
    }
    // The time counts from the last answer, which came just before.
    assert!(began.elapsed() > SECOND, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_a_time_of_its_own_and_no_more() {
    let set = [("server.head_timeout", "1s"), ("server.idle_timeout", "1s")];
    let app = App::start_with(Db::Sqlite, &set).await;
    let (mut reads, mut writes) = connect(app.address).await.into_split();
    let request = format!(
        "POST /login/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n",
        app.address
    );
    let dribble = tokio::spawn(async move {
        writes.write_all(request.as_bytes()).await.expect("to send");
        while writes.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    });
    let mut answer = Vec::new();
    let reading = timeout(PATIENCE, reads.read_to_end(&mut answer)).await;
    let _ = reading.expect("an end of the connection");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let text = "The body did not arrive within 10 s.";
    assert!(answer.contains(text), "{answer}");
    drop(reads);
    let ended = timeout(PATIENCE, dribble).await;
    ended.expect("an end in time").expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_finishes_requests_and_hangs_up_on_the_idle() {
    let app = App::start(Db::Sqlite).await;
    let (mut idle, mut busy) = (connect(app.address).await, connect(app.address).await);
    head(&mut idle, app.address).await;
    let request = format!(
        "POST /login/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        app.address
    );
    send(&mut busy, &request).await;
    read_until(&mut busy, "HTTP/1.1 100 Continue\r\n\r\n").await;
    app.begin_to_stop();
    assert_eq!(hung_up(&mut idle).await, "");
    send(&mut busy, "{}").await;
    let answer = hung_up(&mut busy).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 400 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    timeout(PATIENCE, app.stop()).await.expect("an end in time");
}
