//! Reading messages: every read is one page, found by an index.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Result, Store, reading};
use crate::model::{Message, MessageId, Point, RoomId, Seq, UserId};

/// The columns of a message `m` said by `u`.
macro_rules! message_columns {
    () => {
        "m.room_id, m.id, m.seq, m.user_id, u.username, u.email, m.body, m.nonce, m.created_at"
    };
}
pub(super) use message_columns;

#[derive(sqlx::FromRow)]
pub(super) struct MessageRow {
    room_id: Uuid,
    id: i64,
    seq: i64,
    user_id: i64,
    username: String,
    email: String,
    body: String,
    nonce: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        Self {
            room_id: RoomId(row.room_id),
            id: MessageId(row.id),
            seq: Seq(row.seq),
            user_id: UserId(row.user_id),
            username: row.username,
            email: row.email,
            body: row.body,
            nonce: row.nonce,
            created_at: row.created_at,
        }
    }
}

impl Store {
    /// The newest change and the newest message of a room, if there is such a room.
    pub async fn head(&self, room: RoomId) -> Result<Option<(Seq, MessageId)>> {
        let sql = "select last_seq, last_id from rooms where id = $1";
        let row: Option<(i64, i64)> = reading!(self, db => sqlx::query_as(sql)
            .bind(room.0)
            .fetch_optional(db)
            .await?);
        Ok(row.map(|(seq, id)| (Seq(seq), MessageId(id))))
    }

    /// Up to `limit` messages of a room at that point, oldest first, none newer than `head`.
    pub async fn messages(
        &self,
        room: RoomId,
        point: Point,
        head: Seq,
        limit: u32,
    ) -> Result<Vec<Message>> {
        let newest_first = concat!(
            "select ",
            message_columns!(),
            " from messages m join users u on u.id = m.user_id \
             where m.room_id = $1 and m.id < $2 and m.seq <= $3 order by m.id desc limit $4"
        );
        let by_id = concat!(
            "select ",
            message_columns!(),
            " from messages m join users u on u.id = m.user_id \
             where m.room_id = $1 and m.id > $2 and m.seq <= $3 order by m.id limit $4"
        );
        let by_seq = concat!(
            "select ",
            message_columns!(),
            " from messages m join users u on u.id = m.user_id \
             where m.room_id = $1 and m.seq > $2 and m.seq <= $3 order by m.seq limit $4"
        );
        let (sql, from) = match point {
            Point::Newest => (newest_first, i64::MAX),
            Point::Before(id) => (newest_first, id.0),
            Point::After(id) => (by_id, id.0),
            Point::Since(seq) => (by_seq, seq.0),
        };
        let rows: Vec<MessageRow> = reading!(self, db => sqlx::query_as(sql)
            .bind(room.0)
            .bind(from)
            .bind(head.0)
            .bind(i64::from(limit))
            .fetch_all(db)
            .await?);
        let mut messages: Vec<Message> = rows.into_iter().map(Message::from).collect();
        if matches!(point, Point::Newest | Point::Before(_)) {
            messages.reverse();
        }
        Ok(messages)
    }
}
