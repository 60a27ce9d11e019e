//! The side of a socket that writes: whoever has something for the client puts it here.
//!
//! Events come from the tasks that tell a room, answers from the journal and from the connection's
//! own task. Whoever finds nobody writing writes, without waiting: if the client's system takes it
//! all, nothing was copied and no task was woken. What it does not take waits in a bounded queue
//! for the connection's task. No lock is held over a write: others leave what they have meanwhile.

mod listen;
mod seats;
mod task;
mod write;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::close::Close;
use super::frame::{self, About};
use super::queue::Queue;
use super::seat::{Seat, Sent};
use crate::chat::{Error, PATIENCE};
use crate::config::Sockets;
use crate::model::{Page, Receipt, RoomId, Seq};
use seats::Seats;

use crate::web::json::Dialect;

pub use task::Turn;

/// Messages of one client that may be under way to the disk; then nothing more is read from it.
pub const IN_FLIGHT: usize = 64;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The server ends it with this code.
    Close(Close),
    /// The server ends it for this reason, and cannot say so: the rest of what it was writing is not
    /// for this client any more.
    Cut(Close),
    /// The client closed, with this code if it said one.
    Closed(Option<u16>),
    /// The client is gone.
    Gone,
}

/// The line.
#[derive(Debug)]
pub struct Line {
    stream: OwnedWriteHalf,
    dialect: Dialect,
    /// Whether it is for all the rooms of a user.
    many: bool,
    /// The number of the connection, once it has one.
    pub id: OnceLock<u64>,
    /// Wakes the connection's task.
    waker: AtomicWaker,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    /// Somebody is writing, and will see to what is queued meanwhile.
    writing: bool,
    /// Since when the client's system takes nothing more, while there is something to take.
    stuck: Option<Instant>,
    seats: Seats,
    /// Rooms whose seats are behind, in the order in which they have their turn.
    behind: VecDeque<RoomId>,
    /// When the store may be asked again after it failed.
    retry_at: Option<Instant>,
    gained: VecDeque<RoomId>,
    lost: VecDeque<RoomId>,
    /// Messages that were handed in, and when.
    in_flight: VecDeque<(u64, Instant, About)>,
    tickets: u64,
    /// No more is read; when all is answered the connection ends.
    leaving: bool,
    end: Option<Ending>,
    heart: Heart,
    /// It is the store's turn, even if there is something to read.
    stepping: bool,
}

/// What the clock says about a client.
#[derive(Debug)]
struct Heart {
    expires_at: Instant,
    heard_at: Instant,
    pinged: bool,
}

