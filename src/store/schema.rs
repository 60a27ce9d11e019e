//! The schema's versions: which steps are applied, which are pending, and applying them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{Result, Store, reading};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How the database's schema compares with the one this binary was built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The steps that the database has, by name: `0001_users`.
    pub applied: Vec<String>,
    /// The steps that it has not.
    pub pending: Vec<String>,
    /// Steps that it has and this binary does not know, by number: a newer version made them.
    pub unknown: Vec<i64>,
}

impl Schema {
    /// That of a database that is not there yet. Both databases have the same steps.
    pub fn of_nothing() -> Self {
        let steps = SQLITE.iter();
        Self {
            applied: Vec::new(),
            pending: steps
                .map(|step| name(step.version, &step.description))
                .collect(),
            unknown: Vec::new(),
        }
    }
}

/// A step could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database was reached, but the step failed; it was rolled back.
    #[error("{0}")]
    Step(#[from] MigrateError),
    /// The database could not be asked.
    #[error("{0}")]
    Store(#[from] super::Error),
    /// The copy that is made before could not be made.
    #[error("cannot set a copy of the database aside: {0}")]
    Copy(#[from] std::io::Error),
}

/// A connection to migrate by. The migrator's lock ends with it, also when a step fails; and it
/// waits for that lock as long as another process's steps take.
async fn own_connection(pool: &PgPool) -> super::Result<PgPool> {
    let options = PgConnectOptions::clone(&pool.connect_options());
    let options = options.options([("lock_timeout", "0")]);
    let own = PgPoolOptions::new().max_connections(1);
    Ok(own.connect_with(options).await?)
}

fn name(version: i64, description: &str) -> String {
    format!("{version:04}_{}", description.replace(' ', "_"))
}

/// Opens a file; one that is made is nobody else's to read.
fn private(path: impl AsRef<Path>, options: &mut OpenOptions) -> std::io::Result<File> {
    options.mode(0o600).open(path)
}

impl Store {
    fn migrator(&self) -> &'static Migrator {
        match self {
            Self::Sqlite(_) => &SQLITE,
            Self::Postgres(_) => &POSTGRES,
        }
    }

    /// Compares the database with this binary; changes nothing.
    pub async fn schema(&self) -> Result<Schema> {
        // The catalogues have different names.
        let exists = match self {
            Self::Sqlite(_) => {
                "select count(*) from sqlite_master where type = 'table' and name = '_sqlx_migrations'"
            }
            Self::Postgres(_) => {
                "select count(*) from pg_class where oid = to_regclass('_sqlx_migrations')"
            }
        };
        let exists: i64 = reading!(self, db => sqlx::query_scalar(exists).fetch_one(db).await?);
        let applied: Vec<i64> = if exists == 0 {
            Vec::new()
        } else {
            let versions = "select version from _sqlx_migrations where success order by version";
            reading!(self, db => sqlx::query_scalar(versions).fetch_all(db).await?)
        };
        let (mut done, mut pending) = (Vec::new(), Vec::new());
        for step in self.migrator().iter() {
            let list = if applied.contains(&step.version) {
                &mut done
            } else {
                &mut pending
            };
            list.push(name(step.version, &step.description));
        }
        Ok(Schema {
            applied: done,
            pending,
            unknown: applied
                .into_iter()
                .filter(|version| !self.migrator().version_exists(*version))
                .collect(),
        })
    }

    /// Applies what is pending, one step at a time, and names each step to `told` once it is done.
    /// Several processes may do this at once: one works, the others wait and find nothing to do.
    pub async fn migrate(
        &self,
        mut told: impl FnMut(&str),
    ) -> std::result::Result<(), MigrationError> {
        let _turn = self.take_turn().await?;
        let pending = self.schema().await?.pending;
        let own = match self {
            Self::Postgres(pool) if !pending.is_empty() => Some(own_connection(pool).await?),
            _ => None,
        };
        for step in self.migrator().iter() {
            let name = name(step.version, &step.description);
            if pending.contains(&name) {
                match self {
                    Self::Sqlite(s) => self.migrator().run_to(step.version, &s.writer).await?,
                    Self::Postgres(pool) => {
                        let pool = own.as_ref().unwrap_or(pool);
                        self.migrator().run_to(step.version, pool).await?;
                    }
                }
                told(&name);
            }
        }
        Ok(())
    }

    /// PostgreSQL's migrator takes an advisory lock; SQLite has none, so a lock file stands in.
    async fn take_turn(&self) -> std::io::Result<Option<File>> {
        let Self::Sqlite(sqlite) = self else {
            return Ok(None);
        };
        let mut path = sqlite.file.clone().into_os_string();
        path.push(".migrating");
        // Waiting for the other process takes a thread, which must not be one of the runtime's.
        let locked = tokio::task::spawn_blocking(move || {
            let file = private(&path, File::options().append(true).create(true))?;
            file.lock()?;
            Ok(Some(file))
        });
        locked.await.map_err(std::io::Error::other)?
    }

    /// Copies a SQLite database aside, whole and consistent, before its schema changes; returns
    /// the copy's path. Does nothing when there is nothing to lose, or on PostgreSQL, whose
    /// operators have backups of their own.
    pub async fn set_copy_aside(
        &self,
        schema: &Schema,
    ) -> std::result::Result<Option<PathBuf>, MigrationError> {
        let Self::Sqlite(sqlite) = self else {
            return Ok(None);
        };
        let (Some(last), Some(next)) = (schema.applied.last(), schema.pending.first()) else {
            return Ok(None);
        };
        let stamp = crate::model::time::now().format("%Y%m%dT%H%M%S%6f");
        let mut path = sqlite.file.clone().into_os_string();
        path.push(format!(".{last}-before-{next}-{stamp}"));
        let path = PathBuf::from(path);
        private(&path, File::options().write(true).create_new(true))?;
        sqlx::query("vacuum into $1")
            .bind(path.to_string_lossy().into_owned())
            .execute(&sqlite.writer)
            .await
            .map_err(super::Error::from)?;
        Ok(Some(path))
    }
}
