//! Requests that no HTTP library sends.

use serde_json::json;

use super::{is_refusal, lives};
use crate::harness::client::raw;
use crate::harness::{Answer, App, Db};

/// Sends these lines as the head of a request, without a `Host` of their own.
async fn head(app: &App, lines: &[&str]) -> Answer {
    let mut request = lines.join("\r\n");
    request += "\r\nConnection: close\r\n\r\n";
    raw(app.address, request.as_bytes()).await
}

fn host(app: &App) -> String {
    format!("Host: {}", app.address)
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let app = App::start(Db::Sqlite).await;
    let host = host(&app);
    let long = format!("X-Long: {}", "x".repeat(20 * 1024));
    assert_eq!(
        head(&app, &["GET /healthz HTTP/1.1", &host, &long])
            .await
            .status,
        431
    );
    let names: Vec<String> = (0..200).map(|n| format!("X-{n}: {n}")).collect();
    let mut many = vec!["GET /healthz HTTP/1.1", &host];
    many.extend(names.iter().map(String::as_str));
    assert_eq!(head(&app, &many).await.status, 431);
    let path = format!("GET /{} HTTP/1.1", "x".repeat(20 * 1024));
    let status = head(&app, &[&path, &host]).await.status;
    assert!([414, 431].contains(&status), "{status}");
    // What fits is answered.
    let some = format!("X-Long: {}", "x".repeat(10 * 1024));
    assert_eq!(
        head(&app, &["GET /healthz HTTP/1.1", &host, &some])
            .await
            .status,
        200
    );
    lives(&app).await;
}

#[tokio::test]
async fn an_unknown_method_or_path_is_told_in_the_one_shape() {
    let app = App::start(Db::Sqlite).await;
    let host = host(&app);
    for (path, allowed) in [
        ("/rooms/", "GET"),
        ("/rooms/create/", "POST"),
        ("/login", "POST"),
        ("/messages/general/", "GET"),
        ("/messages/general/send/", "POST"),
        ("/room/delete/general/", "DELETE"),
        ("/healthz", "GET"),
        ("/docs", "GET"),
        ("/openapi.json", "GET"),
        ("/ws/chat/general/", "GET"),
    ] {
        for method in ["BREW", "PATCH", "TRACE", "get", "M-SEARCH"] {
            let line = format!("{method} {path} HTTP/1.1");
            let refused = head(&app, &[&line, &host]).await;
            is_refusal(&refused, &line);
            let body = refused.refused(405, "method_not_allowed");
            let allow = refused.header("allow");
            assert!(allow.split(", ").any(|m| m == allowed), "{line}: {allow}");
            assert_eq!(body["detail"], format!("This path takes {allow}."));
        }
    }
    for line in [
        "GET /nowhere HTTP/1.1",
        "GET /rooms//create HTTP/1.1",
        "GET //rooms/ HTTP/1.1",
        "POST /messages// HTTP/1.1",
        "GET /messages HTTP/1.1",
        "GET /ws/chat/ HTTP/1.1",
        "GET /ws/chat/a/b HTTP/1.1",
        "BREW /pot HTTP/1.1",
        "GET /..%2f..%2fetc/passwd HTTP/1.1",
        "GET /../../etc/passwd HTTP/1.1",
        "GET /%00 HTTP/1.1",
        "GET /.env HTTP/1.1",
        "GET /Rooms/ HTTP/1.1",
    ] {
        let refused = head(&app, &[line, &host]).await;
        is_refusal(&refused, line);
        refused.refused(404, "not_found");
    }
    lives(&app).await;
}

#[tokio::test]
async fn a_target_that_is_no_path_is_no_fault_of_the_server() {
    let app = App::start(Db::Sqlite).await;
    let host = host(&app);
    for line in [
        "OPTIONS * HTTP/1.1",
        "GET * HTTP/1.1",
        "CONNECT example.org:443 HTTP/1.1",
        "CONNECT localhost:80 HTTP/1.1",
        "GET http://evil.example/rooms/ HTTP/1.1",
        "GET ? HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET rooms HTTP/1.1",
        "GET /rooms#x HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET",
        "",
        "GET /rooms/ HTTP/9.9",
        "GET /rooms/ HTTP/2.0",
        "GET /healthz",
        "G\0T / HTTP/1.1",
        "GET /\u{e9} HTTP/1.1\r\nX: \u{1}",
    ] {
        let answer = head(&app, &[line, &host]).await;
        assert!(
            answer.status < 500,
            "{line:?}: {} {}",
            answer.status,
            answer.text
        );
        assert!(
            answer.status == 0 || answer.status >= 400,
            "{line:?}: {}",
            answer.status
        );
    }
    let whole = format!("GET http://{}/healthz HTTP/1.1", app.address);
    assert_eq!(head(&app, &[&whole, &host]).await.status, 200);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff; 4096],
        b"\r\n\r\n\r\n\r\n\0",
    ] {
        let mut bytes = bytes.to_vec();
        bytes.extend_from_slice(b"\r\n\r\n");
        let answer = raw(app.address, &bytes).await;
        assert!(answer.status < 500, "{}", answer.status);
    }
    lives(&app).await;
}

