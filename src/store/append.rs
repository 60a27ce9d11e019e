//! Writing messages: a batch in one transaction, numbered without gaps.
//!
//! Whoever writes to a room holds its row: on SQLite because there is one writer, on PostgreSQL by
//! a row lock. Under it one reads the counters, leaves out what was said before, numbers the rest,
//! and writes rows and counters. The statements do not depend on how many messages there are.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use sqlx::{PgPool, Postgres, SqlitePool, Transaction};
use uuid::Uuid;

use super::messages::{MessageRow, message_columns};
use super::{Result, Store};
use crate::model::time::iso;
use crate::model::{Body, Instant, Message, MessageId, Nonce, RoomId, Seq, User, UserId};

/// A message to be.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Where.
    pub room_id: RoomId,
    /// Who says it.
    pub sender: User,
    /// What.
    pub body: Body,
    /// The sender's own name for it.
    pub nonce: Option<Nonce>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is stored.
    Stored(Message),
    /// It had been stored before, as this one.
    Repeated(Message),
    /// There is no such room.
    NoRoom,
    /// The sender is not a member.
    NotAMember,
}

/// What a batch needs to know about the rooms it writes to.
#[derive(Default)]
struct Ground {
    /// The counters of each room: `seq` and `id`.
    rooms: HashMap<RoomId, (Seq, MessageId)>,
    members: HashSet<(RoomId, UserId)>,
    /// Messages that have one of the batch's nonces.
    said: HashMap<(RoomId, UserId, String), Message>,
}

/// The batch, decided: the answers in order, and which rooms changed.
struct Plan {
    answers: Vec<Appended>,
    rooms: Vec<(RoomId, Seq, MessageId)>,
}

impl Plan {
    fn stored(&self) -> impl Iterator<Item = &Message> {
        self.answers.iter().filter_map(|answer| match answer {
            Appended::Stored(message) => Some(message),
            _ => None,
        })
    }
}

/// Decides a batch: the whole rule of numbering, without a database.
fn plan(batch: &[NewMessage], mut ground: Ground, now: Instant) -> Plan {
    let mut changed = Vec::new();
    let answers = batch
        .iter()
        .map(|new| {
            let Some((seq, id)) = ground.rooms.get_mut(&new.room_id) else {
                return Appended::NoRoom;
            };
            if !ground.members.contains(&(new.room_id, new.sender.id)) {
                return Appended::NotAMember;
            }
            let key = new
                .nonce
                .as_ref()
                .map(|nonce| (new.room_id, new.sender.id, nonce.as_str().to_owned()));
            if let Some(message) = key.as_ref().and_then(|key| ground.said.get(key)) {
                return Appended::Repeated(message.clone());
            }
            seq.0 += 1;
            id.0 += 1;
            if !changed.contains(&new.room_id) {
                changed.push(new.room_id);
            }
            let message = Message {
                room_id: new.room_id,
                id: *id,
                seq: *seq,
                user_id: new.sender.id,
                username: new.sender.username.clone(),
                email: new.sender.email.clone(),
                body: new.body.as_str().to_owned(),
                nonce: new.nonce.as_ref().map(|nonce| nonce.as_str().to_owned()),
                created_at: now,
            };
            if let Some(key) = key {
                ground.said.insert(key, message.clone());
            }
            Appended::Stored(message)
        })
        .collect();
    let rooms = changed
        .into_iter()
        .filter_map(|room| ground.rooms.get(&room).map(|(seq, id)| (room, *seq, *id)))
        .collect();
    Plan { answers, rooms }
}

/// The rooms of a batch, each once, and its senders with their rooms, each once.
fn parties(batch: &[NewMessage]) -> (Vec<RoomId>, Vec<(RoomId, UserId)>) {
    let mut senders: Vec<_> = batch
        .iter()
        .map(|new| (new.room_id, new.sender.id))
        .collect();
    senders.sort_unstable();
    senders.dedup();
    let mut rooms: Vec<_> = senders.iter().map(|(room, _)| *room).collect();
    rooms.dedup();
    (rooms, senders)
}

