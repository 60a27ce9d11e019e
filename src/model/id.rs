//! Identifiers, one type each, so that none can be taken for another.

use std::fmt;

use uuid::Uuid;

/// A user: an integer that the database hands out, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A room: a random UUID, written in lower case with dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub Uuid);

/// A login: a random UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub Uuid);

/// The number of a message in its room: 1, 2, 3 …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub i64);

/// The number of a change in its room: 1, 2, 3 … Zero stands for "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub i64);

impl RoomId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads a UUID in any case, with dashes or without. Braces and `urn:uuid:` are not ids.
    pub fn parse(text: &str) -> Option<Self> {
        matches!(text.len(), 32 | 36)
            .then(|| Uuid::try_parse(text).ok())
            .flatten()
            .map(Self)
    }
}

impl SessionId {
    /// A new random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

macro_rules! display_as_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

display_as_inner!(UserId, RoomId, SessionId, MessageId, Seq);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_id_is_read_in_any_case_with_dashes_or_without() {
        let plain = RoomId::parse("0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d").expect("an id");
        for spelling in [
            "0C3F5E0A-6F0D-4A52-9D1C-5E8F3A2B1C4D",
            "0c3f5e0a6f0d4a529d1c5e8f3a2b1c4d",
        ] {
            assert_eq!(RoomId::parse(spelling), Some(plain));
        }
        for other in [
            "",
            "general",
            "{0c3f5e0a6f0d4a529d1c5e8f3a2b1c4d}",
            "urn:uuid:0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d",
            "0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4",
        ] {
            assert_eq!(RoomId::parse(other), None, "{other}");
        }
        assert_eq!(plain.to_string(), "0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d");
    }
}
