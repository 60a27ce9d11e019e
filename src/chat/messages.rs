//! Messages: saying something, and reading what was said.

use std::sync::{Arc, OnceLock};

use tokio::time::timeout;

use super::Chat;
use super::error::{Error, Result};
use super::journal::{self, Answer, PATIENCE};
use crate::bus::TAIL_MESSAGES;
use crate::model::message::PAGE_MAX;
use crate::model::text::is_blank;
use crate::model::{
    Actor, Body, Field, Message, MessageId, Nonce, Page, Point, Receipt, RoomId, RoomKey, Seq,
    Signal, User,
};
use crate::store::NewMessage;

impl Chat {
    /// Hands a message in. When this returns its place in the order is fixed; `answer` is told, from
    /// another task, what became of it. The journal looks whether the sender is a member, at the
    /// moment of storing.
    pub async fn say(
        &self,
        who: &User,
        room_id: RoomId,
        body: Field,
        nonce: Field,
        answer: Answer,
    ) -> Result<()> {
        let new = NewMessage {
            room_id,
            sender: who.clone(),
            body: parse_body(body)?,
            nonce: parse_nonce(nonce)?,
        };
        self.0.limits.send(who.id)?;
        self.0.journal.hand_in(new, answer).await
    }

    /// The same, and waits until the message is on disk, or it is known that it was refused.
    pub async fn say_and_wait(
        &self,
        who: &User,
        room_id: RoomId,
        body: Field,
        nonce: Field,
    ) -> Result<Receipt> {
        let (answer, receipt) = journal::answer();
        self.say(who, room_id, body, nonce, answer).await?;
        receipt.await
    }

    /// Up to `limit` (at most 200) messages of a room, oldest first. For members and the operator.
    pub async fn read(
        &self,
        who: Actor<'_>,
        room: impl Into<RoomKey<'_>>,
        point: Point,
        limit: u32,
    ) -> Result<Arc<Page>> {
        let room = self.enter_room(who, room).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let channel = self.0.hub.channel(room.id);
        if let Some(page) = channel.and_then(|c| c.page(point, limit, room.last_seq)) {
            return Ok(page);
        }
        let head = (room.last_seq, room.last_id);
        let messages = self.messages(room.id, point, head, limit + 1).await?;
        Ok(Arc::new(page(room.id, messages, point, limit, head)))
    }

    /// A page for a connection that listens to the room, and may: up to `limit` messages, and not
    /// without the changes up to `at_least`. What was told lately is at hand; of many who miss the
    /// same, one reads the store.
    pub async fn replay(
        &self,
        room: RoomId,
        point: Point,
        limit: u32,
        at_least: Seq,
    ) -> Result<Arc<Page>> {
        let Some(channel) = self.0.hub.channel(room) else {
            return Err(Error::RoomNotFound);
        };
        let at_hand = || channel.page(point, limit, at_least);
        if let Some(page) = at_hand() {
            return Ok(page);
        }
        let keep = match point {
            Point::Newest => channel.may_hold(None),
            Point::Since(after) => channel.may_hold(Some(after)),
            Point::Before(_) | Point::After(_) => false,
        };
        let filling = if keep {
            let one = timeout(PATIENCE, channel.filling.lock()).await;
            Some(one.map_err(|_| Error::Unavailable)?)
        } else {
            None
        };
        if let Some(page) = filling.as_ref().and_then(|_| at_hand()) {
            return Ok(page);
        }
        let head = self.0.store.head(room).await?.ok_or(Error::RoomNotFound)?;
        let block = match point {
            Point::Since(after) if keep && head.0.0 - after.0 <= i64::from(TAIL_MESSAGES) => {
                TAIL_MESSAGES
            }
            _ => limit + 1,
        };
        let messages = self.messages(room, point, head, block).await?;
        let whole = messages.last().map_or(head.0, |m| m.seq) == head.0;
        if keep {
            let known: &[_] = if whole { &messages } else { &[] };
            channel.fill(known, head);
        }
        Ok(Arc::new(page(room, messages, point, limit, head)))
    }

    async fn messages(
        &self,
        room: RoomId,
        point: Point,
        head: (Seq, MessageId),
        limit: u32,
    ) -> Result<Vec<Arc<Message>>> {
        let messages = self.0.store.messages(room, point, head.0, limit).await?;
        Ok(messages.into_iter().map(Arc::new).collect())
    }

    /// Tells the others in a room that someone is typing; `from` is the number of the typist's connection.
    pub fn tell_typing(&self, who: &User, room: RoomId, from: u64) {
        let signal = Signal::Typing {
            user_id: who.id,
            username: who.username.clone(),
            email: who.email.clone(),
            from,
        };
        self.0.hub.tell(room, signal);
    }
}

/// Makes a page of at most `limit` messages of those that were read.
fn page(
    room_id: RoomId,
    mut messages: Vec<Arc<Message>>,
    point: Point,
    limit: u32,
    head: (Seq, MessageId),
) -> Page {
    let limit = limit as usize;
    let has_more = messages.len() > limit;
    // Those too many are at the far end in the direction of reading.
    match point {
        Point::Newest | Point::Before(_) => {
            messages.drain(..messages.len().saturating_sub(limit));
        }
        Point::After(_) | Point::Since(_) => messages.truncate(limit),
    }
    let reached_head = match point {
        Point::Newest => true,
        Point::Before(_) => false,
        Point::After(_) | Point::Since(_) => !has_more,
    };
    let (last_seq, last_id) = match messages.last() {
        _ if reached_head => head,
        Some(last) => (last.seq, last.id),
        None => (Seq(0), MessageId(0)),
    };
    Page {
        room_id,
        messages,
        has_more,
        last_id,
        last_seq,
        wire: OnceLock::new(),
    }
}

fn parse_body(body: Field) -> Result<Body> {
    match body {
        Field::Text(text) if !is_blank(&text) => Body::parse(text).map_err(Error::MessageRefused),
        Field::Other => Err(Error::MessageRefused("Message must be a string.".into())),
        _ => Err(Error::MessageEmpty),
    }
}

fn parse_nonce(nonce: Field) -> Result<Option<Nonce>> {
    match nonce {
        Field::Missing | Field::Null => Ok(None),
        Field::Text(text) => Nonce::parse(text).map(Some).map_err(Error::MessageRefused),
        Field::Other => Err(Error::MessageRefused("A nonce must be a string.".into())),
    }
}
