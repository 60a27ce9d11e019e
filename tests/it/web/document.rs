//! The document: that it tells the truth about who is let in, and that its page fetches nothing.

use serde_json::{Map, Value, json};

use crate::harness::{App, Db};

/// The operations that anyone may call, with whatever credentials.
const OPEN: &[&str] = &[
    "POST /register/",
    "POST /login/",
    "POST /refresh/",
    "POST /logout/",
    "GET /healthz",
    "GET /readyz",
];

fn operations(document: &Value) -> Vec<(String, String, Map<String, Value>)> {
    let paths = document["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| {
            let operation = operation.as_object().expect("an operation").clone();
            (method.to_uppercase(), path.clone(), operation)
        })
    });
    all.collect()
}

#[tokio::test]
async fn what_the_document_says_is_closed_is_closed() {
    let app = App::start(Db::Sqlite).await;
    let stranger = app.stranger();
    let document = stranger.get("/openapi.json").await.expect(200);
    let mut open = Vec::new();
    let mut closed = 0;
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        let real = path.replace("{room_id}", "x").replace("{room}", "x");
        assert!(!real.contains('{'), "{real}");
        let answer = stranger
            .ask(
                &method,
                &real,
                &[("content-type", "application/json")],
                "{}",
            )
            .await;
        let responses = operation["responses"].as_object().expect("responses");
        let security = operation.get("security").and_then(Value::as_array);
        if security.is_none_or(Vec::is_empty) {
            assert_ne!(answer.status, 404, "{name}");
            open.push(name);
            continue;
        }
        closed += 1;
        assert_eq!(
            operation["security"],
            json!([{"bearer": []}, {"cookie": []}]),
            "{name}"
        );
        assert!(responses.contains_key("401"), "{name} does not tell of 401");
        answer.refused(401, "not_authenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{name}");
        // Before anything else about the request is looked at.
        let bad = stranger
            .ask(
                &method,
                &format!("{real}?limit=x&after=x"),
                &[("content-type", "text/plain")],
                "{",
            )
            .await;
        bad.refused(401, "not_authenticated");
    }
    open.sort_unstable();
    let mut expected = OPEN.to_vec();
    expected.sort_unstable();
    assert_eq!(open, expected);
    assert_eq!(closed, 7);
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["bearer"]["type"], &schemes["bearer"]["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
    assert_eq!(
        (&schemes["cookie"]["in"], &schemes["cookie"]["name"]),
        (&json!("cookie"), &json!("access_token"))
    );
}

#[tokio::test]
async fn every_operation_is_described() {
    let app = App::start(Db::Sqlite).await;
    let document = app.stranger().get("/openapi.json").await.expect(200);
    for (method, path, operation) in operations(&document) {
        for key in ["summary", "description", "operationId"] {
            let text = operation
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default();
            assert!(!text.is_empty(), "{method} {path} has no {key}");
        }
        assert_eq!(
            operation["tags"].as_array().map(Vec::len),
            Some(1),
            "{method} {path}"
        );
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let text = response["description"].as_str().unwrap_or_default();
            assert!(
                status == "200" || !text.is_empty(),
                "{method} {path} {status}"
            );
            let content = response["content"].as_object().expect("a body");
            assert!(
                content
                    .keys()
                    .all(|kind| kind.starts_with("application/json")),
                "{content:?}"
            );
        }
    }
}

/// The tags of a page, without what is between `<script>` and `</script>`, or in a style.
fn tags(page: &str) -> Vec<String> {
    let mut rest = page.to_owned();
    for name in ["script", "style"] {
        let (open, close) = (format!("<{name}"), format!("</{name}>"));
        let mut kept = String::new();
        while let Some(start) = rest.find(&open) {
            let body = start + rest[start..].find('>').expect("the end of a tag") + 1;
            let end = body + rest[body..].find(&close).expect("the end of a script");
            kept.push_str(&rest[..body]);
            rest = rest[end..].to_owned();
        }
        rest = kept + &rest;
    }
    rest.split('<')
        .skip(1)
        .map(|tag| tag.split('>').next().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn the_page_shows_the_document_and_fetches_nothing() {
    let app = App::start(Db::Sqlite).await;
    let answer = app.stranger().get("/docs").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let document = app.stranger().get("/openapi.json").await;
    assert!(
        answer.text.contains(&document.text),
        "the page has another document"
    );
    for (_, path, _) in operations(&document.json()) {
        assert!(answer.text.contains(&format!("\"{path}\"")), "{path}");
    }
    let tags = tags(&answer.text);
    assert!(tags.iter().any(|tag| tag.starts_with("script")), "{tags:?}");
    for tag in tags {
        for attribute in ["src=", "href=", "action=", "data=", "http-equiv=\"refresh"] {
            assert!(!tag.contains(attribute), "<{tag}>");
        }
    }
    // Styles and scripts that would be read from elsewhere.
    for fetched in [
        "@import",
        "url(http",
        "url(\"http",
        "url('http",
        "url(//",
        "validatorUrl: \"http",
    ] {
        assert!(!answer.text.contains(fetched), "{fetched}");
    }
}
