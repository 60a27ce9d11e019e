//! What one socket has been sent, and what was wrong with it.

use serde::{Deserialize, Serialize};

use crate::wire::Said;

/// Whatever a chat may not do to its readers. All zero, or the run has failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came more than once.
    pub doubled: u64,
    /// Deliveries that came after a later one, and acks that came before their message.
    pub disordered: u64,
    /// Sockets that saw other messages, or another order of them, than the rest of their room.
    pub differing: u64,
}

impl Faults {
    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.differing += other.differing;
    }

    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// How much has been said in a room: how many messages, and the sum of their numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub count: u64,
    pub sum: u64,
}

/// What one socket has seen so far.
#[derive(Debug, Clone)]
pub struct Track {
    /// The last `seq`.
    pub last: u64,
    /// What had been said in the room before it listened.
    pub since: Mark,
    /// What it has been sent since.
    pub seen: Mark,
    /// `seq`s that were jumped over and have not come yet.
    jumped: u64,
    /// Over all messages, in their order.
    pub hash: u64,
}

impl Track {
    /// Of a socket that begins to listen after `last`.
    pub fn new(last: u64, since: Mark) -> Self {
        Self {
            last,
            since,
            seen: Mark::default(),
            jumped: 0,
            hash: 0,
        }
    }

    /// Takes a message; whether it is one that had not come before.
    pub fn take(&mut self, said: Said, faults: &mut Faults) -> bool {
        if said.seq == self.last + 1 {
            self.last = said.seq;
        } else if said.seq > self.last {
            self.jumped += said.seq - self.last - 1;
            self.last = said.seq;
        } else if self.jumped > 0 {
            self.jumped -= 1;
            faults.disordered += 1;
        } else {
            faults.doubled += 1;
            return false;
        }
        self.seen.count += 1;
        self.seen.sum = self.seen.sum.wrapping_add(said.id);
        // Any mixing will do that is not the same for two orders (FxHash's multiplier).
        let word = said.seq.rotate_left(32) ^ said.id;
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        true
    }

    /// Compares it, when all should have come, with what was said in its room.
    pub fn check(&self, said: Mark, faults: &mut Faults) {
        let owed = said.count - self.since.count;
        faults.lost += owed.saturating_sub(self.seen.count);
        let sum = said.sum.wrapping_sub(self.since.sum);
        if self.seen.count > owed || (self.seen.count == owed && self.seen.sum != sum) {
            faults.differing += 1;
        }
    }
}
