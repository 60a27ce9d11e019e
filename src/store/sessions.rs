//! Sessions: one row a login.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::users::{UserRow, user_columns};
use super::{Result, Store, reading, transaction, writing};
use crate::model::{Instant, Role, RoomId, Seq, SessionId, User, UserId};

/// The change of a session's refresh token, as the one who holds the old one asks for it.
#[derive(Debug)]
pub struct Exchange {
    /// Whose.
    pub session: SessionId,
    /// SHA-256 of the token that was shown.
    pub shown: [u8; 32],
    /// SHA-256 of the token to take its place.
    pub next: [u8; 32],
    /// The token to take its place, sealed under the one that was shown.
    pub sealed: [u8; 32],
    /// Now.
    pub now: Instant,
    /// When the session is to end if nobody refreshes it again.
    pub expires_at: Instant,
    /// For how long the token before stays good.
    pub grace: Duration,
}

/// What became of it.
#[derive(Debug)]
pub enum Rotation {
    /// The token was in force, and the next one is now.
    Done(User),
    /// The token was the one before, and young enough: this is the one in force, sealed under it.
    Repeated {
        /// Whose session it is.
        user: User,
        /// The token in force.
        sealed: Vec<u8>,
        /// When the session ends.
        expires_at: Instant,
    },
    /// The token had been used up. The session is over.
    Reused(UserId),
    /// There is no such session, it has ended, or its user may not do anything.
    Gone,
}

/// What a user is to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The room's newest change.
    pub last_seq: Seq,
    /// None for one who is not a member.
    pub role: Option<Role>,
}

#[derive(sqlx::FromRow)]
struct StandingRow {
    #[sqlx(flatten)]
    user: UserRow,
    last_seq: Option<i64>,
    role: Option<String>,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    #[sqlx(flatten)]
    user: UserRow,
    refresh_hash: Vec<u8>,
    previous_hash: Option<Vec<u8>>,
    sealed_refresh: Option<Vec<u8>>,
    rotated_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
}

impl Store {
    /// Begins a session, and notes the login with the user.
    pub async fn insert_session(
        &self,
        id: SessionId,
        user: UserId,
        refresh_hash: [u8; 32],
        now: Instant,
        expires_at: Instant,
    ) -> Result<()> {
        transaction!(self, tx => {
            sqlx::query(
                "insert into sessions (id, user_id, refresh_hash, created_at, expires_at) \
                 values ($1, $2, $3, $4, $5)",
            )
            .bind(id.0)
            .bind(user.0)
            .bind(refresh_hash.as_slice())
            .bind(now)
            .bind(expires_at)
            .execute(&mut *tx)
            .await?;
            sqlx::query("update users set last_login_at = $2 where id = $1")
                .bind(user.0)
                .bind(now)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// The active user of a session that has not ended.
    pub async fn session_user(&self, id: SessionId, now: Instant) -> Result<Option<User>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            " from sessions s join users u on u.id = s.user_id \
             where s.id = $1 and s.expires_at > $2 and u.is_active"
        );
        let row: Option<UserRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(id.0)
            .bind(now)
            .fetch_optional(db)
            .await?);
        Ok(row.map(User::from))
    }

