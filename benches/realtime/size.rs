//! How much is measured for how long.

use serde::Serialize;

/// How large and how long it all is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Size {
    /// Sockets of a full room.
    pub crowd: usize,
    /// Sockets of an overfull room.
    pub multitude: usize,
    /// Many rooms, and the sockets of each.
    pub rooms: usize,
    pub per_room: usize,
    /// Of a measurement, and before it, in seconds.
    pub seconds: f64,
    pub warm_up: f64,
    /// Messages a second in the overfull room: a third of what the bare broadcaster can do on one
    /// core of two.
    pub rate: f64,
    /// Messages a second in the full room with stuck readers.
    pub stuck_rate: f64,
    /// MiB that are sent to the stuck readers beforehand: what the kernel takes for them, and more.
    pub fill: usize,
    /// How long duplicates are waited for, and five times that for rest, in seconds.
    pub grace: f64,
    /// Connections with requests.
    pub callers: usize,
    /// Sockets that come back at once.
    pub under_way: usize,
}

impl Size {
    /// What the targets are for.
    pub const FULL: Self = Self {
        crowd: 1_000,
        multitude: 10_000,
        rooms: 100,
        per_room: 10,
        seconds: 5.0,
        warm_up: 1.0,
        rate: 2.5,
        stuck_rate: 30.0,
        fill: 5,
        grace: 0.1,
        callers: 32,
        under_way: 512,
    };
    /// Enough to see that everything works.
    pub const SMALL: Self = Self {
        crowd: 20,
        multitude: 20,
        rooms: 3,
        per_room: 3,
        seconds: 0.2,
        warm_up: 0.0,
        rate: 50.0,
        stuck_rate: 50.0,
        fill: 0,
        grace: 0.01,
        callers: 4,
        under_way: 8,
    };
}
