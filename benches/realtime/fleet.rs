//! All sockets of the load generator, on one thread: it shares the processor with the server, so it
//! does as little as it can.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::Result;
use crate::connection::{Connection, State, Tally, Wish};
use crate::track::{Faults, Mark};
use crate::wire::{self, Scanner};

/// Bytes that are read at once; the kernel rarely has more waiting.
const BUFFER: usize = 256 * 1024;
/// Events that are taken at once: a few milliseconds' work, so that a message that has become due
/// meanwhile need not wait for ten thousand readers.
const EVENTS: usize = 512;

/// The sockets, and what was said in which room.
pub struct Fleet {
    address: SocketAddr,
    epoll: OwnedFd,
    pub connections: Vec<Connection>,
    pub rooms: Vec<Mark>,
    pub tally: Tally,
    /// Messages that were sent.
    pub sent: u64,
    /// Deliveries that are to come of them, and have come.
    pub owed: u64,
    listeners: Vec<u64>,
    /// How long nothing may happen that is waited for.
    patience: Duration,
    scanner: Scanner,
    began: Instant,
    buffer: Vec<u8>,
    events: Vec<epoll::Event>,
    /// Connections with something to write.
    unsent: Vec<usize>,
}

impl Fleet {
    /// For sockets in so many rooms of this server.
    pub fn new(address: SocketAddr, rooms: usize, patience: f64) -> Result<Self> {
        Ok(Self {
            address,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            rooms: vec![Mark::default(); rooms],
            tally: Tally::new(),
            sent: 0,
            owed: 0,
            listeners: vec![0; rooms],
            patience: Duration::from_secs_f64(patience),
            scanner: Scanner::new(),
            began: Instant::now(),
            buffer: vec![0; BUFFER],
            events: Vec::with_capacity(EVENTS),
            unsent: Vec::new(),
        })
    }

    /// Nanoseconds since it began.
    pub fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// Opens sockets, so many at once as may be under way, and waits until each has its first
    /// pages.
    pub fn open(&mut self, wishes: impl IntoIterator<Item = Wish>, under_way: usize) -> Result<()> {
        let mut wishes = wishes.into_iter().peekable();
        let before = self.tally.opened;
        let mut begun = 0;
        let mut progress = (self.now(), before);
        while wishes.peek().is_some() || self.tally.opened - before < begun {
            while begun - (self.tally.opened - before) < under_way {
                let Some(wish) = wishes.next() else { break };
                self.begin(wish)?;
                begun += 1;
            }
            self.turn(Duration::from_millis(100))?;
            if self.tally.opened > progress.1 {
                progress = (self.now(), self.tally.opened);
            } else if self.now() - progress.0 > nanos(self.patience) {
                let waiting = begun - (self.tally.opened - before);
                return Err(format!("{waiting} sockets do not open").into());
            }
        }
        Ok(())
    }

    fn begin(&mut self, wish: Wish) -> Result<()> {
        let number = self.connections.len();
        if !wish.stuck {
            self.listeners[wish.room] += 1;
        }
        let connection = Connection::begin(self.address, number, wish, self.now())?;
        let both = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        epoll::add(&self.epoll, &connection.fd, data(number), both)?;
        self.connections.push(connection);
        Ok(())
    }

    /// Closes all sockets from this one on, without a word.
    pub fn close_from(&mut self, first: usize) {
        for connection in self.connections.drain(first..) {
            if !connection.stuck {
                self.listeners[connection.room] -= 1;
            }
        }
    }

    /// Says a message on a socket, which goes out with [`Fleet::flush`]. It was due at `due`.
    pub fn say(&mut self, number: usize, due: u64, length: usize) {
        self.sent += 1;
        let connection = &mut self.connections[number];
        let room = &mut self.rooms[connection.room];
        room.count += 1;
        room.sum = room.sum.wrapping_add(self.sent);
        self.owed += self.listeners[connection.room];
        if connection.outbox.is_empty() {
            self.unsent.push(number);
        }
        wire::put_message(&mut connection.outbox, self.sent, due, length);
    }

    /// Writes all that was said.
    pub fn flush(&mut self) -> Result<()> {
        for number in self.unsent.drain(..) {
            let connection = &mut self.connections[number];
            if !connection.flush()? {
                let both = epoll::EventFlags::IN | epoll::EventFlags::OUT;
                epoll::modify(&self.epoll, &connection.fd, data(number), both)?;
            }
        }
        Ok(())
    }

    /// Waits at most so long for something to happen, and takes some of what has.
    pub fn turn(&mut self, most: Duration) -> Result<()> {
        let timeout = Timespec::try_from(most)?;
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(err) => return Err(format!("waiting for sockets: {err}").into()),
        }
        let began = self.began;
        for event in self.events.drain(..) {
            let number = usize::try_from(event.data.u64())?;
            let flags = event.flags;
            let connection = &mut self.connections[number];
            if flags.contains(epoll::EventFlags::OUT) && connection.flush()? {
                epoll::modify(
                    &self.epoll,
                    &connection.fd,
                    data(number),
                    epoll::EventFlags::IN,
                )?;
            }
            if !flags.difference(epoll::EventFlags::OUT).is_empty() {
                let clock = || nanos(began.elapsed());
                connection.read(
                    number,
                    &mut self.buffer,
                    &self.scanner,
                    clock,
                    &mut self.tally,
                )?;
                if connection.stuck && connection.state == State::Open {
                    epoll::delete(&self.epoll, &connection.fd)?;
                }
            }
        }
        Ok(())
    }

    /// Takes what happens until this instant.
    pub fn until(&mut self, nanos: u64) -> Result<()> {
        while let Some(left) = nanos.checked_sub(self.now()).filter(|left| *left > 0) {
            // The kernel counts in milliseconds and rounds up: the last one is waited for awake.
            let left = Duration::from_nanos(left).saturating_sub(Duration::from_millis(1));
            self.turn(left)?;
        }
        Ok(())
    }

    /// Waits until all that was said has come to all, and a moment more for what should not come.
    pub fn drain(&mut self, grace: Duration) -> Result<()> {
        let mut progress = (self.now(), 0);
        while !self.settled() && self.now() - progress.0 < nanos(self.patience) {
            self.turn(Duration::from_millis(100))?;
            let seen = self.tally.deliveries + self.tally.acks;
            if seen > progress.1 {
                progress = (self.now(), seen);
            }
        }
        self.until(self.now() + nanos(grace))
    }

    /// Whether all that was said has been acked and has come to all.
    pub fn settled(&self) -> bool {
        self.tally.acks >= self.sent && self.tally.deliveries >= self.owed
    }

    /// Compares what each socket has seen with what was said, and with each other.
    pub fn check(&self) -> Faults {
        let mut faults = self.tally.faults;
        let mut first: Vec<Option<(Mark, u64)>> = vec![None; self.rooms.len()];
        faults.lost += self.sent.saturating_sub(self.tally.acks);
        for connection in self.connections.iter().filter(|c| !c.stuck) {
            connection
                .track
                .check(self.rooms[connection.room], &mut faults);
            let (since, hash) = (connection.track.since, connection.track.hash);
            match first[connection.room] {
                Some((mark, other)) if mark == since && other != hash => faults.differing += 1,
                Some((mark, _)) if mark == since => {}
                _ => first[connection.room] = Some((since, hash)),
            }
        }
        faults
    }
}

/// A duration in nanoseconds; no run lasts for the 584 years that are too many.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn data(number: usize) -> epoll::EventData {
    epoll::EventData::new_u64(number as u64)
}
