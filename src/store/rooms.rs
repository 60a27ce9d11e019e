//! Rooms and their members.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::users::{UserRow, user_columns};
use super::{Error, Result, Store, reading, transaction, writing};
use crate::model::{Instant, Member, MessageId, Role, Room, RoomId, RoomName, Seq, User, UserId};

/// The columns of a room `r` made by `c`, seen by someone whose membership is `m`.
macro_rules! room_columns {
    () => {
        "r.id, r.name, r.created_by, c.username as creator, r.created_at, r.last_seq, r.last_id, \
         m.role"
    };
}

#[derive(sqlx::FromRow)]
struct RoomRow {
    id: Uuid,
    name: String,
    created_by: i64,
    creator: String,
    created_at: DateTime<Utc>,
    last_seq: i64,
    last_id: i64,
    role: Option<String>,
}

impl From<RoomRow> for Room {
    fn from(row: RoomRow) -> Self {
        Self {
            id: RoomId(row.id),
            name: row.name,
            created_by: (UserId(row.created_by), row.creator),
            created_at: row.created_at,
            last_seq: Seq(row.last_seq),
            last_id: MessageId(row.last_id),
            role: row.role.as_deref().map(Role::parse),
        }
    }
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    #[sqlx(flatten)]
    user: UserRow,
    role: String,
    joined_at: DateTime<Utc>,
}

/// Nobody has this id: users count from 1.
const NOBODY: i64 = 0;

impl Store {
    /// Makes a room with its owner as first member; `false` when the name is taken.
    pub async fn insert_room(
        &self,
        id: RoomId,
        name: &RoomName,
        owner: UserId,
        now: Instant,
    ) -> Result<bool> {
        match self.try_insert_room(id, name, owner, now).await {
            Ok(()) => Ok(true),
            Err(e) if e.is_taken() => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn try_insert_room(
        &self,
        id: RoomId,
        name: &RoomName,
        owner: UserId,
        now: Instant,
    ) -> Result<()> {
        transaction!(self, tx => {
            sqlx::query(
                "insert into rooms (id, name, name_key, created_by, created_at) \
                 values ($1, $2, $3, $4, $5)",
            )
            .bind(id.0)
            .bind(name.as_str())
            .bind(name.key())
            .bind(owner.0)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "insert into members (room_id, user_id, role, joined_at) values ($1, $2, $3, $4)",
            )
            .bind(id.0)
            .bind(owner.0)
            .bind(Role::Owner.as_str())
            .bind(now)
            .execute(&mut *tx)
            .await?;
        });
        Ok(())
    }

    /// A room as this user sees it.
    pub async fn room(&self, id: RoomId, seen_by: Option<UserId>) -> Result<Option<Room>> {
        let sql = concat!(
            "select ",
            room_columns!(),
            " from rooms r join users c on c.id = r.created_by \
             left join members m on m.room_id = r.id and m.user_id = $2 where r.id = $1"
        );
        let row: Option<RoomRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(id.0)
            .bind(seen_by.map_or(NOBODY, |user| user.0))
            .fetch_optional(db)
            .await?);
        Ok(row.map(Room::from))
    }

    /// The room with this folded name as this user sees it.
    pub async fn room_by_name(
        &self,
        name_key: &str,
        seen_by: Option<UserId>,
    ) -> Result<Option<Room>> {
        let sql = concat!(
            "select ",
            room_columns!(),
            " from rooms r join users c on c.id = r.created_by \
             left join members m on m.room_id = r.id and m.user_id = $2 where r.name_key = $1"
        );
        let row: Option<RoomRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(name_key)
            .bind(seen_by.map_or(NOBODY, |user| user.0))
            .fetch_optional(db)
            .await?);
        Ok(row.map(Room::from))
    }

    /// Up to `limit` rooms of a user in the order joined, those after the room `after`.
    pub async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<Vec<Room>> {
        let sql = concat!(
            "select ",
            room_columns!(),
            " from members m join rooms r on r.id = m.room_id \
             join users c on c.id = r.created_by where m.user_id = $1 \
             and ($2 or (m.joined_at, m.room_id) > (select a.joined_at, a.room_id from members a \
             where a.room_id = $3 and a.user_id = $1)) \
             order by m.joined_at, m.room_id limit $4"
        );
        let rows: Vec<RoomRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(user.0)
            .bind(after.is_none())
            .bind(after.map_or(Uuid::nil(), |room| room.0))
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?);
        Ok(rows.into_iter().map(Room::from).collect())
    }

    /// Up to `limit` of all rooms by folded name, those after the folded name `after`.
    pub async fn all_rooms(&self, after: &str, limit: u32) -> Result<Vec<Room>> {
        let sql = concat!(
            "select ",
            room_columns!(),
            " from rooms r join users c on c.id = r.created_by \
             left join members m on m.room_id = r.id and m.user_id = $3 \
             where r.name_key > $1 order by r.name_key limit $2"
        );
        let rows: Vec<RoomRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(after)
            .bind(i64::from(limit))
            .bind(NOBODY)
            .fetch_all(db)
            .await?);
        Ok(rows.into_iter().map(Room::from).collect())
    }

    /// Makes a user a member; `false` when they were one, `None` when the room is gone.
    pub async fn join(&self, room: RoomId, user: UserId, now: Instant) -> Result<Option<bool>> {
        let sql = "insert into members (room_id, user_id, role, joined_at) \
                   values ($1, $2, $3, $4) on conflict (room_id, user_id) do nothing";
        let done = writing!(self, db => sqlx::query(sql)
            .bind(room.0)
            .bind(user.0)
            .bind(Role::Member.as_str())
            .bind(now)
            .execute(db)
            .await
            .map(|done| done.rows_affected()));
        match done {
            Ok(rows) => Ok(Some(rows > 0)),
            Err(sqlx::Error::Database(e)) if e.is_foreign_key_violation() => Ok(None),
            Err(e) => Err(Error::from(e)),
        }
    }

    /// Deletes a room with its members and messages; whether there was one.
    pub async fn delete_room(&self, id: RoomId) -> Result<bool> {
        let found = transaction!(self, tx => {
            // Taking the room's lock first makes a send that is under way on another node wait,
            // and then find no room.
            let found = sqlx::query("update rooms set name = name where id = $1")
                .bind(id.0)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            for sql in [
                "delete from messages where room_id = $1",
                "delete from members where room_id = $1",
                "delete from rooms where id = $1",
            ] {
                sqlx::query(sql).bind(id.0).execute(&mut *tx).await?;
            }
            found
        });
        Ok(found > 0)
    }

    /// Up to `limit` members of a room, by user id, those after `after`.
    pub async fn members_of(&self, room: RoomId, after: UserId, limit: u32) -> Result<Vec<Member>> {
        let sql = concat!(
            "select ",
            user_columns!(),
            ", m.role, m.joined_at from members m \
             join users u on u.id = m.user_id where m.room_id = $1 and m.user_id > $2 \
             order by m.user_id limit $3"
        );
        let rows: Vec<MemberRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(room.0)
            .bind(after.0)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?);
        Ok(rows
            .into_iter()
            .map(|row| Member {
                user: User::from(row.user),
                role: Role::parse(&row.role),
                joined_at: row.joined_at,
            })
            .collect())
    }
}
