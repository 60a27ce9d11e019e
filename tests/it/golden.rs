//! The files that are written from the code and kept in the repository: `UPDATE_GOLDEN=1` writes
//! them anew.

use std::path::Path;

use crate::harness::{App, Db};

/// Compares a file of the repository with what it should be.
#[track_caller]
fn assert_golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&file, text).expect("to write");
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let line = kept
        .lines()
        .zip(text.lines())
        .position(|(kept, new)| kept != new);
    let line = line.unwrap_or_else(|| kept.lines().count().min(text.lines().count()));
    assert!(
        kept == text,
        "{name} is not what the code says, from line {} on; UPDATE_GOLDEN=1 cargo test golden \
         writes it anew\nkept: {:?}\ncode: {:?}",
        line + 1,
        kept.lines().nth(line),
        text.lines().nth(line),
    );
}

#[test]
fn the_document_in_the_repository_is_the_codes() {
    assert_golden("openapi.yaml", &chatroom::web::openapi_yaml());
}

#[test]
fn the_configuration_in_the_repository_is_the_codes() {
    assert_golden("config.toml", &chatroom::config::document());
}

#[tokio::test]
async fn the_document_is_served_as_it_is_kept() {
    let app = App::start(Db::Sqlite).await;
    let yaml = app.stranger().get("/openapi.yaml").await;
    assert_eq!(yaml.status, 200);
    assert_eq!(
        yaml.header("content-type"),
        "application/yaml; charset=utf-8"
    );
    assert!(
        yaml.text == chatroom::web::openapi_yaml(),
        "another document is served"
    );

    let json = app.stranger().get("/openapi.json").await;
    assert_eq!(
        json.header("content-type"),
        "application/json; charset=utf-8"
    );
    let json = json.expect(200);
    assert!(
        json["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3."))
    );
    let paths: Vec<String> = json["paths"]
        .as_object()
        .expect("paths")
        .keys()
        .cloned()
        .collect();
    let section = yaml.text.split("\npaths:\n").nth(1).expect("paths");
    let section = section
        .lines()
        .take_while(|line| line.starts_with(' ') || line.is_empty());
    let in_yaml: Vec<&str> = section
        .filter_map(|line| line.strip_prefix("  /")?.strip_suffix(':'))
        .collect();
    assert_eq!(
        paths,
        in_yaml
            .iter()
            .map(|path| format!("/{path}"))
            .collect::<Vec<_>>()
    );
    for path in [
        "/register/",
        "/login/",
        "/refresh/",
        "/logout/",
        "/api/users/",
        "/rooms/",
        "/rooms/create/",
        "/room/join/",
        "/room/delete/{room_id}/",
        "/messages/{room}/",
        "/messages/{room}/send/",
        "/healthz",
        "/readyz",
    ] {
        assert!(
            paths.iter().any(|known| known == path),
            "{path} is not in {paths:?}"
        );
    }
}