    /// The user of a session that is in force, if he may do anything, and what he is to a room, if
    /// there is such a room.
    pub async fn standing(
        &self,
        id: SessionId,
        room: RoomId,
        now: Instant,
    ) -> Result<Option<(User, Option<Standing>)>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            ", r.last_seq, m.role from sessions s join users u on u.id = s.user_id \
             left join rooms r on r.id = $2 \
             left join members m on m.room_id = r.id and m.user_id = u.id \
             where s.id = $1 and s.expires_at > $3 and u.is_active"
        );
        let row: Option<StandingRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(id.0)
            .bind(room.0)
            .bind(now)
            .fetch_optional(db)
            .await?);
        Ok(row.map(|row| {
            let standing = row.last_seq.map(|seq| Standing {
                last_seq: Seq(seq),
                role: row.role.as_deref().map(Role::parse),
            });
            (User::from(row.user), standing)
        }))
    }

    /// Changes a session's refresh token. One statement decides who was first; whoever was not
    /// learns whether it was nearly first (another tab) or far too late (a stolen token).
    pub async fn rotate(&self, exchange: &Exchange) -> Result<Rotation> {
        let swap = "update sessions set previous_hash = refresh_hash, refresh_hash = $3, \
                    sealed_refresh = $4, rotated_at = $5, expires_at = $6 \
                    where id = $1 and refresh_hash = $2 and expires_at > $5 \
                    and user_id in (select id from users where is_active)";
        let swapped = writing!(self, db => sqlx::query(swap)
            .bind(exchange.session.0)
            .bind(exchange.shown.as_slice())
            .bind(exchange.next.as_slice())
            .bind(exchange.sealed.as_slice())
            .bind(exchange.now)
            .bind(exchange.expires_at)
            .execute(db)
            .await?
            .rows_affected());
        let sql = concat!(
            "select ",
            user_columns!(),
            ", s.refresh_hash, s.previous_hash, s.sealed_refresh, \
             s.rotated_at, s.expires_at from sessions s join users u on u.id = s.user_id \
             where s.id = $1 and u.is_active"
        );
        let row: Option<SessionRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(exchange.session.0)
            .fetch_optional(db)
            .await?);
        let Some(row) = row.filter(|row| row.expires_at > exchange.now) else {
            return Ok(Rotation::Gone);
        };
        let user = User::from(row.user);
        if swapped == 1 {
            return Ok(Rotation::Done(user));
        }
        let before = row.previous_hash.as_deref() == Some(exchange.shown.as_slice());
        let young = row
            .rotated_at
            .is_some_and(|at| at + exchange.grace >= exchange.now);
        match row.sealed_refresh {
            Some(sealed) if before && young => Ok(Rotation::Repeated {
                user,
                sealed,
                expires_at: row.expires_at,
            }),
            // The token may have come into force just after the swap looked.
            _ if row.refresh_hash == exchange.shown => Ok(Rotation::Gone),
            _ => {
                self.delete_session(exchange.session).await?;
                Ok(Rotation::Reused(user.id))
            }
        }
    }

    /// Ends a session; whether there was one.
    pub async fn delete_session(&self, id: SessionId) -> Result<bool> {
        let sql = "delete from sessions where id = $1";
        let done = writing!(self, db => sqlx::query(sql).bind(id.0).execute(db).await?
            .rows_affected());
        Ok(done > 0)
    }

    /// Forgets the sessions that have run out; how many.
    pub async fn delete_expired_sessions(&self, now: Instant) -> Result<u64> {
        let sql = "delete from sessions where expires_at <= $1";
        Ok(writing!(self, db => sqlx::query(sql).bind(now).execute(db).await?.rows_affected()))
    }

    /// Which of these sessions are still in force.
    pub async fn live_sessions(&self, ids: &[SessionId], now: Instant) -> Result<Vec<SessionId>> {
        // One takes an array, the other JSON.
        let live: Vec<Uuid> = match self {
            Self::Sqlite(sqlite) => {
                let list: Vec<String> = ids.iter().map(|id| id.0.simple().to_string()).collect();
                sqlx::query_scalar(
                    "select s.id from json_each($1) j join sessions s on s.id = unhex(j.value) \
                     join users u on u.id = s.user_id where s.expires_at > $2 and u.is_active",
                )
                .bind(serde_json::json!(list).to_string())
                .bind(now)
                .fetch_all(&sqlite.reader)
                .await?
            }
            Self::Postgres(pool) => {
                let list: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
                sqlx::query_scalar(
                    "select s.id from sessions s join users u on u.id = s.user_id \
                     where s.id = any($1) and s.expires_at > $2 and u.is_active",
                )
                .bind(list)
                .bind(now)
                .fetch_all(pool)
                .await?
            }
        };
        Ok(live.into_iter().map(SessionId).collect())
    }
}
