//! Messages, and the pages they are read in.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::text;
use super::{Instant, MessageId, Refusal, RoomId, Seq, UserId};

/// Longest message, in bytes of UTF-8.
pub const BODY_MAX: usize = 16 * 1024;
/// Longest nonce, in bytes of UTF-8; a UUID has 36.
pub const NONCE_MAX: usize = 128;
/// The most messages on a page.
pub const PAGE_MAX: u32 = 200;
/// The messages on a page when nobody says how many.
pub const PAGE_DEFAULT: u32 = 50;

/// What is said: not blank, at most 16 KiB, no control characters but newlines and tabs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// Reads a message's text, which is kept as it is, white space included.
    pub fn parse(text: String) -> Result<Self, Refusal> {
        if text::is_blank(&text) {
            return Err("Message is empty.".into());
        }
        if text.len() > BODY_MAX {
            let length = text.len();
            return Err(format!("Message is too long: {length} bytes, at most {BODY_MAX}.").into());
        }
        if text::has_control_beside_layout(&text) {
            return Err(
                "Message has control characters; only newlines and tabs are allowed.".into(),
            );
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The sender's own name for a message: the same nonce never makes a second one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nonce(String);

impl Nonce {
    /// Reads a nonce: 1 to 128 bytes, no control characters.
    pub fn parse(text: String) -> Result<Self, Refusal> {
        if text.is_empty() || text.len() > NONCE_MAX || text::has_control(&text) {
            return Err(
                format!("A nonce has 1 to {NONCE_MAX} bytes and no control characters.").into(),
            );
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message as it is stored and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where.
    pub room_id: RoomId,
    /// Which message of the room.
    pub id: MessageId,
    /// Which change of the room.
    pub seq: Seq,
    /// Who said it.
    pub user_id: UserId,
    /// What they are called.
    pub username: String,
    /// Their address; only the old front end's dialect shows it.
    pub email: String,
    /// What was said.
    pub body: String,
    /// The sender's own name for it.
    pub nonce: Option<String>,
    /// When it was stored.
    pub created_at: Instant,
}

/// What became of a send: the message is on disk.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The message; for a retry the one that the first attempt made.
    pub message: Arc<Message>,
    /// Whether this was a retry.
    pub duplicate: bool,
}

/// From where to read the messages of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The newest.
    Newest,
    /// Those just before this message.
    Before(MessageId),
    /// Those just after this message.
    After(MessageId),
    /// All that changed after this change.
    Since(Seq),
}

/// Some messages of a room, oldest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where.
    pub room_id: RoomId,
    /// Oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Whether there are more in the direction of reading.
    pub has_more: bool,
    /// The newest message that a reader of this page has reached.
    pub last_id: MessageId,
    /// The newest change that a reader of this page has reached: from here they can resume.
    pub last_seq: Seq,
    /// The bytes that sockets get. The first who asks for the page writes them.
    pub wire: OnceLock<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_have_newlines_and_tabs_and_nothing_else_of_that_kind() {
        for good in ["hi", " hi ", "a\n\tb\r\n", "👋🏽", &"x".repeat(BODY_MAX)] {
            assert!(Body::parse(good.to_owned()).is_ok());
        }
        for bad in [
            "",
            " \n",
            "\0",
            "a\u{7f}",
            "a\u{1b}[31m",
            &"x".repeat(BODY_MAX + 1),
        ] {
            assert!(Body::parse(bad.to_owned()).is_err());
        }
    }
}
