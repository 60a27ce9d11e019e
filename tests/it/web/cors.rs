//! Origins: who may call from a page elsewhere, and that nobody else is kept from calling.

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::{Answer, App, Db};

const LISTED: &str = "http://localhost:5173";

#[track_caller]
fn assert_unmarked(answer: &Answer) {
    let names = answer
        .headers
        .keys()
        .map(reqwest::header::HeaderName::as_str);
    let marks: Vec<&str> = names
        .filter(|name| name.starts_with("access-control-"))
        .collect();
    assert_eq!(marks, Vec::<&str>::new());
    // Or a cache would give a stranger's answer to a listed page.
    assert_eq!(answer.header("vary"), "Origin");
}

#[track_caller]
fn assert_marked(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(exposed, "Link, Retry-After, X-Request-Id");
    assert_eq!(answer.header("vary"), "Origin");
}

#[tokio::test]
async fn a_listed_origin_may_ask_before_it_calls() {
    let app = App::start(Db::Sqlite).await;
    for (path, methods) in [
        ("/login/", "POST, OPTIONS"),
        ("/login", "POST, OPTIONS"),
        ("/rooms/", "GET, HEAD, OPTIONS"),
        ("/room/delete/x/", "DELETE, OPTIONS"),
        ("/messages/x/send/", "POST, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let method = methods.split(',').next().expect("a method");
        let headers = [
            ("origin", LISTED),
            ("access-control-request-method", method),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        let answer = app.stranger().ask("OPTIONS", path, &headers, "").await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{path}");
        assert_marked(&answer, LISTED);
        assert_eq!(
            answer.header("access-control-allow-methods"),
            methods,
            "{path}"
        );
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "Authorization, Content-Type, Idempotency-Key, X-CSRFToken, X-Request-Id, \
             X-Requested-With"
        );
        assert_eq!(answer.header("access-control-max-age"), "86400");
        assert_eq!(answer.header("allow"), methods);
    }
    app.stranger()
        .ask("OPTIONS", "/nowhere", &[("origin", LISTED)], "")
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn a_stranger_is_told_the_methods_and_no_more() {
    let app = App::start(Db::Sqlite).await;
    for origin in [
        "http://evil.example",
        "null",
        "http://localhost:5174",
        "https://localhost:5173",
        "http://localhost",
        "http://localhost:5173.evil.example",
        "http://localhost:5173/",
    ] {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
        ];
        let answer = app.stranger().ask("OPTIONS", "/login/", &headers, "").await;
        assert_eq!(
            (answer.status, answer.header("allow").as_str()),
            (204, "POST, OPTIONS")
        );
        assert_unmarked(&answer);
    }
    let answer = app.stranger().ask("OPTIONS", "/login/", &[], "").await;
    assert_eq!(answer.status, 204);
    assert_unmarked(&answer);
}

#[tokio::test]
async fn every_answer_to_a_listed_origin_is_marked() {
    let app = App::start_with(
        Db::Sqlite,
        &[(
            "cors.allowed_origins",
            "https://a.example,http://b.example:81",
        )],
    )
    .await;
    let ann = app.user("ann").await;
    for origin in ["https://a.example", "http://b.example:81"] {
        for (method, path, status) in [
            ("GET", "/rooms/", 200),
            ("GET", "/nowhere", 404),
            ("PUT", "/rooms/", 405),
            ("POST", "/login/", 400),
            ("GET", "/rooms/?limit=x", 400),
        ] {
            let answer = ann.ask(method, path, &[("origin", origin)], "").await;
            assert_eq!(answer.status, status, "{path}");
            assert_marked(&answer, origin);
        }
        let headers = [("origin", origin)];
        let answer = app.stranger().ask("GET", "/rooms/", &headers, "").await;
        assert_eq!(answer.status, 401);
        // Else the page could not tell that it has to refresh.
        assert_marked(&answer, origin);
    }
}

#[tokio::test]
async fn a_stranger_is_answered_without_the_marks() {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    for origin in ["http://evil.example", "null", "https://a.example"] {
        let answer = ann.ask("GET", "/rooms/", &[("origin", origin)], "").await;
        answer.expect(200);
        assert_unmarked(&answer);
    }
    assert_unmarked(&ann.get("/rooms/").await);
}

#[tokio::test]
async fn the_servers_own_pages_may_post() {
    let app = App::start(Db::Sqlite).await;
    app.user("ann").await;
    let own = format!("http://{}", app.address);
    let form = json!({"username": "ann", "password": PASSWORD}).to_string();
    let headers = [
        ("origin", own.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = app.stranger().ask("POST", "/login/", &headers, form).await;
    let token = answer.expect(200)["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let cookie = format!("access_token={token}");
    let headers = [headers[0], headers[1], ("cookie", cookie.as_str())];
    let form = json!({"chat_room_name": "general"}).to_string();
    app.stranger()
        .ask("POST", "/rooms/create/", &headers, form)
        .await
        .expect(201);
}
