//! The bare broadcaster: what the server is compared with. One thread, epoll, and one `send` for
//! each delivery; it speaks as much of the protocol as the load generator hears, and stores nothing.
//!
//! A message comes as the same frame as from the server, with the same number of bytes, and goes to
//! every socket there is; then its sender has an ack. With `?after=` the last messages come in one
//! page.
//!
//! A faulty one loses a message, doubles one and swaps two, each for another socket, to see whether
//! the load generator notices.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, listen, recv, send};

use crate::Result;
use crate::wire::{self, Scanner};

/// Messages that are kept for those who come back.
const KEPT: usize = 64;
/// Sockets that wait to be accepted; the kernel cuts it to its own bound.
const BACKLOG: i32 = 4096;
/// What epoll says of the listener and of standard input, which are no clients.
const LISTENER: u64 = u64::MAX;
const INPUT: u64 = u64::MAX - 1;

/// As long as the real ones.
const ROOM: &str = "01932f6e-7a4b-7c8d-9e0f-1a2b3c4d5e6f";
const TIME: &str = "2026-11-22T09:13:53.435539+00:00";

/// One socket.
struct Client {
    fd: OwnedFd,
    upgraded: bool,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

struct Broadcaster {
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    /// Messages as they stand in a page.
    kept: Vec<(u64, String)>,
    seq: u64,
    faulty: bool,
    /// The last message, as a faulty one sends it too late.
    last: Vec<u8>,
    scanner: Scanner,
}

/// Listens on a free port, which it prints, until its standard input ends.
pub fn run(faulty: bool) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let input = io::stdin();
    epoll::add(
        &epoll,
        &listener,
        epoll::EventData::new_u64(LISTENER),
        epoll::EventFlags::IN,
    )?;
    epoll::add(
        &epoll,
        &input,
        epoll::EventData::new_u64(INPUT),
        epoll::EventFlags::IN,
    )?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    let mut broadcaster = Broadcaster {
        epoll,
        clients: Vec::new(),
        free: Vec::new(),
        kept: Vec::new(),
        seq: 0,
        faulty,
        last: Vec::new(),
        scanner: Scanner::new(),
    };
    let mut buffer = vec![0; 64 * 1024];
    let mut events = Vec::with_capacity(512);
    loop {
        events.clear();
        match epoll::wait(&broadcaster.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => broadcaster.accept(&listener)?,
                INPUT => return Ok(()),
                number => {
                    let number = usize::try_from(number)?;
                    broadcaster.serve(number, event.flags, &mut buffer)?;
                }
            }
        }
    }
}