fn nonces(batch: &[NewMessage]) -> Vec<(RoomId, UserId, &str)> {
    batch
        .iter()
        .filter_map(|new| {
            let nonce = new.nonce.as_ref()?;
            Some((new.room_id, new.sender.id, nonce.as_str()))
        })
        .collect()
}

fn ground(
    rooms: Vec<(Uuid, i64, i64)>,
    members: Vec<(Uuid, i64)>,
    said: Vec<MessageRow>,
) -> Ground {
    Ground {
        rooms: rooms
            .into_iter()
            .map(|(room, seq, id)| (RoomId(room), (Seq(seq), MessageId(id))))
            .collect(),
        members: members
            .into_iter()
            .map(|(room, user)| (RoomId(room), UserId(user)))
            .collect(),
        said: said
            .into_iter()
            .filter_map(|row| {
                let message = Message::from(row);
                let nonce = message.nonce.clone()?;
                Some(((message.room_id, message.user_id, nonce), message))
            })
            .collect(),
    }
}

impl Store {
    /// Stores a batch of messages in one transaction and answers for each, in order. An error
    /// means that none of them is known to be stored.
    pub async fn append(&self, batch: &[NewMessage], now: Instant) -> Result<Vec<Appended>> {
        // JSON here, arrays there: no statement takes a list in both dialects.
        match self {
            Self::Sqlite(sqlite) => append_sqlite(&sqlite.writer, batch, now).await,
            Self::Postgres(pool) => append_postgres(pool, batch, now).await,
        }
    }
}

fn hex(room: RoomId) -> String {
    room.0.simple().to_string()
}

async fn append_sqlite(
    writer: &SqlitePool,
    batch: &[NewMessage],
    now: Instant,
) -> Result<Vec<Appended>> {
    let (rooms, senders) = parties(batch);
    let nonces = nonces(batch);
    let mut tx = writer.begin_with("begin immediate").await?;

    let list: Vec<_> = rooms.iter().map(|room| hex(*room)).collect();
    let counters = sqlx::query_as(
        "select id, last_seq, last_id from rooms \
         where id in (select unhex(value) from json_each($1))",
    )
    .bind(json!(list).to_string())
    .fetch_all(&mut *tx)
    .await?;

    let list: Vec<_> = senders.iter().map(|(r, u)| json!([hex(*r), u.0])).collect();
    let members = sqlx::query_as(
        "select m.room_id, m.user_id from json_each($1) j cross join members m \
         where m.room_id = unhex(j.value ->> 0) and m.user_id = j.value ->> 1",
    )
    .bind(json!(list).to_string())
    .fetch_all(&mut *tx)
    .await?;

    let said = if nonces.is_empty() {
        Vec::new()
    } else {
        let list: Vec<_> = nonces
            .iter()
            .map(|(r, u, n)| json!([hex(*r), u.0, n]))
            .collect();
        sqlx::query_as(concat!(
            "select ",
            message_columns!(),
            " from json_each($1) j cross join messages m \
             join users u on u.id = m.user_id where m.room_id = unhex(j.value ->> 0) \
             and m.user_id = j.value ->> 1 and m.nonce = j.value ->> 2"
        ))
        .bind(json!(list).to_string())
        .fetch_all(&mut *tx)
        .await?
    };

    let plan = plan(batch, ground(counters, members, said), now);
    if plan.rooms.is_empty() {
        return Ok(plan.answers);
    }
    let list: Vec<_> = plan
        .stored()
        .map(|m| {
            let at = iso(m.created_at);
            json!([
                hex(m.room_id),
                m.id.0,
                m.seq.0,
                m.user_id.0,
                m.body,
                m.nonce,
                at
            ])
        })
        .collect();
    sqlx::query(
        "insert into messages (room_id, id, seq, user_id, body, nonce, created_at) \
         select unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
         value ->> 5, value ->> 6 from json_each($1)",
    )
    .bind(json!(list).to_string())
    .execute(&mut *tx)
    .await?;

    let list: Vec<_> = plan
        .rooms
        .iter()
        .map(|(room, seq, id)| json!([hex(*room), seq.0, id.0]))
        .collect();
    sqlx::query(
        "update rooms set last_seq = j.value ->> 1, last_id = j.value ->> 2 \
         from json_each($1) j where rooms.id = unhex(j.value ->> 0)",
    )
    .bind(json!(list).to_string())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(plan.answers)
}

