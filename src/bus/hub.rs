//! The hub of one process: who is connected, who listens to which room, and whom to tell.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Listener;
use super::channel::{Channel, Place};
use super::tail::{ALL_BYTES, Tail};
use crate::model::{End, Message, RoomId, Seq, SessionId, Signal, UserId};

/// The most rooms that one connection listens to; of the others it is told nothing.
pub const ROOMS_MAX: usize = 10_000;

/// Tells what happens to those who are connected to this process.
#[derive(Debug, Default, Clone)]
pub struct Hub(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicU64,
    /// The bytes of all tails.
    tails: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<RoomId, Arc<Channel>>,
    live: HashMap<u64, Entry>,
    /// The same connections, to be found by their login and by their user.
    sessions: BTreeSet<(SessionId, u64)>,
    users: BTreeSet<(UserId, u64)>,
}

struct Entry {
    user: UserId,
    session: SessionId,
    follows: bool,
    /// In the order of ids.
    rooms: Vec<(RoomId, Place)>,
    listener: Arc<dyn Listener>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "user {} in {} rooms", self.user, self.rooms.len())
    }
}

/// A live connection, as the hub knows it.
#[derive(Debug, Clone)]
pub struct Live {
    /// Whose it is.
    pub user: UserId,
    /// The login it lives by.
    pub session: SessionId,
    /// Whether it listens to all the rooms of its user, new ones too.
    pub follows: bool,
    /// The rooms it listens to.
    pub rooms: Vec<RoomId>,
}

/// A connection's place in the hub, given up when dropped.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    hub: Hub,
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can panic half-way through a change.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user is connected from now on. One who `follows` is told of rooms to come.
    pub fn connect(
        &self,
        user: UserId,
        session: SessionId,
        follows: bool,
        listener: Arc<dyn Listener>,
    ) -> Connection {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        state.sessions.insert((session, id));
        state.users.insert((user, id));
        let entry = Entry {
            user,
            session,
            follows,
            rooms: Vec::new(),
            listener,
        };
        state.live.insert(id, entry);
        Connection {
            id,
            hub: self.clone(),
        }
    }

    /// The room, if somebody listens to it.
    pub fn channel(&self, room: RoomId) -> Option<Arc<Channel>> {
        self.state().rooms.get(&room).cloned()
    }

    /// Tells messages of a room that follow each other; those told before are left out.
    pub fn tell_messages(&self, room: RoomId, messages: Vec<Arc<Message>>) {
        if let Some(channel) = self.channel(room) {
            channel.tell_messages(messages);
        }
    }

    /// Tells something that is no message.
    pub fn tell(&self, room: RoomId, signal: Signal) {
        if let Some(channel) = self.channel(room) {
            channel.tell(signal);
        }
    }

    /// Ends the connections that live by this login.
    pub fn end_session(&self, session: SessionId) {
        let lost: Vec<_> = {
            let state = self.state();
            let ids = state.sessions.range((session, 0)..=(session, u64::MAX));
            let entries = ids.filter_map(|(_, id)| state.live.get(id));
            entries.map(|entry| entry.listener.clone()).collect()
        };
        for listener in lost {
            listener.lose(End::Session);
        }
    }

    /// A room is no more.
    pub fn end_room(&self, room: RoomId) {
        let Some(channel) = self.channel(room) else {
            return;
        };
        for listener in channel.listeners() {
            listener.lose(End::Room(room));
        }
    }

    /// A user is no longer in a room.
    pub fn end_membership(&self, room: RoomId, user: UserId) {
        for listener in self.connections_of(user, |entry| entry.is_in(room)) {
            listener.lose(End::Membership(room));
        }
    }

    /// A user has come into a room.
    pub fn begin_membership(&self, room: RoomId, user: UserId) {
        let lacks =
            |entry: &Entry| entry.follows && entry.rooms.len() < ROOMS_MAX && !entry.is_in(room);
        for listener in self.connections_of(user, lacks) {
            listener.gain(room);
        }
    }

    fn connections_of(
        &self,
        user: UserId,
        which: impl Fn(&Entry) -> bool,
    ) -> Vec<Arc<dyn Listener>> {
        let state = self.state();
        let ids = state.users.range((user, 0)..=(user, u64::MAX));
        let entries = ids.filter_map(|(_, id)| state.live.get(id));
        let entries = entries.filter(|entry| which(entry));
        entries.map(|entry| entry.listener.clone()).collect()
    }

    /// The rooms that somebody listens to, with the newest change told to them.
    pub fn rooms(&self) -> Vec<(RoomId, Seq)> {
        let rooms: Vec<_> = {
            let state = self.state();
            state.rooms.iter().map(|(r, c)| (*r, c.clone())).collect()
        };
        let told = rooms.into_iter().map(|(room, c)| (room, c.told()));
        told.collect()
    }

    /// Forgets what was told lately in all rooms, if that has become more than it is worth: what is
    /// needed comes back, what is not does not.
    pub fn forget_if_full(&self) {
        if self.0.tails.load(Ordering::Relaxed) < ALL_BYTES {
            return;
        }
        let rooms: Vec<_> = self.state().rooms.values().cloned().collect();
        for channel in rooms {
            channel.forget();
        }
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.state().live.is_empty()
    }

    /// All live connections.
    pub fn live(&self) -> Vec<Live> {
        let state = self.state();
        let live = state.live.values().map(|entry| Live {
            user: entry.user,
            session: entry.session,
            follows: entry.follows,
            rooms: entry.rooms.iter().map(|(room, _)| *room).collect(),
        });
        live.collect()
    }
}

