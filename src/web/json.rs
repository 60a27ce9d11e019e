//! The shapes that clients see, REST and socket alike.

use poem_openapi::Object;
use serde::Serialize;
use uuid::Uuid;

use crate::model::time::iso;
use crate::model::{Message, Page, Room, Seq, User};

/// The two ways of telling the same: this server's, and the one that the old React front end knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dialect {
    /// The old front end's: `user` is the sender's email address, a new message's type is `message`.
    pub shh: bool,
}

impl Dialect {
    /// What stands in `user`.
    pub fn user<'a>(self, username: &'a str, email: &'a str) -> &'a str {
        if self.shh { email } else { username }
    }

    /// The type of the frame that brings a new message.
    pub fn message_type(self) -> &'static str {
        if self.shh { "message" } else { "chat_message" }
    }
}

/// A message.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "Message")]
pub struct MessageBody {
    /// Counts the messages of the room: 1, 2, 3 …
    #[oai(validator(minimum(value = "1")))]
    pub id: i64,
    /// Counts the changes of the room: 1, 2, 3 … A client resumes from the last one it saw.
    #[oai(validator(minimum(value = "1")))]
    pub seq: i64,
    /// The room's UUID.
    pub room_id: String,
    /// The sender's username; with `compat.shh_frontend` the email address.
    pub user: String,
    /// The sender's username.
    pub username: String,
    /// The sender's id.
    pub user_id: i64,
    /// The text.
    pub message: String,
    /// When it was stored: UTC, microseconds.
    pub timestamp: String,
    /// The sender's own name for the message, if there is one.
    pub nonce: Option<String>,
}

impl MessageBody {
    /// In this dialect.
    pub fn new(message: &Message, dialect: Dialect) -> Self {
        Self {
            id: message.id.0,
            seq: message.seq.0,
            room_id: message.room_id.to_string(),
            user: dialect.user(&message.username, &message.email).to_owned(),
            username: message.username.clone(),
            user_id: message.user_id.0,
            message: message.body.clone(),
            timestamp: iso(message.created_at),
            nonce: message.nonce.clone(),
        }
    }
}

/// The same message, for sockets: written without copying it first.
#[derive(Debug, Serialize)]
pub struct MessageFrame<'a> {
    /// The frame's type; a message in a page has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    id: i64,
    seq: i64,
    room_id: Uuid,
    user: &'a str,
    username: &'a str,
    user_id: i64,
    message: &'a str,
    timestamp: String,
    nonce: Option<&'a str>,
}

impl<'a> MessageFrame<'a> {
    /// A message in a page.
    pub fn in_page(message: &'a Message, dialect: Dialect) -> Self {
        Self {
            r#type: None,
            id: message.id.0,
            seq: message.seq.0,
            room_id: message.room_id.0,
            user: dialect.user(&message.username, &message.email),
            username: &message.username,
            user_id: message.user_id.0,
            message: &message.body,
            timestamp: iso(message.created_at),
            nonce: message.nonce.as_deref(),
        }
    }

    /// A new message.
    pub fn alone(message: &'a Message, dialect: Dialect) -> Self {
        Self {
            r#type: Some(dialect.message_type()),
            ..Self::in_page(message, dialect)
        }
    }
}

/// A page, for sockets.
#[derive(Debug, Serialize)]
pub struct HistoryFrame<'a> {
    r#type: &'static str,
    room_id: Uuid,
    messages: Vec<MessageFrame<'a>>,
    has_more: bool,
    last_id: i64,
    last_seq: i64,
}

impl<'a> HistoryFrame<'a> {
    /// The page, which lets its reader resume from `last_seq`.
    pub fn new(page: &'a Page, last_seq: Seq, dialect: Dialect) -> Self {
        let messages = page.messages.iter();
        Self {
            r#type: "message_history",
            room_id: page.room_id.0,
            messages: messages
                .map(|m| MessageFrame::in_page(m, dialect))
                .collect(),
            has_more: page.has_more,
            last_id: page.last_id.0,
            last_seq: last_seq.0,
        }
    }
}