impl Line {
    /// Over this stream. It expires when it is told when, and does so at once until then.
    pub fn new(stream: OwnedWriteHalf, dialect: Dialect, many: bool) -> Arc<Self> {
        let state = State {
            queue: Queue::default(),
            writing: false,
            stuck: None,
            seats: Seats::default(),
            behind: VecDeque::new(),
            retry_at: None,
            gained: VecDeque::new(),
            lost: VecDeque::new(),
            in_flight: VecDeque::new(),
            tickets: 0,
            leaving: false,
            end: None,
            heart: Heart {
                expires_at: Instant::now(),
                heard_at: Instant::now(),
                pinged: false,
            },
            stepping: false,
        };
        Arc::new(Self {
            stream,
            dialect,
            many,
            id: OnceLock::new(),
            waker: AtomicWaker::new(),
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to hear rooms. What is written first is `first`, if there is something.
    pub fn sit_down(&self, seats: impl IntoIterator<Item = (RoomId, Seat)>, first: Option<&Bytes>) {
        let mut state = self.state();
        for (room, seat) in seats {
            if seat.is_behind() {
                state.behind.push_back(room);
            }
            state.seats.insert(room, seat);
        }
        if state.end.is_none() {
            self.write(state, first, None);
        }
    }

    /// A room that was entered has been told of this change, maybe before its seat was there to hear.
    pub fn catch_up(&self, room: RoomId, told: Seq) {
        self.with_seat(room, |seat| seat.moved(told));
    }

    /// Changes a room's seat; `false` if there is none.
    pub fn with_seat(&self, room: RoomId, change: impl FnOnce(&mut Seat)) -> bool {
        let mut state = self.state();
        let Some(seat) = state.seats.get_mut(&room) else {
            return false;
        };
        change(seat);
        if seat.is_behind() && !state.behind.contains(&room) {
            state.behind.push_back(room);
        }
        true
    }

    /// A page for a room that is behind: sends what it brings. The room has its turn again later if
    /// it is still behind.
    pub fn send_page(&self, room: RoomId, page: &Page) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        let Some(seat) = state.seats.get_mut(&room) else {
            return;
        };
        let mut pieces = Vec::new();
        match seat.take(page) {
            Sent::Page(malformed) => {
                let wire = page
                    .wire
                    .get_or_init(|| frame::history(page, page.last_seq, self.dialect));
                pieces.push(wire.clone());
                pieces.extend(malformed.map(|m| frame::malformed(&m, &About::default())));
            }
            Sent::Messages => {
                pieces.push(frame::new_messages(&page.messages, self.dialect));
            }
        }
        pieces.extend(seat.due());
        if seat.is_behind() {
            state.behind.push_back(room);
        }
        state.retry_at = None;
        state
            .queue
            .extend(pieces.into_iter().filter(|piece| !piece.is_empty()));
        state.rest();
        self.write(state, None, None);
    }

    /// The store could not be read: it is tried again later.
    pub fn retry(&self, room: RoomId, at: Instant) {
        let mut state = self.state();
        state.behind.push_back(room);
        state.retry_at = Some(at);
    }

    /// Sends an answer.
    pub fn send(&self, frame: &Bytes) {
        let state = self.state();
        if state.end.is_none() {
            self.write(state, Some(frame), None);
        }
    }

    /// A message is about to be handed in; its answer goes to [`Self::settle`] with this number.
    pub fn hand_in(&self, about: About) -> u64 {
        let mut state = self.state();
        state.tickets += 1;
        let ticket = state.tickets;
        state.in_flight.push_back((ticket, Instant::now(), about));
        ticket
    }

    /// What became of a message that was handed in.
    pub fn settle(&self, ticket: u64, receipt: Result<Receipt, Error>) {
        let mut state = self.state();
        let found = state.in_flight.iter().position(|(t, ..)| *t == ticket);
        let Some((_, _, about)) = found.and_then(|at| state.in_flight.remove(at)) else {
            // It was answered for the journal, which took too long.
            return;
        };
        if state.in_flight.is_empty() {
            state.in_flight = VecDeque::new();
        }
        self.waker_if(state.in_flight.len() + 1 == IN_FLIGHT);
        if state.end.is_some() {
            return;
        }
        match receipt {
            Ok(receipt) => {
                let State { queue, seats, .. } = &mut *state;
                let seat = seats.get_mut(&receipt.message.room_id);
                match (seat, frame::ack(&about, &receipt)) {
                    (_, None) => {}
                    (Some(seat), Some(ack)) => {
                        seat.hold(receipt.message.seq, ack);
                        queue.extend(seat.due());
                    }
                    // A room that this socket does not hear, yet or any more.
                    (None, Some(ack)) => queue.push(ack),
                }
            }
            Err(error) => {
                state.queue.push(frame::error(&error, &about));
                let over = matches!(error, Error::NotAMember | Error::RoomNotFound);
                if over && !self.many {
                    state.end(Ending::Close(Close::of(&error)));
                }
            }
        }
        state.rest();
        self.write(state, None, None);
    }

    /// The client sent something.
    pub fn heard(&self) {
        let mut state = self.state();
        state.heart.heard_at = Instant::now();
        state.heart.pinged = false;
    }

    /// The client showed a newer token.
    pub fn expire_at(&self, at: Instant) {
        self.state().heart.expires_at = at;
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.state().end.is_some()
    }

    /// Ends the connection, unless it has ended.
    pub fn end(&self, ending: Ending) {
        self.state().end(ending);
        self.waker.wake();
    }

    /// The server is going away: when what was handed in is answered, the connection ends.
    pub fn leave(&self) {
        let mut state = self.state();
        state.leaving = true;
        state.rest();
        drop(state);
        self.waker.wake();
    }

    /// Looks at the clock: what is overdue is done.
    pub fn look_at_clock(&self, now: Instant, timing: &Sockets) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        if state.heart.expires_at <= now {
            state.end(Ending::Close(Close::TokenExpired));
        }
        if let Some(since) = state.stuck
            && now.duration_since(since) >= timing.stall_timeout
        {
            state.end(Ending::Close(Close::Stalled));
        }
        while let Some((_, at, _)) = state.in_flight.front()
            && now.duration_since(*at) >= PATIENCE
        {
            let overdue = state.in_flight.pop_front();
            if let Some((_, _, about)) = overdue {
                state.queue.push(frame::error(&Error::Unavailable, &about));
            }
        }
        if state.stuck.is_some() || state.in_flight.len() >= IN_FLIGHT {
            // Nothing is read meanwhile, so silence says nothing.
            state.heart.heard_at = now;
        }
        let silent = now.duration_since(state.heart.heard_at);
        if state.heart.pinged && silent >= timing.ping_interval + timing.ping_timeout {
            state.end(Ending::Gone);
        } else if !state.heart.pinged && silent >= timing.ping_interval {
            state.heart.pinged = true;
            state.queue.push(super::codec::ping());
        }
        let retry = state.retry_at.is_some_and(|at| at <= now);
        if retry {
            state.retry_at = None;
        }
        self.waker_if(retry || state.end.is_some());
        state.rest();
        self.write(state, None, None);
    }

    fn waker_if(&self, wake: bool) {
        if wake {
            self.waker.wake();
        }
    }
}

impl State {
    fn end(&mut self, ending: Ending) {
        self.end.get_or_insert(ending);
    }

    /// Ends it, as the client has lost its right to what waits.
    fn revoke(&mut self, close: Close) {
        if self.stuck.is_some() {
            self.end(Ending::Cut(close));
        }
        self.queue = Queue::default();
        self.end(Ending::Close(close));
    }

    /// Ends it, if the server is going away and everything is answered.
    fn rest(&mut self) {
        if self.leaving && self.in_flight.is_empty() && !self.seats.hold_acks() {
            self.end(Ending::Close(Close::GoingAway));
        }
    }
}
