//! The hub of one process: who listens to which room, and whose connection has to end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::model::{End, Event, RoomId, Seq, SessionId, Signal, UserId};

/// Events that a room keeps for listeners who are behind. One who is further behind reads the
/// store instead, so this bounds memory and nothing else.
const BACKLOG: usize = 256;

/// Tells events to those who listen in this process.
#[derive(Debug, Default, Clone)]
pub struct Hub(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RoomId, Channel>,
    live: HashMap<u64, Live>,
}

#[derive(Debug)]
struct Channel {
    events: broadcast::Sender<Arc<Event>>,
    listeners: usize,
    /// The newest change that was told here.
    told: Seq,
}

/// A live connection, as the hub knows it.
#[derive(Debug, Clone)]
pub struct Live {
    /// The room it listens to.
    pub room: RoomId,
    /// Whose it is.
    pub user: UserId,
    /// The login it lives by.
    pub session: SessionId,
    end: watch::Sender<Option<End>>,
}

/// A listener's place in the hub, given up when dropped.
#[derive(Debug)]
pub struct Attachment {
    /// The number of this connection in this process.
    pub id: u64,
    /// What happens in the room. Lagging is no error: the store has what was missed.
    pub events: broadcast::Receiver<Arc<Event>>,
    /// Set once, when the connection has to end.
    pub end: watch::Receiver<Option<End>>,
    room: RoomId,
    hub: Hub,
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can panic half-way through a change.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts listening. What happens from now on reaches the attachment.
    pub fn attach(&self, room: RoomId, user: UserId, session: SessionId) -> Attachment {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (end, ended) = watch::channel(None);
        let mut state = self.state();
        let channel = state.rooms.entry(room).or_insert_with(|| Channel {
            events: broadcast::channel(BACKLOG).0,
            listeners: 0,
            told: Seq(-1),
        });
        channel.listeners += 1;
        let events = channel.events.subscribe();
        state.live.insert(
            id,
            Live {
                room,
                user,
                session,
                end,
            },
        );
        Attachment {
            id,
            events,
            end: ended,
            room,
            hub: self.clone(),
        }
    }

    /// Tells an event to all who listen to the room.
    pub fn tell(&self, room: RoomId, event: Arc<Event>) {
        let mut state = self.state();
        if let Some(channel) = state.rooms.get_mut(&room) {
            match &event.signal {
                Signal::Message(message) => channel.told = channel.told.max(message.seq),
                Signal::Moved(seq) => channel.told = channel.told.max(*seq),
                Signal::Typing { .. } => {}
            }
            // An error says that nobody listens, which is fine.
            let _ = channel.events.send(event);
        }
    }

    /// Ends the connections that the test picks.
    pub fn end(&self, why: End, which: impl Fn(&Live) -> bool) {
        for live in self.state().live.values().filter(|live| which(live)) {
            live.end.send_if_modified(|end| {
                let first = end.is_none();
                end.get_or_insert(why);
                first
            });
        }
    }

    /// The connection lives by another login of the same user from now on.
    pub fn renew(&self, id: u64, session: SessionId) {
        if let Some(live) = self.state().live.get_mut(&id) {
            live.session = session;
        }
    }

    /// The rooms that somebody listens to, with the newest change told to them.
    pub fn rooms(&self) -> Vec<(RoomId, Seq)> {
        let state = self.state();
        let told = state.rooms.iter().map(|(room, c)| (*room, c.told));
        told.collect()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.state().live.is_empty()
    }

    /// All live connections.
    pub fn live(&self) -> Vec<Live> {
        self.state().live.values().cloned().collect()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.live.remove(&self.id);
        if let Some(channel) = state.rooms.get_mut(&self.room) {
            channel.listeners -= 1;
            if channel.listeners == 0 {
                state.rooms.remove(&self.room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (RoomId, SessionId) {
        (RoomId::random(), SessionId::random())
    }

    #[test]
    fn a_room_without_listeners_is_forgotten() {
        let hub = Hub::default();
        let (room, session) = ids();
        let first = hub.attach(room, UserId(1), session);
        let second = hub.attach(room, UserId(2), session);
        drop(first);
        assert_eq!(hub.rooms().len(), 1);
        drop(second);
        assert!(hub.rooms().is_empty());
        assert!(hub.live().is_empty());
    }

    #[test]
    fn only_the_first_reason_to_end_counts() {
        let hub = Hub::default();
        let (room, session) = ids();
        let here = hub.attach(room, UserId(1), session);
        let other = hub.attach(room, UserId(2), SessionId::random());
        hub.end(End::Session, |live| live.session == session);
        hub.end(End::Room, |live| live.user == UserId(1));
        assert_eq!(*here.end.borrow(), Some(End::Session));
        assert_eq!(*other.end.borrow(), None);
    }

    #[test]
    fn an_event_reaches_the_listeners_of_its_room_only() {
        let hub = Hub::default();
        let (room, session) = ids();
        let mut here = hub.attach(room, UserId(1), session);
        let mut elsewhere = hub.attach(RoomId::random(), UserId(1), session);
        hub.tell(room, Event::new(Signal::Moved(Seq(3))));
        assert!(matches!(
            here.events.try_recv().map(|event| match event.signal {
                Signal::Moved(seq) => seq,
                _ => Seq(0),
            }),
            Ok(Seq(3))
        ));
        assert!(elsewhere.events.try_recv().is_err());
    }
}
