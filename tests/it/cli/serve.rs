//! `chatroom serve`: from an empty folder to a server.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use super::program::{Site, mode};
use crate::harness::{Db, User};

#[tokio::test]
async fn an_empty_folder_is_enough() {
    let site = Site::bare();
    let server = site.serve();
    let data = site.folder().join("data");
    let (key, database) = (data.join("secret_key"), data.join("chatroom.sqlite3"));
    assert_eq!(
        (mode(&data), mode(&key), mode(&database)),
        (0o700, 0o600, 0o600)
    );
    for entry in fs::read_dir(&data).expect("a folder") {
        let path = entry.expect("a file").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let address = server.address;
    for line in [
        format!("  API docs    http://{address}/docs\n"),
        format!("  sockets     ws://{address}/ws/chat/<room_id>/\n"),
        format!("  database    sqlite:///{}\n", database.display()),
        format!("  data        {}\n", data.display()),
        format!(
            "  secret key  {} (made now; whoever has it can be anyone)\n",
            key.display()
        ),
        "  superuser   none yet: `chatroom createsuperuser` makes one\n".to_owned(),
        format!("listening on http://{address}\n"),
    ] {
        assert!(
            server.said().contains(&line),
            "no {line:?} in {}",
            server.said()
        );
    }
    let health = server.stranger().get("/healthz").await;
    assert_eq!(health.status, 200);

    let ann = User::register(address, "ann").await;
    let room = ann.room("general").await;
    ann.say(&room, "hi").await;
    let made = fs::read_to_string(&key).expect("a key");
    let said = server.stop();
    assert!(!said.contains(&made));

    let server = site.serve();
    assert!(!server.said().contains("secret key"), "{}", server.said());
    assert_eq!(fs::read_to_string(&key).expect("a key"), made);
    let ann = ann.at(server.address);
    assert_eq!(ann.history(&room).await[0]["message"], "hi");
    server.stop();
}

on_both! {
    async fn a_fresh_database_is_the_servers_own_only_on_sqlite(db) {
        let site = Site::new(db);
        let server = match db {
            Db::Sqlite => site.serve(),
            Db::Postgres => {
                site.run("serve --port 0").refused(1, &[
                    "error: You have 3 unapplied migration(s). Run 'chatroom migrate' to apply them.\n",
                ]);
                let tables = "select count(*) from pg_class where relname in ('users', '_sqlx_migrations')";
                assert_eq!(site.place.count(tables).await, 0);
                site.call("serve --port 0 --migrate").serve()
            }
        };
        for step in ["0001_users", "0002_rooms", "0003_messages"] {
            assert!(server.said().contains(&format!("Applying {step}... OK\n")), "{}", server.said());
        }
        assert_eq!(server.stranger().get("/readyz").await.status, 200);
        let ann = User::register(server.address, "ann").await;
        ann.room("general").await;
        server.stop();

        let server = site.serve();
        assert!(!server.said().contains("Applying"), "{}", server.said());
        let rooms = ann.at(server.address).get("/rooms/").await.expect(200);
        assert_eq!(rooms["count"], 1);
        server.stop();
    }

    async fn the_environments_superuser_is_made_once_and_only_once(db) {
        let site = Site::migrated(db)
            .with("DJANGO_SUPERUSER_EMAIL", "root@example.org")
            .with("DJANGO_SUPERUSER_USERNAME", "django")
            .with("DJANGO_SUPERUSER_PASSWORD", "a horse of a different colour")
            .with("CHATROOM_SUPERUSER_USERNAME", "root");
        let server = site.serve();
        assert!(server.said().contains("superuser created, as the environment asks"), "{}", server.said());
        assert!(!server.said().contains("none yet"), "{}", server.said());
        let ann = User::register(server.address, "ann").await;
        let root = server.stranger().log_in("root", "a horse of a different colour").await;
        // Only superusers see addresses.
        let list = root.get("/api/users/").await.expect(200);
        assert_eq!(list[0]["email"], "ann@example.org");
        let list = ann.get("/api/users/").await.expect(200);
        assert_eq!(list[0]["email"], json!(null));
        server.stop();

        let site = site
            .with("CHATROOM_SUPERUSER_USERNAME", "second")
            .with("CHATROOM_SUPERUSER_EMAIL", "second@example.org")
            .with("CHATROOM_SUPERUSER_PASSWORD", "staple a battery");
        let server = site.serve();
        assert!(!server.said().contains("superuser"), "{}", server.said());
        assert_eq!(site.place.count("select count(*) from users").await, 2);
        server.stranger().log_in("root", "a horse of a different colour").await;
        server.stop();
    }

    async fn a_weak_superuser_in_the_environment_stops_the_start(db) {
        let site = Site::migrated(db)
            .with("CHATROOM_SUPERUSER_EMAIL", "root@example")
            .with("CHATROOM_SUPERUSER_USERNAME", "root")
            .with("CHATROOM_SUPERUSER_PASSWORD", "password123");
        let ran = site.run("serve --port 0");
        ran.refused(1, &[
            "error: the superuser in the environment: email: Enter a valid email address.\n",
            "error: the superuser in the environment: password: This password is too common.\n",
        ]);
        assert!(!ran.stderr.contains("password123"), "{ran:#?}");
        assert!(!ran.stderr.contains("listening"), "{ran:#?}");
        assert_eq!(site.place.count("select count(*) from users").await, 0);
    }
}

#[test]
fn half_a_superuser_in_the_environment_is_none() {
    let site = Site::bare()
        .with("CHATROOM_SUPERUSER_EMAIL", "root@example.org")
        .with("CHATROOM_SUPERUSER_USERNAME", "root");
    let server = site.serve();
    assert!(
        server.said().contains("superuser   none yet"),
        "{}",
        server.said()
    );
    server.stop();
}

#[test]
fn a_port_in_use_is_told_before_anything_is_made() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = held.local_addr().expect("an address");
    let site = Site::bare();
    for line in [
        format!("serve --port {}", address.port()),
        format!("serve --bind {address}"),
        format!("runserver --set server.bind={address}"),
    ] {
        site.run(&line).refused(
            1,
            &[
                &format!("error: cannot listen on {address}: address already in use\n"),
                "hint: choose another with --bind or PORT\n",
            ],
        );
    }
    assert!(!site.folder().join("data").exists());
}

#[test]
fn an_address_for_everyone_needs_the_names_of_the_hosts() {
    let site = Site::bare();
    for line in [
        "serve --bind 0.0.0.0:0",
        "serve --bind [::]:0",
        "serve --set server.bind=0.0.0.0:0",
    ] {
        let ran = site.run(line);
        ran.refused(
            1,
            &["which other machines can reach, but server.allowed_hosts is empty\n"],
        );
        let hint = "hint: set ALLOWED_HOSTS=chat.example.org (or * to answer to any name)\n";
        assert!(ran.stderr.contains(hint), "{ran:#?}");
    }
    assert!(!site.folder().join("data").exists());
    let server = site
        .call("serve --bind 0.0.0.0:0")
        .env("ALLOWED_HOSTS", "chat.example.org")
        .serve();
    let docs = format!("http://chat.example.org:{}/docs", server.address.port());
    assert!(server.said().contains(&docs), "{}", server.said());
    server.stop();
}

#[test]
fn redis_that_this_version_does_not_use_gets_one_warning() {
    let server = Site::bare()
        .with("REDIS_URL", "redis://:hunter2@127.0.0.1:6379/0")
        .serve();
    let said = server.stop();
    assert_eq!(said.matches("does not use Redis").count(), 1, "{said}");
    assert_eq!(said.matches("\"WARN\"").count(), 1, "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