impl Entry {
    fn is_in(&self, room: RoomId) -> bool {
        self.place(room).is_ok()
    }

    /// Where the room is among the others, or would be.
    fn place(&self, room: RoomId) -> Result<usize, usize> {
        self.rooms.binary_search_by_key(&room, |(r, _)| *r)
    }
}

impl Connection {
    /// The number of this connection in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Starts listening: what happens in the room from now on is heard.
    pub fn enter(&self, room: RoomId) {
        self.enter_all([room]);
    }

    /// The same for many rooms. Beyond 10,000 there is nothing more to hear.
    pub fn enter_all(&self, rooms: impl IntoIterator<Item = RoomId>) {
        let mut state = self.hub.state();
        let state = &mut *state;
        let Some(entry) = state.live.get_mut(&self.id) else {
            return;
        };
        let tails = &self.hub.0.tails;
        let mut new: Vec<_> = rooms.into_iter().filter(|r| !entry.is_in(*r)).collect();
        new.sort_unstable();
        new.dedup();
        new.truncate(ROOMS_MAX.saturating_sub(entry.rooms.len()));
        entry.rooms.reserve_exact(new.len());
        for room in new {
            let channel = state.rooms.entry(room).or_insert_with(|| {
                let tail = Tail::counted(tails.clone());
                Arc::new(Channel::new(room, tail))
            });
            let place = channel.add(entry.listener.clone());
            entry.rooms.push((room, place));
        }
        // Two sorted runs, which this takes as they are.
        entry.rooms.sort_by_key(|(room, _)| *room);
    }

    /// Listens to the room no more.
    pub fn leave(&self, room: RoomId) {
        let mut state = self.hub.state();
        let state = &mut *state;
        let Some(entry) = state.live.get_mut(&self.id) else {
            return;
        };
        if let Ok(at) = entry.place(room) {
            let (room, place) = entry.rooms.remove(at);
            vacate(&mut state.rooms, room, place);
        }
    }

    /// The connection lives by another login of the same user from now on.
    pub fn renew(&self, session: SessionId) {
        let mut state = self.hub.state();
        let Some(entry) = state.live.get_mut(&self.id) else {
            return;
        };
        let before = std::mem::replace(&mut entry.session, session);
        state.sessions.remove(&(before, self.id));
        state.sessions.insert((session, self.id));
    }
}

fn vacate(rooms: &mut HashMap<RoomId, Arc<Channel>>, room: RoomId, place: Place) {
    if let Some(channel) = rooms.get(&room) {
        channel.remove(place);
        if channel.is_empty() {
            rooms.remove(&room);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        let Some(entry) = state.live.remove(&self.id) else {
            return;
        };
        state.sessions.remove(&(entry.session, self.id));
        state.users.remove(&(entry.user, self.id));
        for (room, place) in entry.rooms {
            vacate(&mut state.rooms, room, place);
        }
    }
}

#[cfg(test)]
mod tests;
