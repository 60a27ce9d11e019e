//! The frames that a client gets, as bytes that can be written to any number of sockets.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::Malformed;
use crate::chat::Error;
use crate::model::time::iso;
use crate::model::{Message, Page, Receipt, Room, RoomId, Seq, User};
use crate::web::json::{AccountBody, Dialect, HistoryFrame, MessageFrame, RoomBody};
use crate::web::socket::codec::put_text;

/// What a frame is an answer to: the frame's `ref`, and on a socket of many rooms the room.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The `ref`, if there was one.
    pub reference: Option<Value>,
    /// The room, where it has to be said.
    pub room: Option<RoomId>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerFrame<'a> {
    Typing {
        room_id: Uuid,
        user: &'a str,
        username: &'a str,
    },
    Ack {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<Uuid>,
        r#ref: &'a Value,
        id: i64,
        seq: i64,
        timestamp: String,
        duplicate: bool,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        room_id: Option<Uuid>,
        message: &'a str,
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a Value>,
    },
    Ready {
        user: AccountBody,
        rooms: Vec<RoomBody>,
        has_more: bool,
    },
    RoomJoined {
        #[serde(flatten)]
        room: RoomBody,
    },
    RoomLeft {
        room_id: Uuid,
        reason: &'a str,
    },
    Pong,
}

fn put(out: &mut Vec<u8>, frame: &impl Serialize) {
    put_text(out, |out| {
        // The frames have string keys only and a vector takes everything: this cannot fail.
        let _ = serde_json::to_writer(out, frame);
    });
}

fn encode(frame: &impl Serialize) -> Bytes {
    let mut out = Vec::with_capacity(256);
    put(&mut out, frame);
    out.into()
}

/// New messages, a frame each.
pub fn new_messages(messages: &[Arc<Message>], dialect: Dialect) -> Bytes {
    let text: usize = messages.iter().map(|m| m.body.len() + 384).sum();
    let mut out = Vec::with_capacity(text);
    for message in messages {
        put(&mut out, &MessageFrame::alone(message, dialect));
    }
    out.into()
}

/// A page of messages, which lets its reader resume from `last_seq`.
pub fn history(page: &Page, last_seq: Seq, dialect: Dialect) -> Bytes {
    encode(&HistoryFrame::new(page, last_seq, dialect))
}

/// Someone is typing.
pub fn typing(room_id: RoomId, username: &str, email: &str, dialect: Dialect) -> Bytes {
    encode(&ServerFrame::Typing {
        room_id: room_id.0,
        user: dialect.user(username, email),
        username,
    })
}

/// The message is durable. Without a `ref` nobody asked to know.
pub fn ack(about: &About, receipt: &Receipt) -> Option<Bytes> {
    Some(encode(&ServerFrame::Ack {
        room_id: about.room.map(|room| room.0),
        r#ref: about.reference.as_ref()?,
        id: receipt.message.id.0,
        seq: receipt.message.seq.0,
        timestamp: iso(receipt.message.created_at),
        duplicate: receipt.duplicate,
    }))
}

/// The frame was no frame.
pub fn malformed(malformed: &Malformed, about: &About) -> Bytes {
    encode(&ServerFrame::Error {
        room_id: about.room.map(|room| room.0),
        message: &malformed.text,
        code: malformed.code,
        r#ref: about.reference.as_ref(),
    })
}

/// Something was not done.
pub fn error(error: &Error, about: &About) -> Bytes {
    encode(&ServerFrame::Error {
        room_id: about.room.map(|room| room.0),
        message: &error.to_string(),
        code: error.code(),
        r#ref: about.reference.as_ref(),
    })
}

/// The first frame on a socket of all rooms. With `has_more` there are more rooms than one socket
/// listens to.
pub fn ready(user: &User, rooms: &[Room], has_more: bool) -> Bytes {
    encode(&ServerFrame::Ready {
        user: user.into(),
        rooms: rooms.iter().map(RoomBody::from).collect(),
        has_more,
    })
}

/// The user has come into a room.
pub fn room_joined(room: &Room) -> Bytes {
    encode(&ServerFrame::RoomJoined { room: room.into() })
}

/// The user is in that room no more.
pub fn room_left(room_id: RoomId, reason: &str) -> Bytes {
    encode(&ServerFrame::RoomLeft {
        room_id: room_id.0,
        reason,
    })
}

/// The answer to a ping of the protocol, which is not RFC 6455's.
pub fn pong() -> Bytes {
    encode(&ServerFrame::Pong)
}
