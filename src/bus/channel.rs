//! A room that somebody listens to in this process: its listeners, and what was told lately.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Listener;
use super::shard::{BURST, Shard};
use super::tail::{Tail, size};
use crate::model::{Event, Message, Page, Point, RoomId, Seq, Signal};

/// As long as a room has fewer listeners than this, one task tells them all.
const SMALL: usize = 128;

/// The room.
#[derive(Debug)]
pub struct Channel {
    room: RoomId,
    first: Arc<Shard>,
    /// The other shards of a large room: as many as there are cores, less one.
    others: OnceLock<Vec<Arc<Shard>>>,
    past: Mutex<Past>,
    /// Held by whoever reads the store to fill the tail, so that of many who miss the same one
    /// asks and the others wait.
    pub filling: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Past {
    /// The newest change that was told here; -1 when there was none.
    told: Seq,
    tail: Tail,
}

/// A listener's place in a channel.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    shard: usize,
    place: usize,
}

impl Channel {
    pub(super) fn new(room: RoomId, tail: Tail) -> Self {
        Self {
            room,
            first: Arc::default(),
            others: OnceLock::new(),
            past: Mutex::new(Past {
                told: Seq(-1),
                tail,
            }),
            filling: tokio::sync::Mutex::new(()),
        }
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        // No code that holds this lock can panic half-way through a change.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        let others = self.others.get().into_iter().flatten();
        std::iter::once(&self.first).chain(others)
    }

    pub(super) fn add(&self, listener: Arc<dyn Listener>) -> Place {
        if self.first.len() >= SMALL {
            self.others.get_or_init(|| {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                (1..cores).map(|_| Arc::default()).collect()
            });
        }
        let emptiest = self.shards().enumerate().min_by_key(|(_, s)| s.len());
        let (shard, emptiest) = emptiest.unwrap_or((0, &self.first));
        let place = emptiest.add(listener);
        Place { shard, place }
    }

    pub(super) fn remove(&self, place: Place) {
        if let Some(shard) = self.shards().nth(place.shard) {
            shard.remove(place.place);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards().all(|shard| shard.len() == 0)
    }

    pub(super) fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        let rounds = self.shards().map(|shard| shard.listeners());
        rounds.flat_map(|round| round.to_vec()).collect()
    }

    /// The newest change that was told here; -1 when there was none.
    pub fn told(&self) -> Seq {
        self.past().told
    }

    /// Tells messages that follow each other; those that were told before are left out.
    pub(super) fn tell_messages(&self, messages: Vec<Arc<Message>>) {
        let mut past = self.past();
        let told = past.told;
        let messages: Vec<_> = messages.into_iter().filter(|m| m.seq > told).collect();
        let Some(last) = messages.last() else { return };
        past.told = last.seq;
        past.tail.push(&messages);
        // Under the lock, so that shards are told in the order of `seq`. Telling is queueing.
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().position(|message| {
                bytes += size(message);
                bytes > BURST
            });
            let (burst, later) = rest.split_at(fits.unwrap_or(rest.len()).max(1));
            let signal = Signal::Messages(burst.to_vec());
            self.tell_shards(&Event::new(self.room, signal));
            rest = later;
        }
    }

    /// Tells something that is no message.
    pub(super) fn tell(&self, signal: Signal) {
        let mut past = self.past();
        if let Signal::Moved(seq) = signal {
            past.told = past.told.max(seq);
        }
        self.tell_shards(&Event::new(self.room, signal));
    }

    fn tell_shards(&self, event: &Arc<Event>) {
        for shard in self.shards() {
            shard.tell(event.clone());
        }
    }

    /// The page, if what was told lately has all of it, up to `at_least` or further.
    pub fn page(&self, point: Point, limit: u32, at_least: Seq) -> Option<Arc<Page>> {
        self.past().tail.page(self.room, point, limit, at_least)
    }

    /// Whether the newest page, or all since this change, is worth waiting for whoever reads it.
    pub fn may_hold(&self, after: Option<Seq>) -> bool {
        self.past().tail.may_hold(after)
    }

    /// Puts what the store said to what was told: all messages up to `head`, without a gap.
    pub fn fill(&self, messages: &[Arc<Message>], head: super::tail::Head) {
        self.past().tail.fill(messages, head);
    }

    /// Forgets what was told lately.
    pub(super) fn forget(&self) {
        self.past().tail.clear();
    }
}
