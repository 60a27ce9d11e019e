//! What must not be told is not told, however much is logged.

use super::program::Site;
use crate::harness::{Db, User};

const KEY: &str = "the-key-d1e2f3a4b5c6978877665544332211";
const SUPERUSER: &str = "superuser-hunter-one";
const DATABASE: &str = "database-hunter-two";

on_both! {
    async fn no_secret_is_printed_or_logged(db) {
        let site = Site::migrated(db);
        let url = site.place.database_url.replace("postgres@", &format!("postgres:{DATABASE}@"));
        assert_eq!(url.contains(DATABASE), db == Db::Postgres);
        let site = site
            .with("DATABASE_URL", &url)
            .with("SECRET_KEY", KEY)
            .with("CHATROOM_SUPERUSER_EMAIL", "root@example.org")
            .with("CHATROOM_SUPERUSER_USERNAME", "root")
            .with("CHATROOM_SUPERUSER_PASSWORD", SUPERUSER)
            .with("RUST_LOG", "trace");
        let server = site.serve();
        assert!(server.said().contains("superuser created"), "{}", server.said());
        let ann = User::register(server.address, "ann").await;
        let room = ann.room("general").await;
        ann.say(&room, "between-the-two-of-us").await;
        let mut socket = ann.socket(&room).await;
        socket.expect("message_history").await;
        socket.send(serde_json::json!({"type": "auth", "token": ann.token})).await;
        socket.quiet().await;
        server.stranger().log_in("root", SUPERUSER).await;
        socket.close().await;
        let mut said = server.stop();
        for line in ["rooms list", "migrate", "createsuperuser --noinput --if-not-exists"] {
            let ran = site.run(line);
            said.push_str(&ran.stderr);
            said.push_str(&ran.ok());
        }
        for secret in [
            KEY,
            SUPERUSER,
            DATABASE,
            crate::harness::client::PASSWORD,
            "between-the-two-of-us",
            "$argon2id$",
            &ann.token,
            &ann.refresh,
        ] {
            let lines: Vec<_> = said.lines().filter(|line| line.contains(secret)).collect();
            assert!(lines.is_empty(), "{secret}: {lines:#?}");
        }
    }
}

#[test]
fn a_secret_that_is_wrong_is_not_repeated() {
    let site = Site::bare();
    for (name, value) in [
        ("SECRET_KEY", "hunter2"),
        ("CHATROOM_SECRET_KEY", "hunter2"),
        ("DATABASE_URL", "postgres://ann:p#hunter2@127.0.0.1/chat"),
        ("DATABASE_URL", "mysql://ann:hunter2@127.0.0.1/chat"),
        ("REDIS_URL", "redis://:p@hunter2@127.0.0.1/0/1"),
    ] {
        let ran = site.call("serve --port 0").env(name, value).run();
        ran.refused(
            1,
            &[&format!("error: environment variable {name}: "), "hint: "],
        );
        assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    }
    site.write(".env", "SECRET_KEY=hunter2 hunter2\n");
    let ran = site.run("serve --port 0");
    ran.refused(1, &["error: .env:1: cannot be understood\n"]);
    assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    assert!(!site.folder().join("data").exists());
}

#[test]
fn a_weak_key_is_for_debugging_only() {
    for weak in ["changeme", "your_secret_key", "0123456789abcdef"] {
        let site = Site::bare().with("SECRET_KEY", weak);
        site.run("serve --port 0").refused(
            1,
            &[
                "error: environment variable SECRET_KEY: the key is ",
                "hint: make one with `openssl rand -hex 32`, or set none",
            ],
        );
    }
    let server = Site::bare()
        .with("SECRET_KEY", "changeme")
        .with("DEBUG", "True")
        .serve();
    let said = server.stop();
    assert!(!said.contains("changeme"), "{said}");
    assert!(!said.contains("secret key"), "{said}");
}
