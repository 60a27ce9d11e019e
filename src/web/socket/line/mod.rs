//! The side of a socket that writes: whoever has something for the client puts it here.
//!
//! Events come from the tasks that tell a room, answers from the journal and from the connection's
//! own task. Whoever finds nobody writing writes, without waiting: if the client's system takes it
//! all, nothing was copied and no task was woken. What it does not take waits in a bounded queue
//! for the connection's task. No lock is held over a write: others leave what they have meanwhile.

mod clock;
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
use crate::chat::{Error, Listener};
use crate::model::{End, Page, Receipt, RoomId, Seq};
use crate::web::json::Dialect;
use clock::Heart;
use seats::Seats;

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
    /// What was lost before its seat was there to be taken away.
    lost_early: Vec<End>,
    /// Messages that were handed in, and when.
    in_flight: VecDeque<(u64, Instant, About)>,
    tickets: u64,
    /// Acks that wait in the seats.
    held: usize,
    phase: Phase,
    end: Option<Ending>,
    /// A room was lost while something was written that may be of it: if the rest of that cannot be
    /// written now, it is not to be written at all.
    doubt: Option<Close>,
    heart: Heart,
    /// It is the store's turn, even if there is something to read.
    stepping: bool,
    /// The connection's task reads nothing, as too much is under way.
    full: bool,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its first frame is still to come. Nothing is read before it.
    Greeting,
    /// As long as it lasts.
    Open,
    /// Nothing more is read; when all is answered it ends.
    Leaving,
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
            lost_early: Vec::new(),
            in_flight: VecDeque::new(),
            tickets: 0,
            held: 0,
            phase: Phase::Greeting,
            end: None,
            doubt: None,
            heart: Heart::default(),
            stepping: false,
            full: false,
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
            state.seats.insert(room, seat);
            state.queue_up(room);
        }
        if self.many && state.phase == Phase::Greeting {
            state.phase = Phase::Open;
        }
        let lost = std::mem::take(&mut state.lost_early);
        if state.end.is_none() {
            self.write(state, first.map(|first| (None, first)), None);
        }
        for end in lost {
            self.lose(end);
        }
    }

    /// A room is about to be entered: what was lost of it before is over.
    pub fn expect(&self, room: RoomId) {
        let over = [End::Membership(room), End::Room(room)];
        self.state().lost_early.retain(|end| !over.contains(end));
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
        state.queue_up(room);
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
        let due = seat.due();
        state.held -= due.len();
        pieces.extend(due);
        state.queue_up(room);
        state.retry_at = None;
        if state.phase == Phase::Greeting {
            state.phase = Phase::Open;
        }
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        state.queue.extend(Some(room), pieces);
        self.settled(&mut state);
        self.write(state, None, None);
    }

    /// The store could not be read: it is tried again later.
    pub fn retry(&self, room: RoomId, at: Instant) {
        let mut state = self.state();
        state.queue_up(room);
        state.retry_at = Some(at);
    }

    /// Sends an answer.
    pub fn send(&self, frame: &Bytes) {
        let state = self.state();
        if state.end.is_none() {
            self.write(state, Some((None, frame)), None);
        }
    }

    /// Sends an answer that tells of a room; `false` if the client has no seat there any more.
    pub fn send_in(&self, room: RoomId, frame: &Bytes) -> bool {
        let mut state = self.state();
        let may = state.seats.get_mut(&room).is_some();
        if may && state.end.is_none() {
            self.write(state, Some((Some(room), frame)), None);
        }
        may
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
        if state.end.is_some() {
            return;
        }
        match receipt {
            Ok(receipt) => {
                let State {
                    queue, seats, held, ..
                } = &mut *state;
                let seat = seats.get_mut(&receipt.message.room_id);
                match (seat, frame::ack(&about, &receipt)) {
                    (_, None) => {}
                    (Some(seat), Some(ack)) => {
                        seat.hold(receipt.message.seq, ack);
                        let due = seat.due();
                        *held = *held + 1 - due.len();
                        queue.extend(None, due);
                    }
                    // A room that this socket does not hear, yet or any more.
                    (None, Some(ack)) => queue.push(None, ack),
                }
            }
            Err(error) => {
                state.queue.push(None, frame::error(&error, &about));
                let over = matches!(error, Error::NotAMember | Error::RoomNotFound);
                if over && !self.many {
                    state.end(Ending::Close(Close::of(&error)));
                }
            }
        }
        self.settled(&mut state);
        self.write(state, None, None);
    }

    /// Ends the connection, unless it has ended.
    pub fn end(&self, ending: Ending) {
        self.state().end(ending);
        self.waker.wake();
    }

    /// The server is going away: when what was handed in is answered, the connection ends.
    pub fn leave(&self) {
        let mut state = self.state();
        state.phase = Phase::Leaving;
        self.settled(&mut state);
        drop(state);
        self.waker.wake();
    }

    /// Some of what was under way may be answered: more may be read, or the connection ends.
    fn settled(&self, state: &mut State) {
        let answered = state.in_flight.is_empty() && state.held == 0;
        if state.phase == Phase::Leaving && answered {
            state.end(Ending::Close(Close::GoingAway));
        }
        if state.full && state.may_read() {
            state.full = false;
            self.waker.wake();
        }
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

    /// Ends it, as the client has lost its right to what waits, whatever else ended it before. If
    /// what was written last is not whole, nothing can be said any more.
    fn revoke(&mut self, close: Close) {
        self.queue = Queue::default();
        if self.stuck.is_some() {
            self.end = Some(Ending::Cut(close));
        } else {
            self.doubt = Some(close).filter(|_| self.writing);
            self.end(Ending::Close(close));
        }
    }

    /// Whether there is room for what the client may say next.
    fn may_read(&self) -> bool {
        self.phase == Phase::Open && self.in_flight.len() + self.held < IN_FLIGHT
    }

    /// Gives a room that is behind its turn, after those that wait for theirs.
    fn queue_up(&mut self, room: RoomId) {
        if let Some(seat) = self.seats.get_mut(&room)
            && seat.is_behind()
            && !std::mem::replace(&mut seat.is_queued, true)
        {
            self.behind.push_back(room);
        }
    }
}
