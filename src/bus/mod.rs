//! The bus: tells the listeners of a room what happens in it. It may lose an event; the store,
//! from which listeners catch up by `seq`, does not.

mod channel;
mod hub;
mod shard;
mod tail;

use crate::model::{End, Event, RoomId};

pub use hub::{Connection, Hub, Live, ROOMS_MAX};
pub use tail::TAIL_MESSAGES;

/// Someone who hears what happens. It is told from whatever task the event comes from, so it
/// returns at once: what cannot be written now is for the listener to keep, or to read again.
pub trait Listener: Send + Sync + 'static {
    /// Something happened in a room that it listens to.
    fn hear(&self, event: &Event);
    /// It has lost a room, or its login. What it hears later of that is not for it any more.
    fn lose(&self, end: End);
    /// Its user has come into a room that it does not listen to yet.
    fn gain(&self, room: RoomId);
}
