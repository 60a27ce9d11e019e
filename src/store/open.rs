//! Opens the database, and refuses one that could lose what it was told to keep.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tracing::log::LevelFilter;

use super::{Sqlite, Store};

/// How long a call waits for a connection, or for SQLite's lock while another process holds it.
const PATIENCE: Duration = Duration::from_secs(5);
/// A statement that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);
/// SQLite readers: more do not help, they share the file's cache in the kernel.
const SQLITE_READERS: u32 = 4;

/// The writer's page cache, in KiB (negative, as SQLite has it), taken only as it fills. Each
/// message goes to a page of its nonce's, and with the default of 2 MB most of these are read again.
/// Measured with this schema, 100 rooms and 1,000 senders: 1.16 times the rows a second.
const WRITER_CACHE: &str = "-32768";
/// Pages in the write-ahead log, 32 MB, that are copied into the database at once: pages that many
/// commits change are copied once. With the cache, 1.47 times the rows a second of the default.
const CHECKPOINT: &str = "8192";

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made or read.
    #[error("cannot open the database file {}: {cause}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database did not answer, or not as it should.
    #[error("cannot open the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The server forgets commits when its machine fails.
    #[error(
        "the PostgreSQL server runs with {0} = off, so messages could be lost after they were acknowledged"
    )]
    Forgetful(&'static str),
}

impl Store {
    /// Opens a SQLite file, making it with mode 0600 if it is not there.
    pub async fn open_sqlite(file: &Path, connections: u32) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::File {
            file: file.to_owned(),
            cause,
        };
        if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        // SQLite gives its -wal and -shm files the mode of the database file.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(file)
            .map_err(failed)?;

        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .log_statements(LevelFilter::Off)
            .log_slow_statements(LevelFilter::Warn, SLOW);
        // Connections are kept for good: opening one again needs a file descriptor at a bad moment.
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(PATIENCE)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writing = options
            .clone()
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT);
        let writer = pool().max_connections(1).connect_with(writing).await?;
        let reading = options.pragma("query_only", "on");
        let reader = pool()
            .max_connections(connections.clamp(1, SQLITE_READERS))
            .connect_lazy_with(reading.clone());
        let watcher = pool().max_connections(1).connect_lazy_with(reading);
        Ok(Self::Sqlite(Sqlite {
            reader,
            writer,
            watcher,
            file: file.to_owned(),
        }))
    }

    /// Connects to a PostgreSQL server and makes sure that a commit there is a promise.
    pub async fn open_postgres(url: &str, connections: u32) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("chatroom")
            .options([("synchronous_commit", "on"), ("lock_timeout", "5s")])
            .log_statements(LevelFilter::Off)
            .log_slow_statements(LevelFilter::Warn, SLOW);
        let pool = PgPoolOptions::new()
            .max_connections(connections.max(2))
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await;
        let pool = match pool {
            // The pool has tried for a while and forgot why in vain; one more attempt tells.
            Err(sqlx::Error::PoolTimedOut) => {
                options.connect().await?;
                return Err(sqlx::Error::PoolTimedOut.into());
            }
            pool => pool?,
        };
        let settings: Vec<(String, String)> = sqlx::query_as(
            "select name, setting from pg_settings where name in ('fsync', 'full_page_writes')",
        )
        .fetch_all(&pool)
        .await?;
        for name in ["fsync", "full_page_writes"] {
            if settings
                .iter()
                .any(|(n, value)| n == name && value == "off")
            {
                return Err(OpenError::Forgetful(name));
            }
        }
        Ok(Self::Postgres(pool))
    }
}
