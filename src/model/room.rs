//! Rooms, their names, and who is in them.

use super::text;
use super::{Instant, MessageId, Refusal, RoomId, Seq, User, UserId};

/// Longest room name, in characters.
pub const ROOM_NAME_MAX: usize = 255;

/// What a room is called: trimmed, 1 to 255 characters, visible, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(String);

impl RoomName {
    /// Reads a name; white space around it is not part of it.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text::is_blank(text) {
            return Err("Chat room name is required".into());
        }
        if text::has_control(text) {
            return Err("A room name may not have control characters".into());
        }
        if text.chars().count() > ROOM_NAME_MAX {
            return Err(format!("A room name has at most {ROOM_NAME_MAX} characters").into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which two rooms have the same name.
    pub fn key(&self) -> String {
        text::fold(&self.0)
    }
}

/// What a room is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomKey<'a> {
    /// Its id.
    Id(RoomId),
    /// What someone wrote: its id, or else its name.
    Text(&'a str),
}

impl From<RoomId> for RoomKey<'_> {
    fn from(id: RoomId) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a str> for RoomKey<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for RoomKey<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Made the room; may delete it.
    Owner,
    /// May read and write.
    Member,
}

impl Role {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
        }
    }

    /// Reads that word back; one that is not known grants the least.
    pub fn parse(word: &str) -> Self {
        if word == "owner" {
            Self::Owner
        } else {
            Self::Member
        }
    }
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub id: RoomId,
    /// What it is called.
    pub name: String,
    /// Who made it: id and username.
    pub created_by: (UserId, String),
    /// When it was made.
    pub created_at: Instant,
    /// The number of its newest change; 0 when there was none yet.
    pub last_seq: Seq,
    /// The number of its newest message; 0 when there is none yet.
    pub last_id: MessageId,
    /// What the one who asked is in it; `None` when that is not a member.
    pub role: Option<Role>,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: User,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Instant,
}
