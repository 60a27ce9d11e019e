//! Errors that no rule makes: wrong paths, methods, bodies and parameters, all in the one shape.

use serde_json::json;

use crate::harness::{App, Db};

#[tokio::test]
async fn an_unknown_path_is_told_so() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    let told = json!({"code": "not_found", "detail": "There is nothing here.",
        "error": "There is nothing here."});
    for path in [
        "/nowhere",
        "/nowhere/",
        "/api/",
        "/api",
        "/rooms/x/y",
        "/messages/",
        "/messages/a/b/c/",
        "/room/",
        "/login/x",
        "/ROOMS/",
        "/login.php",
        "/room/delete/",
        "/ws/chat/",
        "/ws/all/",
        "/.env",
        "/openapi",
        "/rooms%2F",
    ] {
        for user in [&ann, &app.stranger()] {
            for method in ["GET", "POST", "PUT", "DELETE", "BREW"] {
                let answer = user.ask(method, path, &[], "").await;
                assert_eq!(answer.refused(404, "not_found"), told, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    for (path, methods) in [
        ("/register", "POST, OPTIONS"),
        ("/login", "POST, OPTIONS"),
        ("/refresh", "POST, OPTIONS"),
        ("/logout", "POST, OPTIONS"),
        ("/api/users", "GET, HEAD, OPTIONS"),
        ("/rooms", "GET, HEAD, OPTIONS"),
        ("/rooms/create", "POST, OPTIONS"),
        ("/room/join", "POST, OPTIONS"),
        ("/room/delete/x", "DELETE, OPTIONS"),
        ("/messages/x", "GET, HEAD, OPTIONS"),
        ("/messages/x/send", "POST, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
        ("/docs", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
        ("/openapi.yaml", "GET, HEAD, OPTIONS"),
    ] {
        let text = format!("This path takes {methods}.");
        for slash in ["", "/"] {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
                if methods.contains(method) {
                    continue;
                }
                // With and without credentials: methods are no secret.
                for user in [&ann, &app.stranger()] {
                    let answer = user.ask(method, &format!("{path}{slash}"), &[], "").await;
                    let body = answer.refused(405, "method_not_allowed");
                    assert_eq!(body["detail"], text, "{method} {path}");
                    assert_eq!(answer.header("allow"), methods, "{method} {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn both_spellings_of_a_path_are_answered_without_a_redirect() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let messages = format!("/messages/{room}");
    for path in [
        "/rooms",
        "/api/users",
        &messages,
        "/docs",
        "/openapi.json",
        "/openapi.yaml",
        "/healthz",
        "/readyz",
    ] {
        let without = ann.get(path).await;
        let with = ann.get(&format!("{path}/")).await;
        assert_eq!((without.status, with.status), (200, 200), "{path}");
        assert_eq!(without.text, with.text, "{path}");
        let query = ann.get(&format!("{path}/?a=b/")).await;
        assert_eq!((query.status, &query.text), (200, &with.text), "{path}");
    }
    for (path, status) in [
        ("/register", 400),
        ("/login", 400),
        ("/refresh", 400),
        ("/rooms/create", 400),
        ("/room/join", 400),
        (&format!("{messages}/send") as &str, 400),
        ("/logout", 200),
    ] {
        // The last one ends the session, and is the last one.
        for spelling in [path.to_owned(), format!("{path}/")] {
            let answer = ann.post(&spelling, json!({})).await;
            assert_eq!(answer.status, status, "{spelling}: {}", answer.text);
        }
    }
}

const JSON: Header = ("content-type", "application/json");
const FORM: Header = ("content-type", "application/x-www-form-urlencoded");

/// Method, path, a header, the body; the status and its code.
type Wrong = (
    &'static str,
    &'static str,
    Header,
    &'static str,
    u16,
    &'static str,
);
type Header = (&'static str, &'static str);

/// Requests that cannot be right.
#[rustfmt::skip]
const WRONG: &[Wrong] = &[
    ("POST", "/login/", JSON, "{", 400, "invalid_body"),
    ("POST", "/login/", JSON, "[]", 400, "invalid_body"),
    ("POST", "/login/", JSON, "\"x\"", 400, "invalid_body"),
    ("POST", "/login/", JSON, "null", 400, "invalid_body"),
    ("POST", "/login/", JSON, "{\"username\":\"a\",}", 400, "invalid_body"),
    ("POST", "/login/", JSON, "", 400, "invalid"),
    ("POST", "/login/", FORM, "%FF=%FF", 400, "invalid"),
    ("POST", "/login/", ("content-type", "application/xml"), "<a/>", 415, "unsupported_media_type"),
    ("POST", "/rooms/create/", ("content-type", "text/plain"), "x", 415, "unsupported_media_type"),
    ("POST", "/messages/general/send/", JSON, "{}", 400, "empty_message"),
    ("POST", "/messages/general/send/", ("idempotency-key", ""), "{\"message\":\"x\"}", 400, "message_invalid"),
    ("GET", "/messages/general/?limit=x", JSON, "", 400, "invalid_parameter"),
    ("GET", "/messages/general/?before=1&after=2", JSON, "", 400, "invalid_parameter"),
    ("GET", "/messages/general/?before=1.5", JSON, "", 400, "invalid_parameter"),
    ("GET", "/messages/nowhere/", JSON, "", 404, "room_not_found"),
    ("GET", "/rooms/?limit=", JSON, "", 400, "invalid_parameter"),
    ("GET", "/api/users/?after=%F0%9F%91%8B", JSON, "", 400, "invalid_parameter"),
    ("DELETE", "/room/delete/nowhere/", JSON, "", 404, "room_not_found"),
    ("GET", "/%FF", JSON, "", 400, "invalid_parameter"),
    ("GET", "/ws/chat/general/", JSON, "", 426, "upgrade_required"),
    ("TRACE", "/rooms/", JSON, "", 405, "method_not_allowed"),
];

#[tokio::test]
async fn no_error_is_plain_text() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    ann.room("general").await;
    for &(method, path, header, body, status, code) in WRONG {
        let answer = ann.ask(method, path, &[header], body).await;
        let told = (answer.status, answer.json()["code"].clone());
        assert_eq!(told, (status, code.into()), "{method} {path} {body}");
        // With the shape, and the type, that every error has.
        answer.refused(status, code);
    }
    let large = "x".repeat(70_000);
    let answer = ann.ask("POST", "/rooms/create/", &[JSON], large).await;
    answer.refused(413, "payload_too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_drains_says_so_to_whoever_comes() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let ready = ann.get("/readyz").await.expect(200);
    assert_eq!(
        ready,
        json!({"status": "ok", "database": "ok", "bus": "in-process"})
    );
    // Whoever does not answer the close frame is waited for, and holds the server up.
    let mut slow = ann.socket(&room).await;
    slow.expect("message_history").await;
    app.begin_to_stop();
    let fresh = || app.stranger();
    let ready = fresh().get("/readyz").await.expect(503);
    assert_eq!(ready["status"], "draining");
    fresh().get("/healthz").await.expect(200);
    let answer = fresh().get("/rooms/").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(slow.closed().await, 1001);
}
