//! What happens in a room, as its listeners hear of it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Message, RoomId, Seq, UserId};

/// Something that happened in a room. It is made once and shared by all who listen.
#[derive(Debug)]
pub struct Event {
    /// Where.
    pub room: RoomId,
    /// What.
    pub signal: Signal,
    /// The bytes that sockets get. The first listener writes them, the others reuse them.
    pub wire: OnceLock<Bytes>,
}

/// The kinds of things that happen.
#[derive(Debug)]
pub enum Signal {
    /// Messages were stored: at least one, in order, without a gap between them.
    Messages(Vec<Arc<Message>>),
    /// Someone is typing.
    Typing {
        /// Who.
        user_id: UserId,
        /// What they are called.
        username: String,
        /// Their address; only the old front end's dialect shows it.
        email: String,
        /// The connection it came from, which does not hear of it.
        from: u64,
    },
    /// The room has changed up to here, by a way that told nobody: read the store.
    Moved(Seq),
}

impl Event {
    /// An event that nobody has encoded yet.
    pub fn new(room: RoomId, signal: Signal) -> Arc<Self> {
        Arc::new(Self {
            room,
            signal,
            wire: OnceLock::new(),
        })
    }
}

/// What a listener has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything: the login was ended, or the user deactivated or deleted.
    Session,
    /// This room: the user is no longer a member.
    Membership(RoomId),
    /// This room: it was deleted.
    Room(RoomId),
}
