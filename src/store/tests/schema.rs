//! The schema's versions: comparing, applying, and setting a copy aside before.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tokio::task::JoinSet;

use super::{CONNECTIONS, Database, on_both};
use crate::store::{Schema, Store};

const STEPS: [&str; 3] = ["0001_users", "0002_rooms", "0003_messages"];

fn schema(applied: &[&str], pending: &[&str], unknown: &[i64]) -> Schema {
    Schema {
        applied: applied.iter().map(ToString::to_string).collect(),
        pending: pending.iter().map(ToString::to_string).collect(),
        unknown: unknown.into(),
    }
}

/// Makes the database one that an older version left: without the last step.
async fn age(db: &Database) {
    db.sql("drop table messages").await;
    db.sql("delete from _sqlx_migrations where version = 3")
        .await;
}

/// Notes a step that only a newer version knows.
async fn rejuvenate(db: &Database) {
    db.sql(
        "insert into _sqlx_migrations \
         (version, description, installed_on, success, checksum, execution_time) \
         select 9999, 'from the future', installed_on, success, checksum, execution_time \
         from _sqlx_migrations where version = 1",
    )
    .await;
}

/// The steps that a migration names.
async fn migrate(store: &Store) -> Vec<String> {
    let mut told = Vec::new();
    let migrated = store.migrate(|step| told.push(step.to_owned())).await;
    migrated.expect("a migration");
    told
}

on_both! {
    async fn a_fresh_database_gets_all_steps_in_order(db) {
        let fresh = db.another().await;
        assert_eq!(fresh.store.schema().await.expect("a schema"), schema(&[], &STEPS, &[]));
        assert_eq!(fresh.store.schema().await.expect("a schema"), Schema::of_nothing());
        assert_eq!(migrate(&fresh.store).await, STEPS);
        assert_eq!(fresh.store.schema().await.expect("a schema"), schema(&STEPS, &[], &[]));
        fresh.user("ann").await;
        assert_eq!(migrate(&fresh.store).await, [""; 0]);
        assert_eq!(fresh.rows().await[0], 1, "what is there stays");
    }

    async fn looking_at_a_fresh_database_changes_nothing(db) {
        let fresh = db.another().await;
        fresh.store.schema().await.expect("a schema");
        let tables = if fresh.store.is_shared() {
            "select count(*) from pg_tables where schemaname = 'public'"
        } else {
            "select count(*) from sqlite_master"
        };
        assert_eq!(fresh.count(tables).await, 0);
    }

    async fn an_older_database_gets_what_it_lacks(db) {
        let ann = db.user("ann").await;
        age(&db).await;
        let before = schema(&STEPS[..2], &STEPS[2..], &[]);
        assert_eq!(db.store.schema().await.expect("a schema"), before);
        assert_eq!(migrate(&db.store).await, STEPS[2..]);
        assert_eq!(db.store.schema().await.expect("a schema"), schema(&STEPS, &[], &[]));
        let room = db.room("general", &ann).await;
        db.say(room, &ann, &["works"]).await;
    }

    async fn a_newer_database_is_recognised_and_not_touched(db) {
        rejuvenate(&db).await;
        assert_eq!(db.store.schema().await.expect("a schema"), schema(&STEPS, &[], &[9999]));
        assert_eq!(migrate(&db.store).await, [""; 0]);
        age(&db).await;
        let refused = db.store.migrate(|step| panic!("{step}")).await;
        refused.expect_err("a step that nobody knows");
        let after = schema(&STEPS[..2], &STEPS[2..], &[9999]);
        assert_eq!(db.store.schema().await.expect("a schema"), after);
    }

    async fn a_step_that_fails_is_undone_and_can_be_repeated(db) {
        let fresh = db.another().await;
        fresh.sql("create table members (in_the_way integer)").await;
        let mut told = Vec::new();
        let failed = fresh.store.migrate(|step| told.push(step.to_owned())).await;
        failed.expect_err("the table is there");
        assert_eq!(told, STEPS[..1]);
        assert_eq!(
            fresh.store.schema().await.expect("a schema"),
            schema(&STEPS[..1], &STEPS[1..], &[])
        );
        fresh.sql("drop table members").await;
        assert_eq!(migrate(&fresh.store).await, STEPS[1..]);
    }

    async fn of_eight_that_migrate_at_once_all_succeed(db) {
        let fresh = db.another().await;
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let store = fresh.open().await;
            tasks.spawn(async move { migrate(&store).await });
        }
        let told = tasks.join_all().await.concat();
        for step in STEPS {
            assert!(told.iter().any(|name| name == step), "nobody did {step}");
        }
        if !fresh.store.is_shared() {
            assert_eq!(told.len(), STEPS.len(), "each step is done by one: {told:?}");
        }
        assert_eq!(fresh.store.schema().await.expect("a schema"), schema(&STEPS, &[], &[]));
        fresh.user("ann").await;
    }

    async fn two_that_share_one_thread_can_migrate_at_once(db) {
        let fresh = db.another().await;
        let (one, two) = (fresh.open().await, fresh.open().await);
        // Both futures are polled by this one task.
        let (one, two) = tokio::join!(migrate(&one), migrate(&two));
        assert!(!one.is_empty() || !two.is_empty());
        assert_eq!(fresh.store.schema().await.expect("a schema"), schema(&STEPS, &[], &[]));
    }

    async fn a_copy_is_set_aside_before_an_older_file_changes(db) {
        let ann = db.user("ann").await;
        db.room("general", &ann).await;
        age(&db).await;
        let before = db.store.schema().await.expect("a schema");
        let copy = db.store.set_copy_aside(&before).await.expect("a copy");
        if db.store.is_shared() {
            assert_eq!(copy, None, "PostgreSQL's operators have backups of their own");
            return;
        }
        let copy = copy.expect("a copy");
        let name = copy.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name.starts_with("chat.sqlite3.0002_rooms-before-0003_messages-"), "{name}");
        let mode = fs::metadata(&copy).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        migrate(&db.store).await;
        db.user("bob").await;

        let store = Store::open_sqlite(&copy, CONNECTIONS).await.expect("a database");
        assert_eq!(store.schema().await.expect("a schema"), before);
        assert!(store.account_by_username("ann").await.expect("a select").is_some());
        assert!(store.account_by_username("bob").await.expect("a select").is_none());
        assert_eq!(store.rooms_of(ann.id, None, 9).await.expect("rooms")[0].name, "general");
        assert_eq!(migrate(&store).await, STEPS[2..], "it can be gone on with");
    }

    async fn nothing_is_set_aside_where_nothing_is_to_be_lost_or_done(db) {
        let fresh = db.another().await;
        for db in [&fresh, &db] {
            let schema = db.store.schema().await.expect("a schema");
            let copy = db.store.set_copy_aside(&schema).await.expect("an answer");
            assert_eq!(copy, None);
        }
        if !db.store.is_shared() {
            let folder = db.file().parent().expect("a folder").to_owned();
            let copies = fs::read_dir(folder).expect("a folder").filter(|entry| {
                let name = entry.as_ref().expect("an entry").file_name();
                name.to_string_lossy().contains("-before-")
            });
            assert_eq!(copies.count(), 0);
        }
    }
}
