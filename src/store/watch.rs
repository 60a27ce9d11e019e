//! What changed behind this process's back: asked for many rooms and people at once.

use uuid::Uuid;

use super::{Result, Store};
use crate::model::{RoomId, Seq, UserId};

impl Store {
    /// A number that changes whenever another connection has written to the database, or `None`
    /// where there is no such number and one has to look.
    pub async fn version(&self) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(sqlite) => Ok(Some(
                sqlx::query_scalar("pragma data_version")
                    .fetch_one(&sqlite.watcher)
                    .await?,
            )),
            Self::Postgres(_) => Ok(None),
        }
    }

    /// The newest change of each of these rooms; a room that is gone is left out.
    pub async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Seq)>> {
        // JSON here, an array there.
        let rows: Vec<(Uuid, i64)> = match self {
            Self::Sqlite(sqlite) => {
                let list: Vec<_> = rooms.iter().map(|r| r.0.simple().to_string()).collect();
                sqlx::query_as(
                    "select r.id, r.last_seq from json_each($1) j \
                     join rooms r on r.id = unhex(j.value)",
                )
                .bind(serde_json::json!(list).to_string())
                .fetch_all(&sqlite.reader)
                .await?
            }
            Self::Postgres(pool) => {
                let list: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
                sqlx::query_as("select id, last_seq from rooms where id = any($1)")
                    .bind(list)
                    .fetch_all(pool)
                    .await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(room, seq)| (RoomId(room), Seq(seq)))
            .collect())
    }

    /// Which of these memberships there still are.
    pub async fn memberships(&self, pairs: &[(RoomId, UserId)]) -> Result<Vec<(RoomId, UserId)>> {
        // JSON here, arrays there.
        let rows: Vec<(Uuid, i64)> = match self {
            Self::Sqlite(sqlite) => {
                let list: Vec<_> = pairs
                    .iter()
                    .map(|(room, user)| serde_json::json!([room.0.simple().to_string(), user.0]))
                    .collect();
                sqlx::query_as(
                    "select m.room_id, m.user_id from json_each($1) j cross join members m \
                     where m.room_id = unhex(j.value ->> 0) and m.user_id = j.value ->> 1",
                )
                .bind(serde_json::json!(list).to_string())
                .fetch_all(&sqlite.reader)
                .await?
            }
            Self::Postgres(pool) => {
                let (rooms, users): (Vec<Uuid>, Vec<i64>) =
                    pairs.iter().map(|(room, user)| (room.0, user.0)).unzip();
                sqlx::query_as(
                    "select m.room_id, m.user_id from members m \
                     join unnest($1::uuid[], $2::bigint[]) as w (room_id, user_id) \
                     using (room_id, user_id)",
                )
                .bind(rooms)
                .bind(users)
                .fetch_all(pool)
                .await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(room, user)| (RoomId(room), UserId(user)))
            .collect())
    }

    /// The rooms of these users, as pairs, each user's in the order joined.
    pub async fn rooms_of_all(&self, users: &[UserId]) -> Result<Vec<(RoomId, UserId)>> {
        // JSON here, an array there.
        let list: Vec<i64> = users.iter().map(|user| user.0).collect();
        let rows: Vec<(Uuid, i64)> = match self {
            Self::Sqlite(sqlite) => {
                sqlx::query_as(
                    "select m.room_id, m.user_id from json_each($1) j cross join members m \
                     where m.user_id = j.value order by m.user_id, m.joined_at, m.room_id",
                )
                .bind(serde_json::json!(list).to_string())
                .fetch_all(&sqlite.reader)
                .await?
            }
            Self::Postgres(pool) => {
                sqlx::query_as(
                    "select room_id, user_id from members where user_id = any($1) \
                     order by user_id, joined_at, room_id",
                )
                .bind(list)
                .fetch_all(pool)
                .await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(room, user)| (RoomId(room), UserId(user)))
            .collect())
    }
}
