//! The line and the clock: heartbeats, tokens that end, writes and answers that are overdue.

use tokio::time::Instant;

use super::{Ending, Line, Phase};
use crate::chat::{Error, PATIENCE};
use crate::config::Sockets;
use crate::web::socket::close::Close;
use crate::web::socket::{codec, frame};

/// What the clock says about a client.
#[derive(Debug)]
pub struct Heart {
    pub expires_at: Instant,
    heard_at: Instant,
    pinged: bool,
}

impl Default for Heart {
    /// Of a client that was just heard, and whose token is still to be shown.
    fn default() -> Self {
        Self {
            expires_at: Instant::now(),
            heard_at: Instant::now(),
            pinged: false,
        }
    }
}

impl Line {
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
                state
                    .queue
                    .push(None, frame::error(&Error::Unavailable, &about));
            }
        }
        if state.stuck.is_some() || state.full || state.phase == Phase::Greeting {
            // Nothing is read meanwhile, so silence says nothing.
            state.heart.heard_at = now;
        }
        let silent = now.duration_since(state.heart.heard_at);
        if state.heart.pinged && silent >= timing.ping_interval + timing.ping_timeout {
            state.end(Ending::Gone);
        } else if !state.heart.pinged && silent >= timing.ping_interval {
            state.heart.pinged = true;
            state.queue.push(None, codec::ping());
        }
        let retry = state.retry_at.is_some_and(|at| at <= now);
        if retry {
            state.retry_at = None;
        }
        self.waker_if(retry || state.end.is_some());
        self.settled(&mut state);
        self.write(state, None, None);
    }
}
