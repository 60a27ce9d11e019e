//! The rules: one function for each thing that anyone can do, whichever door they came by.
//!
//! Each takes first who acts, and does in this order: parse, permit, store, tell, return.

mod error;
mod journal;
mod limits;
mod live;
mod messages;
mod passwords;
mod rooms;
mod sessions;
mod tokens;
mod users;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::{Error, Result};
pub use journal::{Answer, PATIENCE};
pub use limits::Frames;
pub use sessions::{Claim, Credentials, Login};
pub use users::{Existing, Registration, Superuser};

use crate::bus::Hub;
pub use crate::bus::{Connection, Listener};
use crate::config::{Config, DatabaseUrl};
use crate::store::Store;

/// The most entries of a list in one answer.
pub const LIST_MAX: u32 = 1000;

/// The chat: everything that can be done. Cheap to clone; the clones are one chat.
#[derive(Clone)]
pub struct Chat(Arc<Inner>);

struct Inner {
    store: Store,
    hub: Hub,
    journal: journal::Journal,
    passwords: passwords::Passwords,
    keys: tokens::Keys,
    limits: Arc<limits::Limits>,
    rules: Rules,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the configuration says about what may be done, and for how long.
struct Rules {
    registration: bool,
    access_ttl: chrono::Duration,
    refresh_ttl: chrono::Duration,
}

/// Why the chat cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be used.
    #[error("{0}")]
    Store(#[from] crate::store::OpenError),
    /// A duration that no calendar has.
    #[error("{0} is out of range")]
    Duration(&'static str),
}

/// How the database's schema compares with the one this binary was built for.
pub use crate::store::Schema;

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MigrationError(String);

impl Chat {
    /// Opens the database that the configuration names. The schema is left as it is: see
    /// [`Self::schema`] and [`Self::migrate`].
    pub async fn open(config: &Config, secret: &str) -> std::result::Result<Self, OpenError> {
        let connections = config.database.max_connections;
        let store = match &config.database.url {
            DatabaseUrl::Sqlite(file) => Store::open_sqlite(file, connections).await?,
            DatabaseUrl::Postgres(url) => Store::open_postgres(url.expose(), connections).await?,
        };
        let duration =
            |value, name| chrono::Duration::from_std(value).map_err(|_| OpenError::Duration(name));
        let rules = Rules {
            registration: config.auth.registration,
            access_ttl: duration(config.auth.access_ttl, "auth.access_ttl")?,
            refresh_ttl: duration(config.auth.refresh_ttl, "auth.refresh_ttl")?,
        };
        let hub = Hub::default();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        Ok(Self(Arc::new(Inner {
            journal: journal::Journal::start(&store, &hub, &tasks, &stop),
            passwords: passwords::Passwords::new(),
            keys: tokens::Keys::new(secret),
            limits: Arc::new(limits::Limits::new(&config.limits)),
            rules,
            stop,
            tasks,
            hub,
            store,
        })))
    }

    /// Starts to watch the database for what other processes do to it. A server does, once.
    pub fn watch(&self) {
        self.0.tasks.spawn(watch::run(
            self.0.store.clone(),
            self.0.hub.clone(),
            self.0.limits.clone(),
            self.0.stop.clone(),
        ));
    }

    /// Ends the background work and closes the database. What was handed in before is stored.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.store.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        Ok(self.0.store.ping().await?)
    }

    /// How the database's schema compares with this binary.
    pub async fn schema(&self) -> Result<Schema> {
        Ok(self.0.store.schema().await?)
    }

    /// Whether this binary may change the schema by itself, as it does with a file of its own.
    pub fn owns_schema(&self) -> bool {
        !self.0.store.is_shared()
    }

    /// Applies the pending steps, and names each to `told` when it is done.
    pub async fn migrate(&self, told: impl FnMut(&str)) -> std::result::Result<(), MigrationError> {
        let migrated = self.0.store.migrate(told).await;
        migrated.map_err(|e| MigrationError(e.to_string()))
    }

    /// Copies a SQLite database aside before its schema changes; returns where to.
    pub async fn set_copy_aside(
        &self,
        schema: &Schema,
    ) -> std::result::Result<Option<PathBuf>, MigrationError> {
        let copied = self.0.store.set_copy_aside(schema).await;
        copied.map_err(|e| MigrationError(e.to_string()))
    }

    /// The limit for the frames of one new socket.
    pub fn frame_limit(&self) -> Frames {
        self.0.limits.frames()
    }
}
