//! What the load generator is told, and what it tells.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::histogram::Percentiles;
use crate::track::Faults;

/// What is to be done to which server.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    pub address: SocketAddr,
    /// The process whose time and memory count.
    pub pid: u32,
    /// The rooms' ids.
    pub rooms: Vec<String>,
    /// Tokens of users who may enter them all; a room's sockets take them in turn.
    pub tokens: Vec<String>,
    /// Sockets in each room.
    pub sockets: usize,
    /// Length of a message's text in bytes.
    pub length: usize,
    pub work: Work,
    /// How long to wait for a delivery until it is taken for lost, in seconds.
    pub patience: f64,
    /// How long duplicates are waited for when all has come, in seconds. Five times that is left to
    /// a server that has to come to rest.
    pub grace: f64,
}

/// What the sockets do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// In each room so many sockets send, each with a window of messages that are not acked yet.
    Closed {
        senders: usize,
        window: usize,
        /// The next message waits until the last one has come to everybody.
        one_at_a_time: bool,
        warm_up: f64,
        seconds: f64,
    },
    /// Messages by the clock, so many a second, each from another socket of the first room. Of that
    /// room's sockets, `stuck` never read; before the clock starts, `fill` MiB are said in long
    /// messages, so that the kernel takes no more for these.
    Open {
        rate: f64,
        messages: u64,
        stuck: usize,
        fill: usize,
    },
    /// Nothing, for so many seconds.
    Idle { seconds: f64 },
    /// All sockets of the first room close, miss so many messages, and come back with `?after=`, so
    /// many at once.
    Return { missed: u64, under_way: usize },
    /// Requests on so many kept-alive connections to the first room: sends, or else reads.
    Rest {
        connections: usize,
        seconds: f64,
        sends: bool,
    },
}

/// What came of it.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The time that was measured, without warming up and waiting for the last.
    pub seconds: f64,
    /// Deliveries and acks within it.
    pub deliveries: u64,
    pub acks: u64,
    /// Bytes of a delivery, with the frame's header.
    pub delivery_bytes: f64,
    /// Processor time of the server within it, in seconds; and of the load generator.
    pub cpu: f64,
    pub own_cpu: f64,
    pub latency: Percentiles,
    /// The server's resident memory before and after, and the most that was seen, in bytes.
    pub memory_before: u64,
    pub memory_after: u64,
    pub memory_most: u64,
    /// All deliveries that were checked, inside the measured time or not.
    pub checked: u64,
    pub faults: Faults,
    /// Processor time of all others on this machine within the measured time, in seconds.
    pub others_cpu: f64,
    /// What was said in each room.
    pub said: Vec<u64>,
}
