//! How long a connection may keep its place while nothing is done for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A connection's deadline. It rests while a request is answered, which has deadlines of its own.
///
/// It is one for the next request and for the answer before it: to send the head of a request byte
/// by byte costs a client as much as to send nothing, and so does an answer that is not read. Only
/// the first head, before which nobody has a reason to pause, has a shorter one.
#[derive(Debug)]
pub struct Patience {
    idle: Duration,
    /// None while a request is answered.
    due: Mutex<Option<Instant>>,
}

impl Patience {
    /// Of a connection that was accepted now: the head of its first request is to be there within
    /// `head`, and that of any other within `idle` after the answer to the one before.
    pub fn new(head: Duration, idle: Duration) -> Self {
        Self {
            idle,
            due: Mutex::new(Some(Instant::now() + head)),
        }
    }

    /// A request is there.
    pub fn rest(&self) {
        self.set(None);
    }

    /// It has been answered.
    pub fn resume(&self) {
        self.set(Some(Instant::now() + self.idle));
    }

    /// Waits until the deadline has passed.
    pub async fn over(&self) {
        loop {
            // No deadline that a request sets from now on is sooner, so requests need not wake this.
            let soonest = Instant::now() + self.idle;
            let until = self.due().map_or(soonest, |due| due.min(soonest));
            sleep_until(until).await;
            if self.due().is_some_and(|due| due <= Instant::now()) {
                return;
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, due: Option<Instant>) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }
}
