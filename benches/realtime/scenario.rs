//! The scenarios: who does what for how long, and which figures are read off it.

use crate::Result;
use crate::plan::{Outcome, Plan, Work};
use crate::postgres;
use crate::process::{self, Broadcaster, Place, Server};
use crate::report::Target::{AtLeast, AtMost, RatioAtLeast, RatioAtMost};
use crate::report::{Figure, Measured};
use crate::size::Size;
use crate::sqlite;
use crate::track::Faults;
use crate::usage::real;

/// Bytes of a message's text, where nothing else is said.
const LENGTH: usize = 100;
/// Bytes of a message's text where some readers are stuck.
const LONG: usize = 1024;
/// Messages that those who come back have missed.
const MISSED: u64 = 20;
/// Messages that each socket of the many rooms sends before it waits for an ack.
const WINDOW: usize = 8;
/// Rooms that the rows of the bare SQLite loop are of, as the messages are.
const ROOMS: i64 = 100;
/// Users of the many rooms.
const USERS: usize = 10;

/// Seconds until a delivery is taken for lost.
const PATIENCE: f64 = 30.0;

/// One scenario.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub postgres: bool,
    run: fn(&Size) -> Result<Seen>,
}

impl Scenario {
    /// Measures it once, server and bare one after the other.
    pub fn run(&self, size: &Size) -> Result<Measured> {
        let (figures, outcomes) = (self.run)(size)?;
        Ok(Measured {
            scenario: self.name,
            figures,
            outcomes,
        })
    }
}