async fn append_postgres(
    pool: &PgPool,
    batch: &[NewMessage],
    now: Instant,
) -> Result<Vec<Appended>> {
    let (rooms, senders) = parties(batch);
    let mut tx = pool.begin().await?;

    // In the order of ids, so that two nodes never wait for each other. The lock is the one that
    // updates take: it leaves other rows free to refer to the room.
    let list: Vec<Uuid> = rooms.iter().map(|room| room.0).collect();
    let counters = sqlx::query_as(
        "select id, last_seq, last_id from rooms where id = any($1) order by id \
         for no key update",
    )
    .bind(list)
    .fetch_all(&mut *tx)
    .await?;

    let (of, who): (Vec<Uuid>, Vec<i64>) = senders.iter().map(|(r, u)| (r.0, u.0)).unzip();
    let members = sqlx::query_as(
        "select m.room_id, m.user_id from members m \
         join unnest($1::uuid[], $2::bigint[]) as w (room_id, user_id) using (room_id, user_id)",
    )
    .bind(of)
    .bind(who)
    .fetch_all(&mut *tx)
    .await?;

    let said = said_postgres(&mut tx, batch).await?;
    let plan = plan(batch, ground(counters, members, said), now);
    if plan.rooms.is_empty() {
        return Ok(plan.answers);
    }
    let stored: Vec<&Message> = plan.stored().collect();
    sqlx::query(
        "insert into messages (room_id, id, seq, user_id, body, nonce, created_at) \
         select room_id, id, seq, user_id, body, nonce, $7 from unnest($1::uuid[], \
         $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) \
         as n (room_id, id, seq, user_id, body, nonce)",
    )
    .bind(stored.iter().map(|m| m.room_id.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.id.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.seq.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.user_id.0).collect::<Vec<_>>())
    .bind(stored.iter().map(|m| m.body.as_str()).collect::<Vec<_>>())
    .bind(
        stored
            .iter()
            .map(|m| m.nonce.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(now)
    .execute(&mut *tx)
    .await?;

    sqlx::query(
        "update rooms set last_seq = n.seq, last_id = n.id \
         from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as n (room, seq, id) \
         where rooms.id = n.room",
    )
    .bind(
        plan.rooms
            .iter()
            .map(|(room, ..)| room.0)
            .collect::<Vec<_>>(),
    )
    .bind(
        plan.rooms
            .iter()
            .map(|(_, seq, _)| seq.0)
            .collect::<Vec<_>>(),
    )
    .bind(plan.rooms.iter().map(|(.., id)| id.0).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(plan.answers)
}

async fn said_postgres(
    tx: &mut Transaction<'_, Postgres>,
    batch: &[NewMessage],
) -> Result<Vec<MessageRow>> {
    let nonces = nonces(batch);
    if nonces.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as(concat!(
        "select ",
        message_columns!(),
        " from unnest($1::uuid[], $2::bigint[], $3::text[]) \
         as n (room_id, user_id, nonce) join messages m on m.room_id = n.room_id \
         and m.user_id = n.user_id and m.nonce = n.nonce join users u on u.id = m.user_id"
    ))
    .bind(nonces.iter().map(|(room, ..)| room.0).collect::<Vec<_>>())
    .bind(nonces.iter().map(|(_, user, _)| user.0).collect::<Vec<_>>())
    .bind(nonces.iter().map(|(.., nonce)| *nonce).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}
