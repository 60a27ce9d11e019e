//! The load generator: a process that is told what to do on its standard input, and says on its
//! standard output what came of it.

use std::process;
use std::time::Duration;

use crate::Result;
use crate::connection::Wish;
use crate::fleet::{Fleet, nanos};
use crate::plan::{Outcome, Plan, Work};
use crate::track::Mark;
use crate::usage::{self, real};
use crate::{rest, wire};

/// Handshakes under way when a fleet comes together and nobody measures it: less than any backlog.
const UNDER_WAY: usize = 128;
const MIB: usize = 1024 * 1024;
/// The longest text that the server takes, in bytes, and how many of them are said at once.
const LONGEST: usize = 16 * 1024;
const AT_ONCE: usize = 4;

/// A moment to count from.
struct Start {
    at: u64,
    deliveries: u64,
    acks: u64,
    cpu: f64,
    own_cpu: f64,
    all_cpu: f64,
    memory: u64,
}

/// Does what the plan says.
pub fn run(plan: &Plan) -> Result<Outcome> {
    if let Work::Rest {
        connections,
        seconds,
        sends,
    } = plan.work
    {
        return rest::run(plan, connections, seconds, sends);
    }
    let mut load = Load {
        plan,
        fleet: Fleet::new(plan.address, plan.rooms.len(), plan.patience)?,
        most: 0,
        grace: Duration::from_secs_f64(plan.grace),
    };
    let mut outcome = match plan.work {
        Work::Closed {
            senders,
            window,
            one_at_a_time,
            warm_up,
            seconds,
        } => {
            load.assemble(0)?;
            let window = if one_at_a_time { 0 } else { window };
            load.closed(senders, window, warm_up, seconds)?
        }
        Work::Open {
            rate,
            messages,
            stuck,
            fill,
        } => {
            load.assemble(stuck)?;
            let memory = usage::memory(plan.pid)?;
            load.fill(fill)?;
            let outcome = load.by_the_clock(rate, messages)?;
            Outcome {
                memory_before: memory,
                ..outcome
            }
        }
        Work::Idle { seconds } => load.idle(seconds)?,
        Work::Return { missed, under_way } => load.comes_back(missed, under_way)?,
        Work::Rest { .. } => return Err("requests are no work for sockets".into()),
    };
    load.fleet.drain(load.grace)?;
    let tally = &load.fleet.tally;
    outcome.faults = load.fleet.check();
    outcome.checked = tally.deliveries;
    outcome.said = load.fleet.rooms.iter().map(|room| room.count).collect();
    outcome.delivery_bytes = real(tally.bytes) / real(tally.deliveries.max(1));
    outcome.memory_after = usage::memory(plan.pid)?;
    outcome.memory_most = load.most.max(outcome.memory_after);
    Ok(outcome)
}

struct Load<'a> {
    plan: &'a Plan,
    fleet: Fleet,
    /// The most memory that was seen.
    most: u64,
    grace: Duration,
}

