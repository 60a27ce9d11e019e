//! A schema that is older or newer than the program.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::{Site, mode};
use crate::harness::{Db, Place};

const OLD: &str = "drop table messages; delete from _sqlx_migrations where version = 3";
const NEW: &str = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                   values (9999, 'later', true, '00', 0)";
const PENDING: &str =
    "error: You have 1 unapplied migration(s). Run 'chatroom migrate' to apply them.\n";
const ANN: &str = "createsuperuser --username ann --email ann@example.org --password-stdin";

/// The place of a copy of a SQLite database, to look into it.
fn copied(file: &Path) -> Place {
    Place {
        database_url: format!("sqlite:///{}", file.display()),
        ..Place::new(Db::Sqlite)
    }
}

fn copies(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("a file").path());
    paths
        .filter(|path| path.to_string_lossy().contains("-before-"))
        .collect()
}

on_both! {
    async fn an_old_schema_is_migrated_by_the_server_only_on_sqlite(db) {
        let site = Site::migrated(db);
        site.call(ANN).input("correct horse battery\n").run().ok();
        site.place.sql(OLD).await;
        let server = match db {
            Db::Sqlite => site.serve(),
            Db::Postgres => {
                site.run("serve --port 0").refused(1, &[PENDING]);
                site.call("serve --port 0 --migrate").serve()
            }
        };
        assert!(server.said().contains("Applying 0003_messages... OK\n"), "{}", server.said());
        assert!(!server.said().contains("0002_rooms..."), "{}", server.said());
        let ann = server.stranger().log_in("ann", "correct horse battery").await;
        let room = ann.room("general").await;
        ann.say(&room, "hi").await;
        let said = server.stop();

        let copies = copies(site.folder());
        if db == Db::Postgres {
            assert!(copies.is_empty());
            return;
        }
        let [copy] = copies.as_slice() else { panic!("{copies:?}") };
        assert!(said.contains(&format!("the database was copied to {}\n", copy.display())), "{said}");
        assert_eq!(mode(copy), 0o600);
        let copy = copied(copy);
        assert_eq!(copy.count("select count(*) from users where username = 'ann'").await, 1);
        assert_eq!(copy.count("select max(version) from _sqlx_migrations").await, 2);
        assert_eq!(copy.count("select count(*) from sqlite_master where name = 'messages'").await, 0);
    }

    async fn an_old_schema_is_not_worked_on(db) {
        let site = Site::migrated(db);
        site.place.sql(OLD).await;
        site.run("rooms list").refused(1, &[PENDING]);
        site.run("migrate --check").stderr.contains(PENDING).then_some(()).expect("the sentence");
        let made = site.call(ANN).input("correct horse battery\n").run();
        match db {
            Db::Sqlite => assert!(made.ok().contains("created successfully")),
            Db::Postgres => made.refused(1, &[PENDING]),
        }
    }

    async fn migrate_copies_an_old_sqlite_database_aside(db) {
        let site = Site::migrated(db);
        assert!(copies(site.folder()).is_empty(), "there was nothing to lose");
        site.place.sql(OLD).await;
        let ran = site.run("migrate");
        assert_eq!(ran.stderr.contains("the database was copied to "), db == Db::Sqlite);
        assert_eq!(ran.ok(), "Applying 0003_messages... OK\n");
        assert_eq!(copies(site.folder()).len(), usize::from(db == Db::Sqlite));
    }

    async fn a_newer_schema_is_refused_and_left_alone(db) {
        let site = Site::migrated(db);
        site.place.sql(&format!("{OLD}; {NEW}")).await;
        for line in [
            "serve --port 0",
            "serve --port 0 --migrate",
            "migrate",
            "migrate --check",
            "migrate --plan --json",
            "rooms list",
            ANN,
        ] {
            let ran = site.call(line).input("correct horse battery\n").run();
            ran.refused(1, &[
                "error: a newer version has changed the database: chatroom ",
                "does not know its migration 9999\n",
                "hint: run that version, or go back to the copy of the database from before\n",
            ]);
        }
        assert_eq!(site.place.count("select count(*) from _sqlx_migrations").await, 3);
        assert!(copies(site.folder()).is_empty());
    }
}
