//! Every function of the store, on both databases: what it does, and what it refuses.

mod append;
mod messages;
mod open;
#[path = "../../../tests/it/harness/postgres.rs"]
mod postgres;
mod race;
mod rooms;
mod rotate;
mod schema;
mod sessions;
mod shape;
mod users;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::{Appended, NewMessage, NewUser, Store, reading, writing};
use crate::model::{
    Body, Email, Instant, Message, Nonce, PersonName, Point, RoomId, RoomName, Seq, User, Username,
};

/// Connections of each store that a test opens.
const CONNECTIONS: u32 = 6;

/// Makes of each `async fn name(db)` two tests, `name::sqlite` and `name::postgres`, each on a
/// fresh database with the whole schema.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)*) => {$(
        async fn $name($db: $crate::store::tests::Database) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$meta])*
            async fn sqlite() {
                let db = $crate::store::tests::Database::sqlite().await;
                db.store.migrate(|_| {}).await.expect("a schema");
                super::$name(db).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$meta])*
            async fn postgres() {
                let name = concat!(module_path!(), "::postgres");
                if $crate::store::tests::postgres::available(name) {
                    let db = $crate::store::tests::Database::postgres().await;
                    db.store.migrate(|_| {}).await.expect("a schema");
                    super::$name(db).await;
                }
            }
        }
    )*};
}
use on_both;

/// A database of one test.
struct Database {
    store: Store,
    place: Place,
}

/// Where it is.
enum Place {
    Folder(TempDir),
    Server(String),
}

impl Database {
    /// A SQLite file without any schema.
    async fn sqlite() -> Self {
        Self::at(Place::Folder(TempDir::new().expect("a folder"))).await
    }

    /// A PostgreSQL database without any schema.
    async fn postgres() -> Self {
        Self::at(Place::Server(postgres::database())).await
    }

    /// One without any schema, of the same kind as this.
    async fn another(&self) -> Self {
        match self.place {
            Place::Folder(_) => Self::sqlite().await,
            Place::Server(_) => Self::postgres().await,
        }
    }

    async fn at(place: Place) -> Self {
        Self {
            store: open(&place).await,
            place,
        }
    }

    /// Another store on the same database, as another process has one.
    async fn open(&self) -> Store {
        open(&self.place).await
    }

    /// The SQLite file.
    fn file(&self) -> PathBuf {
        match &self.place {
            Place::Folder(folder) => folder.path().join("chat.sqlite3"),
            Place::Server(url) => panic!("{url} is no file"),
        }
    }

    /// Runs one statement, as someone at the database's own prompt would.
    async fn sql(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        let run = async {
            writing!(&self.store, db => sqlx::query(statement).execute(db).await.map(drop))
        };
        run.await.expect("SQL");
    }

    /// The one number that a query answers with.
    async fn count(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        let run =
            async { reading!(&self.store, db => sqlx::query_scalar(query).fetch_one(db).await) };
        run.await.expect("a number")
    }

    /// How many rows each table has, in the order of `TABLES`.
    async fn rows(&self) -> Vec<i64> {
        let mut rows = Vec::new();
        for table in TABLES {
            rows.push(self.count(&format!("select count(*) from {table}")).await);
        }
        rows
    }

    /// A new user, `ann` with `ann@example.org`.
    async fn user(&self, name: &str) -> User {
        let new = new_user(name);
        let id = self.store.insert_user(&new).await.expect("an insert");
        let account = self.store.account_by_username(&new.username.key()).await;
        let user = account.expect("a select").expect("an account").user;
        assert_eq!(Ok(user.id), id);
        user
    }

    /// A new room of that owner.
    async fn room(&self, name: &str, owner: &User) -> RoomId {
        let id = RoomId::random();
        let name = room_name(name);
        let made = self.store.insert_room(id, &name, owner.id, at(0));
        assert!(made.await.expect("an insert"), "it is taken");
        id
    }

    /// Stores messages in one batch, all of which are new.
    async fn say(&self, room: RoomId, sender: &User, texts: &[&str]) -> Vec<Message> {
        let batch: Vec<_> = texts
            .iter()
            .map(|text| message(room, sender, text))
            .collect();
        let answers = self.store.append(&batch, at(0)).await.expect("an append");
        answers.into_iter().map(stored).collect()
    }

    /// All messages of a room.
    async fn all(&self, room: RoomId) -> Vec<Message> {
        let all = self
            .store
            .messages(room, Point::Since(Seq(0)), Seq(i64::MAX), 100_000);
        all.await.expect("messages")
    }
}

/// The tables that the chat's own data is in.
const TABLES: [&str; 5] = ["users", "sessions", "rooms", "members", "messages"];

async fn open(place: &Place) -> Store {
    let opened = match place {
        Place::Folder(folder) => {
            Store::open_sqlite(&folder.path().join("chat.sqlite3"), CONNECTIONS).await
        }
        Place::Server(url) => Store::open_postgres(url, CONNECTIONS).await,
    };
    opened.expect("a database")
}

/// So many seconds after the moment at which the tests happen; it has microseconds to lose.
fn at(seconds: i64) -> Instant {
    Instant::from_timestamp(1_800_000_000 + seconds, 123_456_000).expect("an instant")
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        username: Username::parse(name).expect("a username"),
        email: Email::parse(&format!("{name}@example.org")).expect("an address"),
        first_name: PersonName::default(),
        last_name: PersonName::default(),
        password_hash: format!("$argon2id$ of {name}"),
        is_superuser: false,
        created_at: at(0),
    }
}

fn room_name(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

fn message(room: RoomId, sender: &User, text: &str) -> NewMessage {
    NewMessage {
        room_id: room,
        sender: sender.clone(),
        body: Body::parse(text.to_owned()).expect("a body"),
        nonce: None,
    }
}

fn with_nonce(room: RoomId, sender: &User, text: &str, nonce: &str) -> NewMessage {
    NewMessage {
        nonce: Some(Nonce::parse(nonce.to_owned()).expect("a nonce")),
        ..message(room, sender, text)
    }
}

/// The message, which must be a new one.
#[track_caller]
fn stored(answer: Appended) -> Message {
    match answer {
        Appended::Stored(message) => Arc::unwrap_or_clone(message),
        other => panic!("not stored: {other:?}"),
    }
}
