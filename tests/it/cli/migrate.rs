//! `chatroom migrate`.

use serde_json::json;

use super::program::Site;
use crate::harness::Db;

const STEPS: [&str; 3] = ["0001_users", "0002_rooms", "0003_messages"];

on_both! {
    async fn steps_are_applied_once(db) {
        let site = Site::new(db);
        let pending = "0001_users\n0002_rooms\n0003_messages\n";
        let check = site.run("migrate --check");
        assert_eq!((check.code, check.stdout.as_str()), (1, pending));
        let sentence = "error: You have 3 unapplied migration(s). Run 'chatroom migrate' to apply them.\n";
        assert_eq!(check.stderr, sentence);
        assert_eq!(site.run("migrate --plan").ok(), pending);

        let applied = "Applying 0001_users... OK\nApplying 0002_rooms... OK\nApplying 0003_messages... OK\n";
        let ran = site.run("migrate");
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (applied, ""));
        assert_eq!(site.run("migrate").ok(), "No migrations to apply.\n");
        let check = site.run("migrate --check");
        assert_eq!(check.stderr, "No migrations to apply.\n");
        assert_eq!(check.ok(), "");
        assert_eq!(site.run("migrate --plan").ok(), "");
    }

    async fn programs_get_one_document(db) {
        let site = Site::new(db);
        let nothing_yet = json!({"applied": [], "pending": STEPS});
        assert_eq!(site.run("migrate --plan --json").json(), nothing_yet);
        let check = site.run("migrate --check --json");
        assert_eq!(check.code, 1);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&check.stdout).expect("JSON"), nothing_yet);
        let ran = site.run("migrate --json");
        assert!(ran.stderr.contains("Applying 0003_messages... OK\n"), "{ran:#?}");
        assert_eq!(ran.json(), json!({"applied": STEPS, "pending": []}));
        assert_eq!(site.run("migrate --json").json(), json!({"applied": [], "pending": []}));
        assert_eq!(site.run("migrate --check --json").json(), json!({"applied": STEPS, "pending": []}));
    }

    async fn several_at_once_all_succeed(db) {
        let site = Site::new(db);
        let started: Vec<_> = (0..3).map(|_| site.call("migrate").start()).collect();
        for started in started {
            started.end().ok();
        }
        assert_eq!(site.place.count("select count(*) from _sqlx_migrations where success").await, 3);
        assert_eq!(site.run("migrate --check").code, 0);
    }

    async fn to_look_changes_nothing(db) {
        let site = Site::new(db);
        site.run("migrate --plan").ok();
        assert_eq!(site.run("migrate --check").code, 1);
        match db {
            Db::Sqlite => {
                let files = std::fs::read_dir(site.folder()).expect("a folder");
                assert_eq!(files.count(), 0);
            }
            Db::Postgres => {
                let made = "select count(*) from pg_class where relname = '_sqlx_migrations'";
                assert_eq!(site.place.count(made).await, 0);
            }
        }
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let site = Site::bare();
    site.write("file", "");
    for (url, shown) in [
        (
            // Port 1 is nobody's.
            "postgres://ann:hunter2@127.0.0.1:1/chat",
            "hint: the database is postgres://ann:***@127.0.0.1:1/chat\n",
        ),
        (
            "sqlite:///file/chat.sqlite3",
            "error: cannot open the database file ",
        ),
    ] {
        let ran = site.call("migrate").env("DATABASE_URL", url).run();
        ran.refused(1, &["error: cannot open the database", shown]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    }
}