impl Load<'_> {
    fn wish(&self, room: usize, socket: usize, after: Option<u64>, since: Mark) -> Wish {
        let token = &self.plan.tokens[socket % self.plan.tokens.len()];
        let host = self.plan.address.to_string();
        Wish {
            room,
            request: wire::upgrade(&host, &self.plan.rooms[room], token, after),
            after,
            since,
            stuck: false,
        }
    }

    /// Opens every room's sockets; the last ones of the first room are stuck.
    fn assemble(&mut self, stuck: usize) -> Result<()> {
        let mut wishes = Vec::new();
        for room in 0..self.plan.rooms.len() {
            for socket in 0..self.plan.sockets {
                let mut wish = self.wish(room, socket, None, Mark::default());
                wish.stuck = room == 0 && socket + stuck >= self.plan.sockets;
                wishes.push(wish);
            }
        }
        self.fleet.open(wishes, UNDER_WAY)
    }

    fn start(&mut self) -> Result<Start> {
        self.fleet.tally.latency.clear();
        Ok(Start {
            at: self.fleet.now(),
            deliveries: self.fleet.tally.deliveries,
            acks: self.fleet.tally.acks,
            cpu: usage::cpu(self.plan.pid)?,
            own_cpu: usage::cpu(process::id())?,
            all_cpu: usage::all_cpu()?,
            memory: usage::memory(self.plan.pid)?,
        })
    }

    fn since(&self, start: &Start) -> Result<Outcome> {
        let fleet = &self.fleet;
        let cpu = usage::cpu(self.plan.pid)? - start.cpu;
        let own_cpu = usage::cpu(process::id())? - start.own_cpu;
        Ok(Outcome {
            seconds: Duration::from_nanos(fleet.now() - start.at).as_secs_f64(),
            deliveries: fleet.tally.deliveries - start.deliveries,
            acks: fleet.tally.acks - start.acks,
            cpu,
            own_cpu,
            others_cpu: (usage::all_cpu()? - start.all_cpu - cpu - own_cpu).max(0.0),
            latency: fleet.tally.latency.percentiles(),
            memory_before: start.memory,
            ..Outcome::default()
        })
    }

    /// With a window of 0, one message after the other.
    fn closed(
        &mut self,
        senders: usize,
        window: usize,
        warm_up: f64,
        seconds: f64,
    ) -> Result<Outcome> {
        let per_room = self.plan.sockets;
        let all = (0..self.fleet.connections.len()).filter(|number| number % per_room < senders);
        let mut next: Vec<usize> = all.flat_map(|number| vec![number; window.max(1)]).collect();
        // Round and round, so that no room begins with a burst from one of its sockets.
        next.sort_by_key(|number| number % per_room);
        let warm = self.fleet.now() + nanos(Duration::from_secs_f64(warm_up));
        let mut start = None;
        let mut end = u64::MAX;
        loop {
            let now = self.fleet.now();
            if now >= warm && start.is_none() {
                start = Some(self.start()?);
                end = self.fleet.now() + nanos(Duration::from_secs_f64(seconds));
            }
            if now >= end {
                break;
            }
            if window > 0 || self.fleet.settled() {
                for number in next.drain(..) {
                    self.fleet.say(number, now, self.plan.length);
                }
                self.fleet.flush()?;
            }
            self.fleet.turn(Duration::from_millis(10))?;
            next.append(&mut self.fleet.tally.acked);
        }
        let start = start.ok_or("it ended before it began")?;
        self.since(&start)
    }

    /// Says so many MiB, a few messages at once.
    fn fill(&mut self, mib: usize) -> Result<()> {
        for _ in 0..mib * MIB / (LONGEST * AT_ONCE) {
            let now = self.fleet.now();
            for _ in 0..AT_ONCE {
                self.fleet.say(0, now, LONGEST);
            }
            self.fleet.flush()?;
            self.fleet.drain(Duration::ZERO)?;
            self.most = self.most.max(usage::memory(self.plan.pid)?);
        }
        Ok(())
    }

    fn by_the_clock(&mut self, rate: f64, messages: u64) -> Result<Outcome> {
        // Messages that nobody measures, for pages and caches that are touched for the first time.
        for _ in 0..3 {
            let now = self.fleet.now();
            self.fleet.say(0, now, self.plan.length);
            self.fleet.flush()?;
            self.fleet.drain(self.grace)?;
        }
        let readers = self.fleet.connections.iter().filter(|c| !c.stuck).count();
        let every = nanos(Duration::from_secs_f64(1.0 / rate));
        let start = self.start()?;
        for message in 0..messages {
            let due = start.at + (message + 1) * every;
            self.fleet.until(due)?;
            // A prime's multiples go through all readers.
            let number = usize::try_from(message)? * 7919 % readers;
            self.fleet.say(number, due, self.plan.length);
            self.fleet.flush()?;
            if message % 32 == 0 {
                self.most = self.most.max(usage::memory(self.plan.pid)?);
            }
        }
        self.fleet.drain(Duration::ZERO)?;
        self.since(&start)
    }

    fn idle(&mut self, seconds: f64) -> Result<Outcome> {
        let wish = |load: &Self, socket| load.wish(0, socket, None, Mark::default());
        // The first one's memory is that of whatever is made once.
        let first = wish(self, 0);
        self.fleet.open([first], 1)?;
        self.fleet.until(self.fleet.now() + nanos(5 * self.grace))?;
        let memory = usage::memory(self.plan.pid)?;
        let rest: Vec<Wish> = (1..self.plan.sockets).map(|s| wish(self, s)).collect();
        self.fleet.open(rest, UNDER_WAY)?;
        // The second half is measured.
        let half = nanos(Duration::from_secs_f64(seconds / 2.0));
        self.fleet.until(self.fleet.now() + half)?;
        let start = self.start()?;
        self.fleet.until(start.at + half)?;
        let outcome = self.since(&start)?;
        Ok(Outcome {
            memory_before: memory,
            ..outcome
        })
    }

    fn comes_back(&mut self, missed: u64, under_way: usize) -> Result<Outcome> {
        let mut wishes = (0..=self.plan.sockets).map(|s| self.wish(0, s, None, Mark::default()));
        let first = wishes.next();
        let wishes: Vec<Wish> = wishes.collect();
        self.fleet.open(first, 1)?;
        self.fleet.open(wishes, UNDER_WAY)?;
        self.fleet.close_from(1);
        let (last, since) = (self.fleet.connections[0].track.last, self.fleet.rooms[0]);
        for _ in 0..missed {
            let now = self.fleet.now();
            self.fleet.say(0, now, self.plan.length);
            self.fleet.flush()?;
            self.fleet.drain(Duration::ZERO)?;
        }
        // Whoever closes ten thousand sockets needs a moment for it.
        self.fleet.until(self.fleet.now() + nanos(5 * self.grace))?;
        let wishes: Vec<Wish> = (1..=self.plan.sockets)
            .map(|socket| self.wish(0, socket, Some(last), since))
            .collect();
        self.fleet.owed += missed * self.plan.sockets as u64;
        let start = self.start()?;
        self.fleet.open(wishes, under_way)?;
        self.since(&start)
    }
}
