//! The cellar: all SQL, on SQLite or PostgreSQL, and nothing else.
//!
//! One text of SQL serves both databases; [`reading!`], [`writing!`] and [`transaction!`] run the
//! same expression on whichever there is. Where the dialects truly differ, a `match` in the open
//! says so. A transaction never leaves the function that began it, and callers run in tasks that a
//! client's disconnect does not cancel (`web::server` sees to that).

mod append;
mod messages;
mod open;
mod rooms;
mod schema;
mod sessions;
#[cfg(test)]
mod tests;
mod users;
mod watch;

use sqlx::{PgPool, SqlitePool};

pub use append::{Appended, NewMessage};
pub use open::OpenError;
pub use schema::Schema;
pub use sessions::{Exchange, Rotation};
pub use users::{NewUser, Taken};

/// The database.
#[derive(Debug, Clone)]
pub enum Store {
    /// One file.
    Sqlite(Sqlite),
    /// A server that other nodes may share.
    Postgres(PgPool),
}

/// SQLite takes one writer at a time, so there is one connection for it, and writers queue in
/// this process instead of polling for the file's lock.
#[derive(Debug, Clone)]
pub struct Sqlite {
    reader: SqlitePool,
    writer: SqlitePool,
    /// One connection, because `pragma data_version` tells each connection what the others did.
    watcher: SqlitePool,
    file: std::path::PathBuf,
}

/// Runs the expression with a pool to read from.
macro_rules! reading {
    ($store:expr, $db:ident => $run:expr) => {
        match $store {
            $crate::store::Store::Sqlite(sqlite) => {
                let $db = &sqlite.reader;
                $run
            }
            $crate::store::Store::Postgres(pool) => {
                let $db = pool;
                $run
            }
        }
    };
}

/// Runs the expression, one statement, with a pool to write to.
macro_rules! writing {
    ($store:expr, $db:ident => $run:expr) => {
        match $store {
            $crate::store::Store::Sqlite(sqlite) => {
                let $db = &sqlite.writer;
                $run
            }
            $crate::store::Store::Postgres(pool) => {
                let $db = pool;
                $run
            }
        }
    };
}

/// Runs the block in a transaction and commits; leaving the function from inside rolls back.
macro_rules! transaction {
    ($store:expr, $tx:ident => $run:block) => {
        match $store {
            $crate::store::Store::Sqlite(sqlite) => {
                let mut $tx = sqlite.writer.begin_with("begin immediate").await?;
                let out = $run;
                $tx.commit().await?;
                out
            }
            $crate::store::Store::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let out = $run;
                $tx.commit().await?;
                out
            }
        }
    };
}

use {reading, transaction, writing};

/// What the store answers with.
pub type Result<T> = std::result::Result<T, Error>;

/// The database did not do it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] sqlx::Error);

impl Error {
    /// Whether the same call may succeed later: the database is away, full, locked or overrun.
    pub fn is_passing(&self) -> bool {
        match &self.0 {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(e) => e.code().is_some_and(|code| is_passing_code(&code)),
            _ => false,
        }
    }

    /// Whether a unique index refused the row.
    fn is_taken(&self) -> bool {
        matches!(&self.0, sqlx::Error::Database(e) if e.is_unique_violation())
    }
}

/// PostgreSQL: connection exceptions (08), lack of resources (53), intervention of an operator (57),
/// system errors (58), a server that only reads after a failover (25006), and the locks and
/// serialisation failures that a retry cures (appendix A of its manual). SQLite: busy (5), locked
/// (6), I/O error (10), full (13), cannot open (14), protocol (15), in their extended forms (low byte).
fn is_passing_code(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class))
            || ["25006", "40001", "40P01", "55P03"].contains(&code);
    }
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13..=15))
}

impl Store {
    /// Whether the database answers at all.
    pub async fn ping(&self) -> Result<()> {
        let one = "select 1";
        let _: i32 = reading!(self, db => sqlx::query_scalar(one).fetch_one(db).await?);
        Ok(())
    }

    /// Whether several nodes may write at the same time.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Waits for what is under way and closes all connections.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => {
                sqlite.watcher.close().await;
                sqlite.reader.close().await;
                sqlite.writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}
