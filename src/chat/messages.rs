//! Messages: saying something, and reading what was said.

use super::Chat;
use super::error::{Error, Result};
use super::journal::Pending;
use crate::model::message::PAGE_MAX;
use crate::model::text::is_blank;
use crate::model::{
    Actor, Body, Event, Field, MessageId, Nonce, Page, Point, RoomId, RoomKey, Seq, Signal, User,
};
use crate::store::NewMessage;

impl Chat {
    /// Hands a message in; what comes back fixes its place in the order and can be waited for.
    /// The journal looks whether the sender is a member, at the moment of storing.
    pub async fn say(
        &self,
        who: &User,
        room_id: RoomId,
        body: Field,
        nonce: Field,
    ) -> Result<Pending> {
        let new = NewMessage {
            room_id,
            sender: who.clone(),
            body: parse_body(body)?,
            nonce: parse_nonce(nonce)?,
        };
        self.0.limits.send(who.id)?;
        self.0.journal.hand_in(new).await
    }

    /// Up to `limit` (at most 200) messages of a room, oldest first. For members and the operator.
    pub async fn read(
        &self,
        who: Actor<'_>,
        room: impl Into<RoomKey<'_>>,
        point: Point,
        limit: u32,
    ) -> Result<Page> {
        let room = self.enter_room(who, room).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let mut messages = self
            .0
            .store
            .messages(room.id, point, room.last_seq, limit + 1)
            .await?;
        let has_more = messages.len() > limit as usize;
        // The one too many is at the far end in the direction of reading.
        match point {
            Point::Newest | Point::Before(_) if has_more => {
                messages.remove(0);
            }
            _ => messages.truncate(limit as usize),
        }
        let reached_head = match point {
            Point::Newest => true,
            Point::Before(_) => false,
            Point::After(_) | Point::Since(_) => !has_more,
        };
        let (last_id, last_seq) = match messages.last() {
            _ if reached_head => (room.last_id, room.last_seq),
            Some(last) => (last.id, last.seq),
            None => (MessageId(0), Seq(0)),
        };
        Ok(Page {
            room_id: room.id,
            messages,
            has_more,
            last_id,
            last_seq,
        })
    }

    /// Tells the others in a room that someone is typing; `from` is the number of the typist's connection.
    pub fn tell_typing(&self, who: &User, room: RoomId, from: u64) {
        let signal = Signal::Typing {
            user_id: who.id,
            username: who.username.clone(),
            email: who.email.clone(),
            from,
        };
        self.0.hub.tell(room, Event::new(signal));
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
