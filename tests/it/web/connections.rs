//! Connections: how many there may be, how long they may do nothing, and how they end.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::harness::client::raw;
use crate::harness::{Answer, App, Db, Socket, User};

/// No wait of a test is longer, unless what it waits for never comes.
const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// The answer to a request on a connection of its own, to which the client leaves the end.
async fn get(address: SocketAddr, path: &str, token: &str) -> Answer {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    raw(address, request.as_bytes()).await
}

/// Asserts that there was no room.
#[track_caller]
fn no_room(answer: &Answer) {
    let body = answer.refused(503, "too_many_connections");
    let text = "The server has no room for another connection. Try again in a moment.";
    assert_eq!(body["detail"], text);
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(answer.header("cache-control"), "no-store");
}

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

/// Opens connections until there is room for no more.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut open = Vec::new();
    loop {
        let mut tcp = connect(address).await;
        let answer = head(&mut tcp, address).await;
        if answer.starts_with("HTTP/1.1 503 ") {
            return open;
        }
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        open.push(tcp);
        assert!(open.len() < 50, "there is no end of room");
    }
}

/// Waits until a request finds a place.
async fn room_again(address: SocketAddr) {
    let began = Instant::now();
    while get_and_close(address).await.status == 503 {
        assert!(began.elapsed() < PATIENCE, "there is no room");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn get_and_close(address: SocketAddr) -> Answer {
    let request = format!("GET /nowhere HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    raw(address, request.as_bytes()).await
}

/// A superuser.
async fn root(app: &App) -> User {
    let root = app.user("root").await;
    let promote = "update users set is_superuser = true where username = 'root'";
    app.place.sql(promote).await;
    root
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_cap_only_operators_are_answered() {
    let app = App::start_with(Db::Sqlite, &[("server.max_connections", "8")]).await;
    let (ann, admin) = (app.user("ann").await, root(&app).await);
    let room = admin.room("general").await;
    let held = fill(app.address).await;
    assert!((1..8).contains(&held.len()), "{}", held.len());

    for token in [&ann.token, "nonsense", ""] {
        for path in ["/rooms/", "/docs", "/nowhere", "/administration", "/"] {
            let answer = get(app.address, path, token).await;
            no_room(&answer);
            assert!(!answer.header("x-request-id").is_empty(), "{path}");
        }
    }
    let answer = get(app.address, "/healthz", "").await;
    assert_eq!(answer.expect(200), json!({"status": "ok"}));
    get(app.address, "/readyz", "").await.expect(200);
    // There is nothing at that path yet, which is another answer than that there is no room.
    for path in ["/admin", "/admin/", "/admin/rooms"] {
        get(app.address, path, "").await.refused(404, "not_found");
    }
    let answer = get(app.address, "/rooms/", &admin.token).await;
    answer.expect(200);
    assert_eq!(answer.header("connection"), "close");

    // A socket would keep the place that an operator needs next.
    for token in [&ann.token, &admin.token] {
        let path = format!("/ws/chat/{room}/?token={token}");
        let header = format!("Bearer {token}");
        let opened = Socket::try_open(app.address, &path, &[("authorization", &header)]).await;
        assert_eq!(opened.err(), Some(503));
    }
    drop(held);
    room_again(app.address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_socket_has_a_place_until_it_closes() {
    let app = App::start_with(Db::Sqlite, &[("server.max_connections", "8")]).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let path = format!("/ws/chat/{room}/?token={}", ann.token);
    let mut sockets = Vec::new();
    let refused = loop {
        match Socket::try_open(app.address, &path, &[]).await {
            Ok(socket) => sockets.push(socket),
            Err(status) => break status,
        }
        assert!(sockets.len() <= 8, "sockets are not counted");
    };
    assert_eq!(refused, 503);
    for socket in &mut sockets {
        socket.expect("message_history").await;
    }
    no_room(&get_and_close(app.address).await);
    sockets.pop().expect("a socket").close().await;
    room_again(app.address).await;
    // Those that are left are none the worse for it.
    sockets[0].say("hello", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_the_door_is_answered_and_does_not_keep_operators_out() {
    let set = [
        ("server.max_connections", "4"),
        ("server.head_timeout", "5m"),
    ];
    let app = App::start_with(Db::Sqlite, &set).await;
    let root = root(&app).await;
    let held = fill(app.address).await;
    // As many as there are places beyond the cap, and a few more, all silent.
    let mut crowd = Vec::new();
    let mut request = format!("GET /rooms/ HTTP/1.1\r\nHost: {}\r\nX: ", app.address);
    request += &"x".repeat(8 * 1024);
    request += "\r\n\r\n";
    loop {
        for _ in 0..36 {
            crowd.push(connect(app.address).await);
        }
        // Now everyone is told to wait, and nobody asks for what. Only where this test was slow are
        // there places again.
        let answer = raw(app.address, request.as_bytes()).await;
        no_room(&answer);
        if answer.header("x-request-id").is_empty() {
            break;
        }
        assert!(crowd.len() < 360, "there is always a place for one more");
    }
    for _ in 0..200 {
        crowd.push(connect(app.address).await);
    }
    // But not for long: the silent ones are let go.
    let began = Instant::now();
    while get(app.address, "/rooms/", &root.token).await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "an operator is kept out");
    }
    let last = crowd.last_mut().expect("somebody");
    assert!(hung_up(last).await.starts_with("HTTP/1.1 503 "));
    drop(held);
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
async fn a_client_that_does_not_read_its_answers_loses_its_place() {
    let set = [
        ("server.max_connections", "1"),
        ("server.head_timeout", "5m"),
        ("server.idle_timeout", "1s"),
    ];
    let app = App::start_with(Db::Sqlite, &set).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut tcp = socket.connect(app.address).await.expect("a connection");
    // Many times what the systems keep between the two.
    let request = format!(
        "GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n",
        app.address
    );
    send(&mut tcp, &request.repeat(300)).await;
    let mut first = [0; 12];
    tcp.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    no_room(&get_and_close(app.address).await);
    room_again(app.address).await;
    let rest = hung_up(&mut tcp).await;
    let answers = rest.matches("HTTP/1.1 200 ").count();
    assert!(answers < 299, "{answers}");
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
