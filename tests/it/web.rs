//! What holds for every path: errors, methods, hosts, origins, headers, health and the document.

mod connections;
mod cors;
mod document;
mod errors;

use serde_json::json;

use crate::harness::{App, Db};

#[tokio::test]
async fn health_is_told_to_everyone_under_any_name() {
    let app = App::start_with(Db::Sqlite, &[("server.allowed_hosts", "chat.example.org")]).await;
    let foreign = [("host", "10.0.0.7:8000")];
    for path in ["/healthz", "/healthz/"] {
        let answer = app.stranger().ask("GET", path, &foreign, "").await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (200, r#"{"status":"ok"}"#),
            "{path}"
        );
    }
    for path in ["/readyz", "/readyz/"] {
        let answer = app.stranger().ask("GET", path, &foreign, "").await;
        let told = json!({"status": "ok", "database": "ok", "bus": "in-process"});
        assert_eq!(answer.expect(200), told, "{path}");
    }
}

#[tokio::test]
async fn only_its_own_names_are_answered() {
    let set = [("server.allowed_hosts", "chat.example.org,.example.net")];
    let app = App::start_with(Db::Sqlite, &set).await;
    let text = "This server does not answer to that host name; see server.allowed_hosts.";
    for (host, known) in [
        ("chat.example.org", true),
        ("CHAT.example.org:8000", true),
        ("chat.example.org.", true),
        ("example.net", true),
        ("a.b.example.net", true),
        ("example.org", false),
        ("evil.example", false),
        ("chat.example.org.evil.example", false),
        ("xexample.net", false),
        ("127.0.0.1", false),
        ("localhost:8000", false),
    ] {
        let headers = [("host", host)];
        for (path, status) in [("/openapi.yaml", 200), ("/rooms/", 401), ("/nowhere", 404)] {
            let answer = app.stranger().ask("GET", path, &headers, "").await;
            if known {
                assert_eq!(answer.status, status, "{host} {path}");
            } else {
                let body = answer.refused(400, "host_not_allowed");
                assert_eq!(body["detail"], text);
            }
        }
    }
    // Nor does another header say otherwise.
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "chat.example.org"),
    ];
    app.stranger()
        .ask("GET", "/docs", &headers, "")
        .await
        .refused(400, "host_not_allowed");
}

#[tokio::test]
async fn on_a_loopback_address_the_local_names_are_answered() {
    let app = App::start(Db::Sqlite).await;
    for host in [
        "localhost",
        "localhost:5173",
        "127.0.0.1:1",
        "[::1]:8000",
        "[::1]",
    ] {
        let answer = app
            .stranger()
            .ask("GET", "/docs", &[("host", host)], "")
            .await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
    ] {
        let answer = app
            .stranger()
            .ask("GET", "/docs", &[("host", host)], "")
            .await;
        answer.refused(400, "host_not_allowed");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_not_stored() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    let mut seen = Vec::new();
    for (method, path, status) in [
        ("GET", "/rooms/", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/rooms/", 405),
        ("GET", "/healthz", 200),
        ("GET", "/docs", 200),
        ("POST", "/register/", 400),
        ("OPTIONS", "/rooms/", 204),
    ] {
        let answer = ann.ask(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let id = answer.header("x-request-id");
        assert_eq!(id.len(), 32, "{id}");
        assert!(!seen.contains(&id), "{id} twice");
        seen.push(id);
        let headers = [("x-request-id", "5F6f-my-own-id")];
        let answer = ann.ask(method, path, &headers, "").await;
        assert_eq!(answer.header("x-request-id"), "5F6f-my-own-id", "{path}");
    }
    for bad in ["", "a b", "a\"b", "a<b", &"x".repeat(129)] {
        let answer = ann
            .ask("GET", "/rooms/", &[("x-request-id", bad)], "")
            .await;
        assert_eq!(answer.header("x-request-id").len(), 32, "{bad:?}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    ann.room("general").await;
    for path in [
        "/healthz",
        "/readyz",
        "/docs",
        "/openapi.json",
        "/openapi.yaml",
        "/rooms/",
        "/api/users/",
        "/messages/general/",
        "/nowhere",
    ] {
        let (get, head) = (ann.get(path).await, ann.ask("HEAD", path, &[], "").await);
        assert_eq!(
            (head.status, head.text.as_str()),
            (get.status, ""),
            "{path}"
        );
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
        // The length may be left out (RFC 9110, 9.3.2), but not be another.
        let length = head.header("content-length");
        assert!(
            length.is_empty() || length == get.text.len().to_string(),
            "{path}: {length}"
        );
    }
    assert_eq!(
        app.stranger().ask("HEAD", "/rooms/", &[], "").await.status,
        401
    );
    let answer = ann.ask("HEAD", "/login/", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, "POST, OPTIONS".to_owned())
    );
}