/// Some messages of a room, oldest first.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "MessageHistory")]
pub struct HistoryBody {
    /// `message_history`.
    pub r#type: String,
    /// The room's UUID.
    pub room_id: String,
    /// Oldest first.
    pub messages: Vec<MessageBody>,
    /// Whether there are more in the direction of reading.
    pub has_more: bool,
    /// The id of the newest message that a reader of this page has reached.
    pub last_id: i64,
    /// The newest change that a reader of this page has reached; resume from here with `?after=`.
    pub last_seq: i64,
}

impl HistoryBody {
    /// In this dialect.
    pub fn new(page: &Page, dialect: Dialect) -> Self {
        let messages = page.messages.iter();
        Self {
            r#type: "message_history".to_owned(),
            room_id: page.room_id.to_string(),
            messages: messages.map(|m| MessageBody::new(m, dialect)).collect(),
            has_more: page.has_more,
            last_id: page.last_id.0,
            last_seq: page.last_seq.0,
        }
    }
}

/// A user, as told to that user.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "Account")]
pub struct AccountBody {
    /// The user's id.
    pub id: i64,
    /// The user's address.
    pub email: String,
    /// The user's unique name.
    pub username: String,
}

impl From<&User> for AccountBody {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.clone(),
            username: user.username.clone(),
        }
    }
}

/// A user, as told to others.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub struct UserBody {
    /// The user's id.
    pub id: i64,
    /// The user's unique name.
    pub username: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// The address; superusers see it, and everyone with `compat.shh_frontend`.
    #[oai(skip_serializing_if_is_none)]
    pub email: Option<String>,
}

/// Who made a room.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Creator")]
pub struct CreatorBody {
    /// The user's id.
    pub id: i64,
    /// The user's unique name.
    pub username: String,
}

/// A room of the caller's.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Room")]
pub struct RoomBody {
    /// The room's UUID.
    pub room_id: String,
    /// Its unique name.
    pub room_name: String,
    /// When it was made: UTC, microseconds.
    pub created_at: String,
    /// Who made it.
    pub created_by: CreatorBody,
    /// What the caller is in it: `owner` or `member`.
    pub role: String,
    /// The id of its newest message; 0 when there is none.
    pub last_id: i64,
    /// The number of its newest change; 0 when there is none.
    pub last_seq: i64,
}

impl From<&Room> for RoomBody {
    fn from(room: &Room) -> Self {
        Self {
            room_id: room.id.to_string(),
            room_name: room.name.clone(),
            created_at: iso(room.created_at),
            created_by: creator(room),
            role: room.role.map_or("", |role| role.as_str()).to_owned(),
            last_id: room.last_id.0,
            last_seq: room.last_seq.0,
        }
    }
}

/// Who made the room.
pub fn creator(room: &Room) -> CreatorBody {
    CreatorBody {
        id: room.created_by.0.0,
        username: room.created_by.1.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use super::*;
    use crate::model::time::now;
    use crate::model::{MessageId, RoomId, UserId};

    #[test]
    fn sockets_and_rest_show_the_same_shapes() {
        let room_id = RoomId::random();
        let message = |nonce: Option<&str>| {
            Arc::new(Message {
                room_id,
                id: MessageId(3),
                seq: Seq(4),
                user_id: UserId(5),
                username: "ann".to_owned(),
                email: "ann@example.org".to_owned(),
                body: "hi".to_owned(),
                nonce: nonce.map(str::to_owned),
                created_at: now(),
            })
        };
        let page = Page {
            room_id,
            messages: vec![message(None), message(Some("n"))],
            has_more: true,
            last_id: MessageId(3),
            last_seq: Seq(4),
            wire: OnceLock::new(),
        };
        for shh in [false, true] {
            let dialect = Dialect { shh };
            let frame = HistoryFrame::new(&page, page.last_seq, dialect);
            let frame = serde_json::to_string(&frame).expect("JSON");
            let body = HistoryBody::new(&page, dialect);
            assert_eq!(frame, serde_json::to_string(&body).expect("JSON"));
        }
    }
}