type Seen = (Vec<Figure>, Vec<(&'static str, Outcome)>);

/// All of them, in the order in which they run.
#[rustfmt::skip]
pub const ALL: &[Scenario] = &[
    Scenario { name: "one-at-a-time", about: "one room of 1,000; a message goes when the last has come to all", postgres: false, run: one_at_a_time },
    Scenario { name: "saturated", about: "one room of 1,000; 64 of them send the next message when the last is acked", postgres: false, run: saturated },
    Scenario { name: "rooms", about: "100 rooms of 10, all sending, 8 messages of each not yet acked", postgres: false, run: rooms },
    Scenario { name: "steady", about: "10,000 in one room, messages by the clock", postgres: false, run: steady },
    Scenario { name: "idle", about: "10,000 in one room, silent", postgres: false, run: idle },
    Scenario { name: "return", about: "10,000 come back at once with ?after=, each has missed 20 messages", postgres: false, run: comes_back },
    Scenario { name: "stuck", about: "one room of 1,000, 1 % of them never read; beside the same without these", postgres: false, run: stuck },
    Scenario { name: "rest", about: "32 connections send messages by REST, then read the newest 50", postgres: false, run: rest },
    Scenario { name: "rooms-postgres", about: "100 rooms of 10, all sending, on PostgreSQL", postgres: true, run: rooms_postgres },
];

/// A plan for a server on SQLite with one user and one room, carried out.
fn on_server(size: &Size, sockets: usize, length: usize, work: Work) -> Result<Outcome> {
    let place = Place::new(String::new(), 1, 1)?;
    let server = Server::start(&place)?;
    loaded(size, &server, &place, sockets, length, work)
}

fn on_bare(
    size: &Size,
    bare: &Broadcaster,
    sockets: usize,
    work: Work,
    patience: f64,
) -> Result<Outcome> {
    process::load(&Plan {
        address: bare.address,
        pid: bare.pid(),
        rooms: vec!["room".to_owned()],
        tokens: vec!["token".to_owned()],
        sockets,
        length: LENGTH,
        work,
        patience,
        grace: size.grace,
    })
}

/// Loads a server, and compares what it has stored.
fn loaded(
    size: &Size,
    server: &Server,
    place: &Place,
    sockets: usize,
    length: usize,
    work: Work,
) -> Result<Outcome> {
    let mut outcome = process::load(&Plan {
        address: server.address,
        pid: server.pid(),
        rooms: place.rooms.clone(),
        tokens: place.tokens.clone(),
        sockets,
        length,
        work,
        patience: PATIENCE,
        grace: size.grace,
    })?;
    process::verify(server, place, &mut outcome)?;
    Ok(outcome)
}

/// What the load generator finds wrong with a broadcaster that does everything wrong once.
pub fn faults_of_a_faulty_one() -> Result<Faults> {
    let work = Work::Closed {
        senders: 4,
        window: 4,
        one_at_a_time: false,
        warm_up: 0.0,
        seconds: 0.1,
    };
    let bare = Broadcaster::start(true)?;
    Ok(on_bare(&Size::SMALL, &bare, 10, work, 2.0)?.faults)
}

fn deliveries(outcome: &Outcome) -> f64 {
    real(outcome.deliveries) / outcome.seconds
}

/// Microseconds.
fn cpu(outcome: &Outcome) -> f64 {
    outcome.cpu * 1e6 / real(outcome.deliveries.max(1))
}

fn both(size: &Size, work: &Work, sockets: usize) -> Result<(Outcome, Outcome)> {
    let server = on_server(size, sockets, LENGTH, work.clone())?;
    let bare = on_bare(
        size,
        &Broadcaster::start(false)?,
        sockets,
        work.clone(),
        PATIENCE,
    )?;
    Ok((server, bare))
}

/// A figure of both.
fn figure(
    name: &'static str,
    unit: &'static str,
    (server, bare): (&Outcome, &Outcome),
    of: impl Fn(&Outcome) -> f64,
) -> Figure {
    Figure::new(name, unit, of(server), Some(of(bare)))
}

fn one_at_a_time(size: &Size) -> Result<Seen> {
    let work = Work::Closed {
        senders: 1,
        window: 1,
        one_at_a_time: true,
        warm_up: size.warm_up,
        seconds: size.seconds,
    };
    let (server, bare) = both(size, &work, size.crowd)?;
    let pair = (&server, &bare);
    let figures = vec![
        figure("deliveries", "1/s", pair, deliveries),
        figure("CPU of a delivery", "us", pair, cpu).with(&[RatioAtMost(1.2)]),
        figure("p50 of a delivery", "ms", pair, |o| o.latency.p50),
        figure("p99 of a delivery", "ms", pair, |o| o.latency.p99),
    ];
    Ok((figures, vec![("server", server), ("bare", bare)]))
}

fn saturated(size: &Size) -> Result<Seen> {
    let work = Work::Closed {
        senders: 64.min(size.crowd),
        window: 1,
        one_at_a_time: false,
        warm_up: size.warm_up,
        seconds: size.seconds,
    };
    let (server, bare) = both(size, &work, size.crowd)?;
    let pair = (&server, &bare);
    let figures = vec![
        figure("deliveries", "1/s", pair, deliveries).with(&[RatioAtLeast(10.0)]),
        figure("CPU of a delivery", "us", pair, cpu),
        figure("p99 of a delivery", "ms", pair, |o| o.latency.p99),
    ];
    Ok((figures, vec![("server", server), ("bare", bare)]))
}

fn all_rooms(size: &Size, database: String) -> Result<Outcome> {
    let place = Place::new(database, USERS.min(size.per_room), size.rooms)?;
    let server = Server::start(&place)?;
    let work = Work::Closed {
        senders: size.per_room,
        window: WINDOW,
        one_at_a_time: false,
        warm_up: size.warm_up,
        seconds: size.seconds,
    };
    loaded(size, &server, &place, size.per_room, LENGTH, work)
}

fn acks(outcome: &Outcome) -> f64 {
    real(outcome.acks) / outcome.seconds
}

fn rooms(size: &Size) -> Result<Seen> {
    let server = all_rooms(size, String::new())?;
    let folder = process::folder()?;
    let [one, many] =
        [1, ROOMS].map(|rooms| sqlite::rows_a_second(folder.path(), rooms, size.seconds * 0.5));
    let figures = vec![
        Figure::new("durable messages", "1/s", acks(&server), Some(many?))
            .with(&[AtLeast(15_000.0), RatioAtLeast(0.3)]),
        Figure::new("beside rows of one room", "1/s", acks(&server), Some(one?)),
        Figure::new("deliveries", "1/s", deliveries(&server), None),
        Figure::new("CPU of a delivery", "us", cpu(&server), None),
        Figure::new("p99 of a delivery", "ms", server.latency.p99, None),
    ];
    Ok((figures, vec![("server", server)]))
}

fn rooms_postgres(size: &Size) -> Result<Seen> {
    let server = all_rooms(size, postgres::database())?;
    let figures = vec![
        Figure::new("durable messages", "1/s", acks(&server), None).with(&[AtLeast(10_000.0)]),
        Figure::new("deliveries", "1/s", deliveries(&server), None),
        Figure::new("CPU of a delivery", "us", cpu(&server), None),
        Figure::new("p99 of a delivery", "ms", server.latency.p99, None),
    ];
    Ok((figures, vec![("server", server)]))
}

fn steady(size: &Size) -> Result<Seen> {
    let work = Work::Open {
        rate: size.rate,
        messages: messages(size.rate, 2.0 * size.seconds),
        stuck: 0,
        fill: 0,
    };
    let (server, bare) = both(size, &work, size.multitude)?;
    let pair = (&server, &bare);
    let figures = vec![
        figure("deliveries", "1/s", pair, deliveries),
        figure("CPU of a delivery", "us", pair, cpu),
        figure("p50 of a delivery", "ms", pair, |o| o.latency.p50),
        figure("p90 of a delivery", "ms", pair, |o| o.latency.p90),
        figure("p99 of a delivery", "ms", pair, |o| o.latency.p99).with(&[RatioAtMost(1.5)]),
        figure("p99.9 of a delivery", "ms", pair, |o| o.latency.p999),
        figure("slowest delivery", "ms", pair, |o| o.latency.max),
    ];
    Ok((figures, vec![("server", server), ("bare", bare)]))
}

fn idle(size: &Size) -> Result<Seen> {
    let work = Work::Idle {
        seconds: size.seconds,
    };
    let (server, bare) = both(size, &work, size.multitude)?;
    let pair = (&server, &bare);
    let sockets = real(size.multitude as u64 - 1);
    let kib = |o: &Outcome| grown(o.memory_before, o.memory_after) / sockets / 1024.0;
    let percent = |o: &Outcome| 100.0 * o.cpu / o.seconds;
    let figures = vec![
        figure("memory of a socket", "KiB", pair, kib).with(&[AtMost(4.0)]),
        Figure::new("CPU while nothing happens", "%", percent(&server), None),
    ];
    Ok((figures, vec![("server", server), ("bare", bare)]))
}

fn comes_back(size: &Size) -> Result<Seen> {
    let work = Work::Return {
        missed: MISSED,
        under_way: size.under_way,
    };
    let (server, bare) = both(size, &work, size.multitude)?;
    let pair = (&server, &bare);
    let returns = real(size.multitude as u64);
    let figures = vec![
        figure("all have caught up", "s", pair, |o| o.seconds).with(&[AtMost(10.0)]),
        figure("CPU of a return", "us", pair, |o| o.cpu * 1e6 / returns),
        figure("p99 of a return", "ms", pair, |o| o.latency.p99),
    ];
    Ok((figures, vec![("server", server), ("bare", bare)]))
}

fn stuck(size: &Size) -> Result<Seen> {
    let work = |stuck| Work::Open {
        rate: size.stuck_rate,
        messages: messages(size.stuck_rate, 2.0 * size.seconds),
        stuck,
        fill: size.fill,
    };
    let without = on_server(size, size.crowd, LONG, work(0))?;
    let with = on_server(size, size.crowd, LONG, work(size.crowd.div_ceil(100)))?;
    let pair = (&with, &without);
    let mib = |of, to| grown(of, to) / 1024.0 / 1024.0;
    let figures = vec![
        figure("p50 of the others", "ms", pair, |o| o.latency.p50),
        figure("p99 of the others", "ms", pair, |o| o.latency.p99).with(&[RatioAtMost(1.3)]),
        figure("most growth of memory", "MiB", pair, |o| {
            mib(o.memory_before, o.memory_most)
        }),
        figure("growth that stays", "MiB", pair, |o| {
            mib(o.memory_before, o.memory_after)
        }),
    ];
    Ok((figures, vec![("stuck", with), ("none stuck", without)]))
}

fn rest(size: &Size) -> Result<Seen> {
    let place = Place::new(String::new(), 1, 1)?;
    let server = Server::start(&place)?;
    let work = |sends| Work::Rest {
        connections: size.callers,
        seconds: size.seconds * 0.6,
        sends,
    };
    let sends = loaded(size, &server, &place, 0, LENGTH, work(true))?;
    let reads = loaded(size, &server, &place, 0, LENGTH, work(false))?;
    let figures = vec![
        Figure::new("sends", "1/s", deliveries(&sends), None),
        Figure::new("p99 of a send", "ms", sends.latency.p99, None),
        Figure::new("reads of 50", "1/s", deliveries(&reads), None),
        Figure::new("p99 of a read", "ms", reads.latency.p99, None),
    ];
    Ok((figures, vec![("sends", sends), ("reads", reads)]))
}

/// How many there are in so long, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred"
)]
fn messages(rate: f64, seconds: f64) -> u64 {
    (rate * seconds).max(1.0) as u64
}

fn grown(before: u64, after: u64) -> f64 {
    real(after.saturating_sub(before))
}
