//! One socket of the load generator: its bytes in and out, and what they mean.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_tcp_nodelay};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with,
};

use crate::Result;
use crate::histogram::Histogram;
use crate::track::{Faults, Mark, Track};
use crate::wire::{self, Scanner};

/// Loopback addresses that connections come from in turn: each has some 28,000 ports, and a port
/// rests for a minute after its connection.
const SOURCES: usize = 8;
/// Receive buffer of a socket that is never read, in bytes (the kernel doubles it).
const STUCK_BUFFER: usize = 4096;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The request for the upgrade is out.
    Upgrading,
    /// The first pages are awaited.
    Opening,
    /// All that follows happens live.
    Open,
}

/// What is counted over all connections.
#[derive(Debug)]
pub struct Tally {
    pub deliveries: u64,
    pub bytes: u64,
    pub acks: u64,
    pub faults: Faults,
    /// From when a message was due to when it was there.
    pub latency: Histogram,
    /// Who has got an ack since this was last emptied.
    pub acked: Vec<usize>,
    /// Connections that have come to [`State::Open`].
    pub opened: usize,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            deliveries: 0,
            bytes: 0,
            acks: 0,
            faults: Faults::default(),
            latency: Histogram::new(),
            acked: Vec::new(),
            opened: 0,
        }
    }
}

/// One socket.
#[derive(Debug)]
pub struct Connection {
    pub fd: OwnedFd,
    /// Which room it listens to, as the load generator counts them.
    pub room: usize,
    pub state: State,
    /// Whether it is never read once it is open.
    pub stuck: bool,
    pub track: Track,
    /// When it began to connect, in nanoseconds.
    began: u64,
    /// It asked for what it missed, so the messages of its first pages count.
    resuming: bool,
    inbox: Vec<u8>,
    pub outbox: Vec<u8>,
}

/// What a new connection is to be.
#[derive(Debug, Clone)]
pub struct Wish {
    pub room: usize,
    /// The bytes that open it.
    pub request: Vec<u8>,
    /// The last change that it has seen, when it comes back.
    pub after: Option<u64>,
    /// What had been said in its room up to there.
    pub since: Mark,
    pub stuck: bool,
}

impl Connection {
    /// Begins to connect; `number` picks the address that it comes from.
    pub fn begin(address: SocketAddr, number: usize, wish: Wish, now: u64) -> Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        let host = u8::try_from(2 + number % SOURCES)?;
        bind(&fd, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0))?;
        set_tcp_nodelay(&fd, true)?;
        if wish.stuck {
            set_socket_recv_buffer_size(&fd, STUCK_BUFFER)?;
        }
        match connect(&fd, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(err) => return Err(format!("connecting: {err}").into()),
        }
        Ok(Self {
            fd,
            room: wish.room,
            state: State::Upgrading,
            stuck: wish.stuck,
            track: Track::new(wish.after.unwrap_or(0), wish.since),
            began: now,
            resuming: wish.after.is_some(),
            inbox: Vec::new(),
            outbox: wish.request,
        })
    }

    /// Writes what waits; whether all of it is out.
    pub fn flush(&mut self) -> Result<bool> {
        while !self.outbox.is_empty() {
            match send(&self.fd, &self.outbox, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.outbox.drain(..sent)),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(err) => return Err(format!("writing to a socket: {err}").into()),
            }
        }
        Ok(true)
    }

    /// Reads once, and takes what is whole. `number` is its own among the tally's.
    pub fn read(
        &mut self,
        number: usize,
        buffer: &mut [u8],
        scanner: &Scanner,
        clock: impl Fn() -> u64,
        tally: &mut Tally,
    ) -> Result<()> {
        let length = match recv(&self.fd, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err("the server hung up".into()),
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(err) => return Err(format!("reading from a socket: {err}").into()),
        };
        let now = clock();
        if self.inbox.is_empty() {
            let taken = self.take(number, &buffer[..length], scanner, now, tally)?;
            self.inbox.extend_from_slice(&buffer[taken..length]);
        } else {
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.extend_from_slice(&buffer[..length]);
            let taken = self.take(number, &inbox, scanner, now, tally)?;
            inbox.drain(..taken);
            self.inbox = inbox;
        }
        Ok(())
    }

    /// Takes all whole frames; returns how many bytes they were.
    fn take(
        &mut self,
        number: usize,
        bytes: &[u8],
        scanner: &Scanner,
        now: u64,
        tally: &mut Tally,
    ) -> Result<usize> {
        let mut taken = 0;
        if self.state == State::Upgrading {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                let answer = String::from_utf8_lossy(&bytes[..end]);
                return Err(format!("the upgrade was refused: {answer}").into());
            }
            self.state = State::Opening;
            taken = end + 4;
        }
        while let Some(frame) = wire::frame(&bytes[taken..]) {
            taken += frame.length;
            match frame.kind {
                wire::TEXT => {
                    let before = tally.deliveries;
                    self.text(number, frame.payload, scanner, now, tally)?;
                    if tally.deliveries > before {
                        tally.bytes += frame.length as u64;
                    }
                }
                wire::PING => {
                    wire::put(&mut self.outbox, wire::PONG, frame.payload, true);
                    self.flush()?;
                }
                wire::PONG => {}
                wire::CLOSE => {
                    let code = frame.payload.get(..2).and_then(|code| code.try_into().ok());
                    let code = code.map_or(1005, u16::from_be_bytes);
                    return Err(format!("the server closed a socket with code {code}").into());
                }
                kind => return Err(format!("a frame that begins with {kind:#x}").into()),
            }
        }
        Ok(taken)
    }

    fn text(
        &mut self,
        number: usize,
        payload: &[u8],
        scanner: &Scanner,
        now: u64,
        tally: &mut Tally,
    ) -> Result<()> {
        let strange = || -> Box<dyn std::error::Error> {
            let text = String::from_utf8_lossy(&payload[..payload.len().min(300)]);
            format!("a frame that says {text}").into()
        };
        let rest = payload.strip_prefix(br#"{"type":""#).ok_or_else(strange)?;
        if rest.starts_with(b"chat_message\"") {
            let (said, _) = scanner.said(payload).ok_or_else(strange)?;
            if self.track.take(said, &mut tally.faults) {
                tally.deliveries += 1;
                tally.latency.record(now.saturating_sub(said.due));
            }
        } else if rest.starts_with(b"ack\"") {
            let seq = scanner.seq(payload).ok_or_else(strange)?;
            if seq > self.track.last && !self.stuck {
                tally.faults.disordered += 1;
            }
            tally.acks += 1;
            tally.acked.push(number);
        } else if rest.starts_with(b"message_history\"") {
            self.page(payload, scanner, now, tally)
                .ok_or_else(strange)?;
        } else {
            return Err(strange());
        }
        Ok(())
    }

    fn page(
        &mut self,
        payload: &[u8],
        scanner: &Scanner,
        now: u64,
        tally: &mut Tally,
    ) -> Option<()> {
        if self.state == State::Open {
            // Nobody asked for it, and it could hide what is missing.
            return None;
        }
        let last = scanner.last_seq(payload)?;
        if self.resuming {
            let mut rest = payload;
            while let Some((said, behind)) = scanner.said(rest) {
                if self.track.take(said, &mut tally.faults) {
                    tally.deliveries += 1;
                }
                rest = behind;
            }
        } else {
            self.track.last = last;
        }
        let done = !self.resuming || !scanner.has_more(payload);
        if done && self.state == State::Opening {
            self.state = State::Open;
            tally.opened += 1;
            if self.resuming {
                tally.latency.record(now.saturating_sub(self.began));
            }
        }
        Some(())
    }
}
