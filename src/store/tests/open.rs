//! Opening and closing the database, what it is set to, and what its errors mean.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Database, Place, new_user, on_both, writing};
use crate::model::RoomId;
use crate::store::{Error, OpenError, Store, is_passing_code};

/// What a statement fails with.
async fn failure(db: &Database, statement: &'static str) -> Error {
    let failed = async {
        Err::<(), Error>(
            match writing!(&db.store, db => sqlx::query(statement).execute(db).await.err()) {
                Some(error) => error.into(),
                None => panic!("{statement} succeeds"),
            },
        )
    };
    failed.await.expect_err("an error")
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

on_both! {
    async fn the_database_answers_until_it_is_closed(db) {
        db.store.ping().await.expect("an answer");
        db.user("ann").await;
        let elsewhere = db.open().await;
        db.store.close().await;
        assert!(db.store.ping().await.expect_err("it is closed").is_passing());
        let refused = db.store.insert_user(&new_user("bob")).await;
        assert!(refused.expect_err("it is closed").is_passing());
        assert!(db.store.heads(&[RoomId::random()]).await.expect_err("closed").is_passing());
        // Another process goes on.
        elsewhere.ping().await.expect("an answer");
        assert!(elsewhere.account_by_username("ann").await.expect("a select").is_some());
    }

    async fn only_a_server_is_shared(db) {
        assert_eq!(db.store.is_shared(), matches!(db.place, Place::Server(_)));
    }

    async fn a_commit_is_a_promise(db) {
        match &db.store {
            Store::Sqlite(sqlite) => {
                for (pragma, value) in
                    [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")]
                {
                    let sql = format!("select {pragma} || '' from pragma_{pragma}");
                    let set: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                        .fetch_one(&sqlite.writer)
                        .await
                        .expect("a pragma");
                    assert_eq!(set, value, "{pragma}");
                }
            }
            Store::Postgres(pool) => {
                let set: String = sqlx::query_scalar("show synchronous_commit")
                    .fetch_one(pool)
                    .await
                    .expect("a setting");
                assert_eq!(set, "on");
            }
        }
    }

    async fn an_error_that_a_retry_does_not_cure_is_not_passing(db) {
        db.user("ann").await;
        for statement in ["select nothing from nowhere", "insert into users (id) values (4711)"] {
            let error = failure(&db, statement).await;
            assert!(!error.is_passing() && !error.is_taken(), "{error}");
        }
        let taken = failure(
            &db,
            "insert into users (username, username_key, email, email_key, first_name, last_name, \
             search_key, password_hash, created_at) select username, username_key, 'x', 'x', '', \
             '', '', '', created_at from users",
        )
        .await;
        assert!(taken.is_taken() && !taken.is_passing(), "{taken}");
    }

    async fn a_lock_that_somebody_else_holds_is_passing(db) {
        db.user("ann").await;
        let error: sqlx::Error = match &db.store {
            Store::Sqlite(sqlite) => {
                let held = sqlite.writer.begin_with("begin immediate").await.expect("a lock");
                let options = SqliteConnectOptions::new()
                    .filename(db.file())
                    .busy_timeout(Duration::ZERO);
                let mut other = options.connect().await.expect("a connection");
                let refused = sqlx::query("begin immediate").execute(&mut other).await;
                drop(held);
                refused.expect_err("it is locked")
            }
            Store::Postgres(pool) => {
                let mut held = pool.begin().await.expect("a transaction");
                sqlx::query("update users set first_name = 'x'")
                    .execute(&mut *held)
                    .await
                    .expect("a lock");
                let mut other = pool.begin().await.expect("a transaction");
                let wait = "set local lock_timeout = '10ms'";
                sqlx::query(wait).execute(&mut *other).await.expect("a setting");
                let refused = sqlx::query("update users set first_name = 'y'");
                refused.execute(&mut *other).await.expect_err("it is locked")
            }
        };
        assert!(Error::from(error).is_passing());
    }
}

#[test]
fn each_code_of_a_database_says_whether_to_try_again() {
    // The classes and codes of PostgreSQL, and SQLite's codes, extended ones too.
    for code in [
        "08006", "53300", "53100", "57P01", "58030", "25006", "40001", "40P01", "55P03", "5", "6",
        "10", "13", "14", "15", "261", "517", "778",
    ] {
        assert!(is_passing_code(code), "{code}");
    }
    for code in [
        "23505", "23503", "22021", "25P02", "42601", "3D000", "1", "8", "11", "19", "26", "787",
        "2067", "", "abcde",
    ] {
        assert!(!is_passing_code(code), "{code}");
    }
}

#[tokio::test]
async fn a_database_file_is_for_its_owner_only() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("new/folders/chat.sqlite3");
    let store = Store::open_sqlite(&file, 2).await.expect("a database");
    store.migrate(|_| {}).await.expect("a schema");
    store
        .insert_user(&new_user("ann"))
        .await
        .expect("ok")
        .expect("new");
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", file.display());
        assert_eq!(mode(Path::new(&file)), 0o600, "{file}");
    }
    store.close().await;
    let store = Store::open_sqlite(&file, 2).await.expect("a database");
    assert!(
        store
            .account_by_username("ann")
            .await
            .expect("a select")
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_file_can_be_opened_by_many_at_once() {
    for _ in 0..5 {
        let folder = TempDir::new().expect("a folder");
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let file = folder.path().join("chat.sqlite3");
            tasks.spawn(async move {
                let store = Store::open_sqlite(&file, 2).await.expect("a database");
                store.ping().await.expect("an answer");
                store.version().await.expect("a version");
            });
        }
        tasks.join_all().await;
    }
}

#[tokio::test]
async fn only_the_writer_of_a_file_can_write() {
    let db = Database::sqlite().await;
    db.store.migrate(|_| {}).await.expect("a schema");
    let Store::Sqlite(sqlite) = &db.store else {
        panic!("not SQLite")
    };
    for pool in [&sqlite.reader, &sqlite.watcher] {
        let refused = sqlx::query("delete from users").execute(pool).await;
        let error = refused.expect_err("it only reads").to_string();
        assert!(error.contains("readonly"), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_database_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let in_the_way = folder.path().join("file");
    fs::write(
        &in_the_way,
        "This is no database, and long enough to be seen as none. ".repeat(20),
    )
    .expect("a file");
    for file in [in_the_way.join("chat.sqlite3"), folder.path().to_owned()] {
        let refused = Store::open_sqlite(&file, 2)
            .await
            .expect_err("no file can be there");
        assert!(
            matches!(&refused, OpenError::File { file: f, .. } if *f == file),
            "{refused}"
        );
        assert!(
            refused.to_string().contains(&file.display().to_string()),
            "{refused}"
        );
    }
    let refused = Store::open_sqlite(&in_the_way, 2)
        .await
        .expect_err("it is text");
    assert!(matches!(refused, OpenError::Database(_)), "{refused}");
    let text = fs::read_to_string(&in_the_way).expect("the file");
    assert!(text.starts_with("This is no database"), "it is left alone");
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_refused() {
    if super::postgres::available("a_server_that_cannot_be_used_is_refused") {
        let url = super::postgres::database();
        for url in [format!("{url}_not"), "postgres://".to_owned() + "\0"] {
            let refused = Store::open_postgres(&url, 2)
                .await
                .expect_err("there is none");
            assert!(matches!(refused, OpenError::Database(_)), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_outlives_its_connections() {
    if !super::postgres::available("the_store_outlives_its_connections") {
        return;
    }
    let db = Database::postgres().await;
    db.store.migrate(|_| {}).await.expect("a schema");
    let ann = db.user("ann").await;
    let room = db.room("general", &ann).await;
    let Place::Server(url) = &db.place else {
        panic!("not PostgreSQL")
    };
    let mut operator = PgConnection::connect(url).await.expect("a connection");
    for n in 1..=5 {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .fetch_one(&mut operator)
        .await
        .expect("an answer");
        assert!(ended > 0, "the store has connections");
        let told = db.say(room, &ann, &["still here"]).await;
        assert_eq!(told[0].seq.0, n);
    }
}