impl Broadcaster {
    fn accept(&mut self, listener: impl AsFd) -> Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = match accept_with(&listener, flags) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(err) => return Err(err.into()),
            };
            set_tcp_nodelay(&fd, true)?;
            let number = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&self.epoll, &fd, data, epoll::EventFlags::IN)?;
            self.clients[number] = Some(Client {
                fd,
                upgraded: false,
                inbox: Vec::new(),
                outbox: Vec::new(),
            });
        }
    }

    fn serve(&mut self, number: usize, flags: epoll::EventFlags, buffer: &mut [u8]) -> Result<()> {
        let Some(client) = &mut self.clients[number] else {
            return Ok(());
        };
        if flags.contains(epoll::EventFlags::OUT) {
            let data = epoll::EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, &client.fd, data, epoll::EventFlags::IN)?;
            let waiting = std::mem::take(&mut client.outbox);
            self.write(number, &waiting)?;
        }
        if flags.difference(epoll::EventFlags::OUT).is_empty() {
            return Ok(());
        }
        let Some(client) = &mut self.clients[number] else {
            return Ok(());
        };
        let length = match recv(&client.fd, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Ok((0, _)) | Err(_) => {
                self.clients[number] = None;
                self.free.push(number);
                return Ok(());
            }
            Ok((length, _)) => length,
        };
        let mut inbox = std::mem::take(&mut client.inbox);
        inbox.extend_from_slice(&buffer[..length]);
        let upgraded = client.upgraded;
        let mut taken = 0;
        if !upgraded {
            let Some(end) = memchr::memmem::find(&inbox, b"\r\n\r\n") else {
                client.inbox = inbox;
                return Ok(());
            };
            client.upgraded = true;
            self.welcome(number, &inbox[..end])?;
            taken = end + 4;
        }
        while let Some(frame) = wire::frame(&inbox[taken..]) {
            taken += frame.length;
            if frame.kind == wire::TEXT {
                self.say(number, frame.payload)?;
            }
        }
        inbox.drain(..taken);
        if let (Some(client), false) = (&mut self.clients[number], inbox.is_empty()) {
            client.inbox = inbox;
        }
        Ok(())
    }

    /// Answers the upgrade, with the first page.
    fn welcome(&mut self, number: usize, head: &[u8]) -> Result<()> {
        let line = String::from_utf8_lossy(head);
        let after = line.split_once("after=").map_or("", |(_, rest)| rest);
        let after = after.split(' ').next().and_then(|seq| seq.parse().ok());
        let after: u64 = after.unwrap_or(self.seq);
        let missed = self.kept.iter().filter(|(seq, _)| *seq > after);
        let missed: Vec<&str> = missed.map(|(_, message)| message.as_str()).collect();
        let page = format!(
            r#"{{"type":"message_history","room_id":"{ROOM}","messages":[{}],"has_more":false,"last_id":{},"last_seq":{}}}"#,
            missed.join(","),
            self.seq,
            self.seq
        );
        let mut out = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            .to_vec();
        wire::put(&mut out, wire::TEXT, page.as_bytes(), false);
        self.write(number, &out)
    }

    /// Sends a message to everybody, and an ack to its sender.
    fn say(&mut self, sender: usize, payload: &[u8]) -> Result<()> {
        let text = self.scanner.text(payload).ok_or("a frame without a text")?;
        let text = str::from_utf8(text)?;
        let reference = self.scanner.reference(payload).unwrap_or(0);
        self.seq += 1;
        let seq = self.seq;
        let fields = format!(
            r#""id":{seq},"seq":{seq},"room_id":"{ROOM}","user":"bench0","username":"bench0","user_id":1,"message":"{text}","timestamp":"{TIME}","nonce":"{reference:012}"}}"#
        );
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push((seq, format!("{{{fields}")));
        let mut out = Vec::new();
        let frame = format!(r#"{{"type":"chat_message",{fields}"#);
        wire::put(&mut out, wire::TEXT, frame.as_bytes(), false);
        for number in 0..self.clients.len() {
            match (self.faulty, number, seq) {
                (true, 1, 5) | (true, 2, 7) => {}
                (true, 3, 6) => self.write(number, &out.repeat(2))?,
                (true, 2, 8) => self.write(number, &[&out[..], &self.last].concat())?,
                _ => self.write(number, &out)?,
            }
        }
        if self.faulty {
            self.last.clone_from(&out);
        }
        let ack = format!(
            r#"{{"type":"ack","ref":{reference},"id":{seq},"seq":{seq},"timestamp":"{TIME}","duplicate":false}}"#
        );
        out.clear();
        wire::put(&mut out, wire::TEXT, ack.as_bytes(), false);
        self.write(sender, &out)
    }

    /// Writes to one client what it takes, and keeps the rest for when it takes more.
    fn write(&mut self, number: usize, bytes: &[u8]) -> Result<()> {
        let Some(client) = self.clients[number].as_mut().filter(|c| c.upgraded) else {
            return Ok(());
        };
        let sent = if client.outbox.is_empty() {
            match send(&client.fd, bytes, SendFlags::NOSIGNAL) {
                Ok(sent) => sent,
                Err(Errno::AGAIN | Errno::INTR) => 0,
                // It is gone, which the next read says.
                Err(_) => return Ok(()),
            }
        } else {
            0
        };
        let waited = !client.outbox.is_empty();
        client.outbox.extend_from_slice(&bytes[sent..]);
        if sent == bytes.len() && !waited {
            return Ok(());
        }
        let both = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, &client.fd, data, both)?;
        Ok(())
    }
}
