//! The line as the connection's own task sees it: what to do next, and the end.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Ending, Line};
use crate::model::{Point, RoomId, Seq};

/// What the connection's task is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// End.
    End(Ending),
    /// Read from the client; if there is nothing, and this is true, the store, see [`Line::step`].
    Read(bool),
    /// Read the store, see [`Line::step`].
    Step,
    /// Look into a room that the user has come into.
    Gained(RoomId),
    /// Listen to this room no more.
    Lost(RoomId),
}

impl Line {
    /// What the connection's task is to do, as soon as there is something.
    pub fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<Turn> {
        self.waker.register(cx.waker());
        let mut state = self.state();
        while let Some(since) = state.stuck.filter(|_| state.end.is_none()) {
            if self.stream.as_ref().poll_write_ready(cx).is_pending() {
                return Poll::Pending;
            }
            state.stuck = None;
            self.write(state, None, Some(since));
            state = self.state();
        }
        if let Some(end) = state.end {
            return Poll::Ready(Turn::End(end));
        }
        if let Some(room) = state.lost.pop_front() {
            return Poll::Ready(Turn::Lost(room));
        }
        if let Some(room) = state.gained.pop_front() {
            return Poll::Ready(Turn::Gained(room));
        }
        let reading = state.may_read();
        let behind = !state.behind.is_empty() && state.retry_at.is_none();
        if behind && (state.stepping || !reading) {
            return Poll::Ready(Turn::Step);
        }
        // By turns, so that neither keeps the other waiting.
        state.stepping = behind;
        state.full = !reading;
        if reading {
            Poll::Ready(Turn::Read(behind))
        } else {
            Poll::Pending
        }
    }

    /// The room whose turn it is, and what it wants to read: from where, how much, and up to which
    /// change at least.
    pub fn step(&self) -> Option<(RoomId, (Point, u32, Seq))> {
        let mut state = self.state();
        state.stepping = false;
        let room = state.behind.pop_front()?;
        if state.behind.is_empty() {
            state.behind = VecDeque::new();
        }
        let seat = state.seats.get_mut(&room)?;
        seat.is_queued = false;
        Some((room, seat.wants()?))
    }

    /// Waits until all is written, or nothing more can be.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        let mut state = self.state();
        while let Some(since) = state.stuck {
            if self.stream.as_ref().poll_write_ready(cx).is_pending() {
                return Poll::Pending;
            }
            state.stuck = None;
            self.write(state, None, Some(since));
            state = self.state();
        }
        if state.writing {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Puts the last frame behind what is still to be written.
    pub fn say_goodbye(&self, close: Option<&Bytes>) {
        self.write(self.state(), close.map(|close| (None, close)), None);
    }

    /// Tells the client's system that nothing more will come.
    pub fn shut_down(&self) {
        // It may have gone already.
        let _ = rustix::net::shutdown(self.stream.as_ref(), rustix::net::Shutdown::Write);
    }
}
