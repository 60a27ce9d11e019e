//! Writing messages: a batch in one transaction, numbered without gaps.
//!
//! Whoever writes to a room holds its row: on SQLite because there is one writer, on PostgreSQL by
//! a row lock. Under it one reads the counters, leaves out what was said before, numbers the rest,
//! and writes rows and counters. The statements do not depend on how many messages there are.

mod postgres;
mod sqlite;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::messages::MessageRow;
use super::{Result, Store};
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
    Stored(Arc<Message>),
    /// It had been stored before, as this one.
    Repeated(Arc<Message>),
    /// There is no such room.
    NoRoom,
    /// The sender is not a member.
    NotAMember,
}

/// Who says a nonce, where.
type Said<'a> = (RoomId, UserId, &'a str);

/// What a batch needs to know about the rooms it writes to.
#[derive(Default)]
struct Ground {
    /// The counters of each room: `seq` and `id`.
    rooms: HashMap<RoomId, (Seq, MessageId)>,
    /// Senders who are not members.
    outsiders: HashSet<(RoomId, UserId)>,
    /// Messages that have one of the batch's nonces, if somebody looked.
    said: Vec<Arc<Message>>,
}

/// The batch, decided: the answers in order, and which rooms changed.
struct Plan {
    answers: Vec<Appended>,
    rooms: Vec<(RoomId, Seq, MessageId)>,
}

impl Plan {
    fn stored(&self) -> impl Iterator<Item = &Message> {
        self.answers.iter().filter_map(|answer| match answer {
            Appended::Stored(message) => Some(&**message),
            _ => None,
        })
    }
}

/// Decides a batch: the whole rule of numbering, without a database.
fn plan(batch: &[NewMessage], mut ground: Ground, now: Instant) -> Plan {
    let mut changed = HashSet::new();
    let mut said: HashMap<Said<'_>, Arc<Message>> = HashMap::new();
    for message in &ground.said {
        if let Some(nonce) = &message.nonce {
            let key = (message.room_id, message.user_id, nonce.as_str());
            said.insert(key, message.clone());
        }
    }
    let answers = batch
        .iter()
        .map(|new| {
            let Some((seq, id)) = ground.rooms.get_mut(&new.room_id) else {
                return Appended::NoRoom;
            };
            if ground.outsiders.contains(&(new.room_id, new.sender.id)) {
                return Appended::NotAMember;
            }
            let key = said_by(new);
            if let Some(message) = key.as_ref().and_then(|key| said.get(key)) {
                return Appended::Repeated(message.clone());
            }
            seq.0 += 1;
            id.0 += 1;
            changed.insert(new.room_id);
            let message = Arc::new(Message {
                room_id: new.room_id,
                id: *id,
                seq: *seq,
                user_id: new.sender.id,
                username: new.sender.username.clone(),
                email: new.sender.email.clone(),
                body: new.body.as_str().to_owned(),
                nonce: new.nonce.as_ref().map(|nonce| nonce.as_str().to_owned()),
                created_at: now,
            });
            if let Some(key) = key {
                said.insert(key, message.clone());
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

fn said_by(new: &NewMessage) -> Option<Said<'_>> {
    let nonce = new.nonce.as_ref()?;
    Some((new.room_id, new.sender.id, nonce.as_str()))
}

fn ground(
    rooms: Vec<(Uuid, i64, i64)>,
    senders: &[(RoomId, UserId)],
    outsiders: Vec<i64>,
    said: Vec<MessageRow>,
) -> Ground {
    let outsiders = outsiders
        .into_iter()
        .filter_map(|at| senders.get(usize::try_from(at).ok()?).copied());
    Ground {
        rooms: rooms
            .into_iter()
            .map(|(room, seq, id)| (RoomId(room), (Seq(seq), MessageId(id))))
            .collect(),
        outsiders: outsiders.collect(),
        said: said
            .into_iter()
            .map(|row| Arc::new(Message::from(row)))
            .collect(),
    }
}

impl Store {
    /// Stores a batch of messages in one transaction and answers for each, in order. An error
    /// means that none of them is known to be stored.
    pub async fn append(&self, batch: &[NewMessage], now: Instant) -> Result<Vec<Appended>> {
        // Retries are rare, and to look for them in a large index is a good part of the work. So
        // nobody looks, unless the index itself finds one.
        if let Some(appended) = self.try_append(batch, now, false).await? {
            return Ok(appended);
        }
        let appended = self.try_append(batch, now, true).await?;
        appended.ok_or_else(|| {
            sqlx::Error::Protocol("a nonce is taken by a message that is not there".to_owned())
                .into()
        })
    }

    /// Stores the batch; none if it has to be done again with `look`, as something in it was said
    /// before.
    async fn try_append(
        &self,
        batch: &[NewMessage],
        now: Instant,
        look: bool,
    ) -> Result<Option<Vec<Appended>>> {
        // The dialects differ in how a statement takes a list.
        match self {
            Self::Sqlite(sqlite) => sqlite::append(&sqlite.writer, batch, now, look).await,
            Self::Postgres(pool) => postgres::append(pool, batch, now, look).await,
        }
    }
}

/// What an `insert` does with a nonce that is taken, while nobody has looked.
macro_rules! unless_said {
    () => {
        " on conflict (room_id, user_id, nonce) where nonce is not null do nothing"
    };
}
use unless_said;
