//! What the tests stand on: a server on a free port over a fresh database, and clients for it.

pub mod client;
pub mod postgres;
pub mod process;
pub mod random;
pub mod socket;
pub mod wire;

use std::net::SocketAddr;

use chatroom::chat::Chat;
use chatroom::config::{Config, Flags};
use chatroom::web;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use client::{Answer, User};
pub use process::Process;
pub use random::Random;
pub use socket::Socket;

/// The key of every server that the harness starts.
pub const SECRET: &str = "a-secret-that-only-the-tests-know-0123456789";

/// The two databases that everything is tested on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    Sqlite,
    Postgres,
}

/// Makes of each `async fn name(db)` two tests, `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($db: $crate::harness::Db) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$meta])*
            async fn sqlite() {
                test($crate::harness::Db::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$meta])*
            async fn postgres() {
                let name = concat!(module_path!(), "::postgres");
                if $crate::harness::postgres::available(name) {
                    test($crate::harness::Db::Postgres).await;
                }
            }
        }
    )*};
}

/// A place for data that outlives a server: a folder, and a database in it or on the test's server.
pub struct Place {
    pub folder: TempDir,
    /// As `database.url` takes it.
    pub database_url: String,
}

impl Place {
    /// Fresh and empty.
    pub fn new(db: Db) -> Self {
        let folder = TempDir::new().expect("a folder");
        let database_url = match db {
            Db::Sqlite => format!("sqlite:///{}", folder.path().join("chat.sqlite3").display()),
            Db::Postgres => postgres::database(),
        };
        Self {
            folder,
            database_url,
        }
    }

    /// The configuration of a server here: no rate limits, any free port, and then `set`.
    pub fn config(&self, set: &[(&str, &str)]) -> Config {
        let mut all = vec![
            ("server.bind", "127.0.0.1:0"),
            ("data_dir", self.folder.path().to_str().expect("UTF-8")),
            ("database.url", &self.database_url),
            ("database.max_connections", "6"),
            ("limits.enabled", "false"),
            ("secret_key", SECRET),
        ];
        all.extend_from_slice(set);
        let flags = Flags {
            config: None,
            set: all.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        };
        Config::from_sources(&flags, std::iter::empty(), self.folder.path()).expect("a config")
    }

    /// Runs SQL statements as someone at the database's own prompt would.
    pub async fn sql(&self, statements: &str) {
        if let Some(path) = self.database_url.strip_prefix("sqlite:///") {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .busy_timeout(std::time::Duration::from_secs(5))
                .foreign_keys(true);
            let mut connection = sqlx::ConnectOptions::connect(&options)
                .await
                .expect("SQLite");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()))
                .execute(&mut connection)
                .await
                .expect("SQL");
        } else {
            let mut connection =
                <sqlx::PgConnection as sqlx::Connection>::connect(&self.database_url)
                    .await
                    .expect("PostgreSQL");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()))
                .execute(&mut connection)
                .await
                .expect("SQL");
        }
    }

    /// The one number that a query answers with.
    pub async fn count(&self, query: &str) -> i64 {
        let query = sqlx::AssertSqlSafe(query.to_owned());
        if let Some(path) = self.database_url.strip_prefix("sqlite:///") {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = sqlx::ConnectOptions::connect(&options)
                .await
                .expect("SQLite");
            sqlx::query_scalar(query)
                .fetch_one(&mut connection)
                .await
                .expect("a number")
        } else {
            let mut connection =
                <sqlx::PgConnection as sqlx::Connection>::connect(&self.database_url)
                    .await
                    .expect("PostgreSQL");
            sqlx::query_scalar(query)
                .fetch_one(&mut connection)
                .await
                .expect("a number")
        }
    }
}

/// A running server, in this process. It is stopped when dropped; what it stored goes with its
/// place.
pub struct App {
    pub address: SocketAddr,
    pub place: std::sync::Arc<Place>,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl App {
    /// On a fresh database.
    pub async fn start(db: Db) -> Self {
        Self::start_with(db, &[]).await
    }

    /// On a fresh database, with these keys set.
    pub async fn start_with(db: Db, set: &[(&str, &str)]) -> Self {
        Self::start_in(Place::new(db).into(), set).await
    }

    /// Where there may already be data; another node if another server runs there.
    pub async fn start_in(place: std::sync::Arc<Place>, set: &[(&str, &str)]) -> Self {
        let config = place.config(set);
        let secret = config.secret_key.clone().expect("a key");
        let chat = Chat::open(&config, secret.expose()).await.expect("a chat");
        chat.migrate(|_| {}).await.expect("a schema");
        chat.watch();
        let listener = TcpListener::bind(config.server.bind).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                web::serve(listener, chat.clone(), &config, shutdown)
                    .await
                    .expect("to serve");
                chat.close().await;
            }
        });
        Self {
            address,
            place,
            shutdown,
            serving: Some(serving),
        }
    }

    /// Another node on the same database.
    pub async fn another_node(&self) -> Self {
        Self::start_in(self.place.clone(), &[]).await
    }

    /// Stops as an operator stops it, and waits until all is written.
    pub async fn stop(mut self) -> std::sync::Arc<Place> {
        self.begin_to_stop();
        if let Some(serving) = self.serving.take() {
            serving.await.expect("an orderly end");
        }
        self.place.clone()
    }

    /// Tells it to stop, and does not wait.
    pub fn begin_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Someone who has not logged in.
    pub fn stranger(&self) -> User {
        User::stranger(self.address)
    }

    /// A new user who has logged in: `ann` with `ann@example.org`.
    pub async fn user(&self, name: &str) -> User {
        User::register(self.address, name).await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