#[tokio::test]
async fn a_request_goes_to_exactly_one_host_of_ours() {
    let app = App::start(Db::Sqlite).await;
    let host = host(&app);
    let rooms = "GET /rooms/ HTTP/1.1";
    for lines in [
        vec![rooms],
        vec![rooms, &host, &host],
        vec![rooms, &host, "Host: evil.example"],
        vec![rooms, "Host: evil.example"],
        vec![rooms, "Host:"],
        vec![rooms, "Host: \u{fffd}"],
        vec![rooms, "Host: a b"],
        vec![rooms, "Host: localhost.evil.example"],
        vec!["GET /rooms/ HTTP/1.0"],
        vec!["GET /ws/chat/general/ HTTP/1.1"],
        vec!["OPTIONS /rooms/ HTTP/1.1"],
    ] {
        let refused = head(&app, &lines).await;
        is_refusal(&refused, &lines.join(" | "));
        let body = refused.refused(400, "host_not_allowed");
        let text = "This server does not answer to that host name; see server.allowed_hosts.";
        assert_eq!(body["detail"], text);
    }
    head(&app, &[rooms, &host])
        .await
        .refused(401, "not_authenticated");
    head(&app, &[rooms, "Host: LOCALHOST:1"])
        .await
        .refused(401, "not_authenticated");
    // Those who ask whether it lives need no name.
    assert_eq!(
        head(&app, &["GET /healthz HTTP/1.1", "Host: 10.0.0.1"])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_body_has_exactly_one_length() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    ann.room("general").await;
    let (host, token) = (host(&app), format!("Authorization: Bearer {}", ann.token));
    let line = "POST /messages/general/send/ HTTP/1.1";
    for lengths in [
        &["Content-Length: 16", "Content-Length: 17"][..],
        &["Content-Length: 16, 17"],
        &["Content-Length: -1"],
        &["Content-Length: +16"],
        &["Content-Length: x"],
        &["Content-Length: 0x10"],
        &["Content-Length: 99999999999999999999"],
        &["Content-Length:"],
        &["Transfer-Encoding: gzip"],
        &["Transfer-Encoding: chunked, identity"],
        &["Transfer-Encoding : chunked"],
    ] {
        let lines = [&[line, &host, &token, "Connection: close"], lengths].concat();
        let mut request = lines.join("\r\n");
        request += "\r\n\r\n{\"message\":\"hi\"}";
        let answer = raw(app.address, request.as_bytes()).await;
        assert_eq!(answer.status, 400, "{lengths:?}: {}", answer.text);
    }
    // A length and chunks: whoever sits in between may have read the other one.
    let request = [
        line,
        &host,
        &token,
        "Connection: close",
        "Content-Length: 3",
    ]
    .join("\r\n")
        + "\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"message\":\"hi\"}\r\n0\r\n\r\n";
    let answer = raw(app.address, request.as_bytes()).await;
    assert!([201, 400].contains(&answer.status), "{}", answer.text);
    let said = ann.history("general").await.len();
    assert_eq!(said, usize::from(answer.status == 201));
    lives(&app).await;
}

#[tokio::test]
async fn an_answer_to_one_request_does_not_spoil_the_next() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    ann.room("general").await;
    // The same connection all along, as reqwest keeps it.
    for _ in 0..3 {
        ann.post("/messages/general/send/", json!({}))
            .await
            .refused(400, "empty_message");
        let big = json!({"message": "x".repeat(100_000)});
        ann.post("/messages/general/send/", big)
            .await
            .refused(413, "payload_too_large");
        ann.get("/messages/general/?limit=x")
            .await
            .refused(400, "invalid_parameter");
        ann.say("general", "hi").await;
    }
    // Two requests at once on one connection are answered in order.
    let host = host(&app);
    let two = format!(
        "GET /nowhere HTTP/1.1\r\n{host}\r\n\r\n\
         GET /healthz HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n"
    );
    let answers = raw(app.address, two.as_bytes()).await;
    assert_eq!(answers.status, 404);
    assert!(answers.text.contains("HTTP/1.1 200 OK"), "{}", answers.text);
}
