//! What happens in a room, as its listeners hear of it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Message, Seq, UserId};

/// Something that happened in a room. It is made once and shared by all who listen.
#[derive(Debug)]
pub struct Event {
    /// What.
    pub signal: Signal,
    /// The bytes that sockets get. The first listener writes them, the others reuse them.
    pub wire: OnceLock<Bytes>,
}

/// The kinds of things that happen.
#[derive(Debug)]
pub enum Signal {
    /// A message was stored.
    Message(Arc<Message>),
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
    pub fn new(signal: Signal) -> Arc<Self> {
        Arc::new(Self {
            signal,
            wire: OnceLock::new(),
        })
    }
}

/// Why a live connection has to end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The login was ended, or the user deactivated or deleted.
    Session,
    /// The user is no longer a member of the room.
    Membership,
    /// The room was deleted.
    Room,
}
