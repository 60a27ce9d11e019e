//! Secrets: where they may come from, which are refused, and that no message tells one.

use super::*;

#[test]
fn no_mistake_tells_a_secret() {
    let secrets = [
        ("secret_key", "SECRET_KEY", "hunter2"),
        (
            "database.url",
            "DATABASE_URL",
            "mysql://ann:hunter2@db/chat",
        ),
        (
            "database.url",
            "DATABASE_URL",
            "postgres://ann:hunter2#@db/chat",
        ),
        ("redis.url", "REDIS_URL", "http://:hunter2@redis"),
    ];
    for (key, name, value) in secrets {
        for place in [
            Place::new().toml(&format!("{key} = \"{value}\"")),
            Place::new().toml(&format!("{key} = \"{value}")),
            Place::new().toml(&format!("{key} = {value}")),
            Place::new().toml(&format!("{key} = [\"{value}\"]")),
            Place::new().toml(&format!("{key} = '''{value}")),
            Place::new().toml(&format!("{key} = \"{value}\\q\"")),
            Place::new().dotenv(&format!("{name}={value}")),
            Place::new().dotenv(&format!("{name}=\"{value}")),
            Place::new().dotenv(&format!("{name} {value}")),
            Place::new().dotenv(&format!("{name}={value} x")),
            Place::new().env(name, value),
            Place::new().set(key, value),
        ] {
            let error = place.load().expect_err(value);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
    let config = Place::new()
        .env("SECRET_KEY", KEY)
        .env("DATABASE_URL", "postgres://ann:hunter2@db/chat")
        .env("REDIS_URL", "redis://:hunter2@redis")
        .config();
    let shown = format!("{config:?} {}", config.database.url);
    assert!(
        !shown.contains("hunter2") && !shown.contains(KEY),
        "{shown}"
    );
}

#[test]
fn a_weak_key_is_refused_by_name() {
    let problem = Place::new().dotenv("SECRET_KEY=your_secret_key").problem();
    assert_eq!(
        problem.message,
        ".env:1: SECRET_KEY: the key is a placeholder that everyone knows"
    );
    assert!(problem.hint.unwrap().contains("openssl rand -hex 32"));
    let place = Place::new().dotenv("SECRET_KEY=your_secret_key\nDEBUG=True");
    assert_eq!(
        place.config().secret_key.unwrap().expose(),
        "your_secret_key"
    );
}

#[test]
fn a_key_file_must_hold_a_key() {
    let place = Place::new().env("SECRET_KEY_FILE", "key");
    let path = place.path().join("key").display().to_string();
    let told = "environment variable SECRET_KEY_FILE: ";
    assert!(
        place
            .problem()
            .message
            .starts_with(&format!("{told}cannot read {path}: "))
    );
    let place = place.write("key", "\n").env("DEBUG", "1");
    assert_eq!(
        place.problem().message,
        format!("{told}the file {path} is empty")
    );
    let place = Place::new()
        .write("key", "changeme\n")
        .env("SECRET_KEY_FILE", "key");
    assert_eq!(
        place.problem().message,
        format!("{told}the key is a placeholder that everyone knows")
    );
}

#[test]
fn a_dollar_in_a_secret_is_not_silently_replaced() {
    let line = format!("SECRET_KEY={KEY}$abc");
    Place::new().dotenv(&line).says(
        ".env:1: SECRET_KEY: has a $, which a .env file replaces by a variable",
        "put the value in single quotes; or write ${NAME}, if a variable is meant",
    );
    let place = Place::new().dotenv(&format!("SECRET_KEY='{KEY}$abc'"));
    assert_eq!(
        place.config().secret_key.unwrap().expose(),
        format!("{KEY}$abc")
    );
    let place = Place::new().dotenv("PW=x\nDATABASE_URL=postgres://ann:${PW}@db/chat");
    assert_eq!(
        place.config().database.url.to_string(),
        "postgres://ann:***@db/chat"
    );
}

#[test]
fn a_secret_may_come_from_a_file() {
    for name in ["SECRET_KEY_FILE", "CHATROOM_SECRET_KEY_FILE"] {
        let place = Place::new()
            .write("key", format!("{KEY}\n"))
            .env(name, "key");
        assert_eq!(place.config().secret_key.unwrap().expose(), KEY);
    }
    let other = "fedcba9876543210fedcba9876543210";
    let place = Place::new()
        .write("key", other)
        .env("SECRET_KEY_FILE", "missing");
    let place = place.env("SECRET_KEY", KEY);
    assert_eq!(place.config().secret_key.unwrap().expose(), KEY);
    let place = place.env("CHATROOM_SECRET_KEY_FILE", "key");
    assert_eq!(place.config().secret_key.unwrap().expose(), other);
}
