//! Bad input: whatever comes is answered with a clear 4xx, and the server goes on.

mod bodies;
mod fields;
mod wire;

use crate::harness::{Answer, App};

/// Asserts that the application refused it: a 4xx in the one shape of errors.
#[track_caller]
fn is_refusal(answer: &Answer, what: &str) {
    let text = &answer.text;
    assert!(
        (400..500).contains(&answer.status),
        "{what}: {} {text}",
        answer.status
    );
    let kind = answer.header("content-type");
    assert!(
        kind.starts_with("application/json"),
        "{what}: {kind}: {text}"
    );
    let body = answer.json();
    assert!(body["code"].is_string(), "{what}: {text}");
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty()),
        "{what}: {text}"
    );
    assert_eq!(body["error"], body["detail"], "{what}");
}

/// Asserts that the server still answers.
async fn lives(app: &App) {
    assert_eq!(app.stranger().get("/healthz").await.status, 200);
}
