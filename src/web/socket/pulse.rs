//! The sockets of this process: one task looks at the clock for all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::line::Line;
use crate::config::Sockets;

/// How often to look. Heartbeats, tokens and stalled writes are measured in seconds.
const EVERY: Duration = Duration::from_millis(250);
/// Sockets between which others have their turn.
const TURN: usize = 256;
/// By how much the ends of two sockets lie apart when the server goes away, if there is time:
/// their clients come back that far apart.
const APART: Duration = Duration::from_millis(5);

/// The sockets.
#[derive(Debug, Default, Clone)]
pub struct Lines(Arc<Mutex<Slab<Arc<Line>>>>);

/// A socket's place among them, given up when dropped.
#[derive(Debug)]
pub struct Entry {
    lines: Lines,
    key: usize,
}

impl Lines {
    fn slab(&self) -> MutexGuard<'_, Slab<Arc<Line>>> {
        // No code that holds this lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more socket.
    pub fn add(&self, line: Arc<Line>) -> Entry {
        Entry {
            key: self.slab().insert(line),
            lines: self.clone(),
        }
    }

    /// Looks at the clock until told to stop.
    pub async fn watch(&self, timing: Sockets, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let now = Instant::now();
            let mut begin = 0;
            while let Some(some) = self.some(&mut begin) {
                for line in some {
                    line.look_at_clock(now, &timing);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Some of the sockets, from a place on.
    fn some(&self, begin: &mut usize) -> Option<Vec<Arc<Line>>> {
        let slab = self.slab();
        if *begin >= slab.capacity() {
            return None;
        }
        let end = slab.capacity().min(*begin + TURN);
        let some = (*begin..end).filter_map(|key| slab.get(key).cloned());
        let some = some.collect();
        *begin = end;
        Some(some)
    }

    /// Tells all sockets that the server is going away: one after the other, in no order that a
    /// client could know, over at most this time.
    pub async fn leave(&self, within: Duration) {
        let mut lines: Vec<_> = self.slab().iter().map(|(_, line)| line.clone()).collect();
        shuffle(&mut lines);
        let count = u32::try_from(lines.len().max(1)).unwrap_or(u32::MAX);
        let apart = APART.min(within / count);
        let began = Instant::now();
        for (n, line) in (1..).zip(lines) {
            line.leave();
            // A sleep takes a millisecond or two at least, so there is none while this is late.
            let due = began + apart * n;
            if due > Instant::now() {
                sleep_until(due).await;
            } else {
                tokio::task::consume_budget().await;
            }
        }
    }
}

/// Fisher and Yates's shuffle. Without random numbers the order is that of the keys.
fn shuffle(lines: &mut [Arc<Line>]) {
    for last in (1..lines.len()).rev() {
        let random = getrandom::u64().unwrap_or_default();
        let other = usize::try_from(random % (last as u64 + 1)).unwrap_or(last);
        lines.swap(last, other);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lines.slab().try_remove(self.key);
    }
}
