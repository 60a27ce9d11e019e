//! Requests: each kept-alive connection sends the next one when it has the answer to the last.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use crate::Result;
use crate::fleet::nanos;
use crate::histogram::Histogram;
use crate::plan::{Outcome, Plan};
use crate::usage;
use crate::wire;

/// One connection and the request that is under way on it.
struct Caller {
    fd: OwnedFd,
    asked: Instant,
    inbox: Vec<u8>,
}

/// Makes requests for so long. `deliveries` of the outcome are the answers, all of them 200 or 201.
pub fn run(plan: &Plan, connections: usize, seconds: f64, sends: bool) -> Result<Outcome> {
    let requests = Requests { plan, sends };
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut callers = Vec::with_capacity(connections);
    for number in 0..connections {
        let caller = Caller::dial(plan.address)?;
        let flag = epoll::EventFlags::IN;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&epoll, &caller.fd, data, flag)?;
        callers.push(caller);
    }
    let mut latency = Histogram::new();
    let before = [
        usage::cpu(plan.pid)?,
        usage::cpu(process::id())?,
        usage::all_cpu()?,
    ];
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(seconds);
    let mut asked = 0;
    for caller in &mut callers {
        asked += 1;
        caller.ask(&requests.next(asked))?;
    }
    let mut answered: u64 = 0;
    let mut events = Vec::with_capacity(connections);
    let mut buffer = vec![0; 64 * 1024];
    let mut waiting = connections;
    while waiting > 0 {
        events.clear();
        let timeout = Timespec::try_from(Duration::from_secs(30))?;
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&timeout))?;
        if events.is_empty() {
            return Err(format!("{waiting} requests have no answer after 30 s").into());
        }
        for event in &events {
            let caller = &mut callers[usize::try_from(event.data.u64())?];
            if !caller.hears(&mut buffer)? {
                continue;
            }
            latency.record(nanos(caller.asked.elapsed()));
            answered += 1;
            if Instant::now() < end {
                asked += 1;
                caller.ask(&requests.next(asked))?;
            } else {
                waiting -= 1;
            }
        }
    }
    let after = [
        usage::cpu(plan.pid)?,
        usage::cpu(process::id())?,
        usage::all_cpu()?,
    ];
    let [cpu, own_cpu, all_cpu] = [0, 1, 2].map(|which| after[which] - before[which]);
    Ok(Outcome {
        seconds: began.elapsed().as_secs_f64(),
        deliveries: answered,
        acks: if sends { answered } else { 0 },
        cpu,
        own_cpu,
        others_cpu: (all_cpu - cpu - own_cpu).max(0.0),
        latency: latency.percentiles(),
        checked: answered,
        said: vec![answered; usize::from(sends)],
        ..Outcome::default()
    })
}

struct Requests<'a> {
    plan: &'a Plan,
    sends: bool,
}

impl Requests<'_> {
    fn next(&self, number: u64) -> Vec<u8> {
        let Plan { rooms, tokens, .. } = self.plan;
        let head = format!(
            "Host: {}\r\nAuthorization: Bearer {}\r\n",
            self.plan.address, tokens[0]
        );
        if self.sends {
            let text = wire::text(number, 0, self.plan.length);
            let body = format!(r#"{{"message":"{text}"}}"#);
            format!(
                "POST /messages/{}/send/ HTTP/1.1\r\n{head}Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                rooms[0],
                body.len()
            )
        } else {
            format!(
                "GET /messages/{}/?limit=50 HTTP/1.1\r\n{head}\r\n",
                rooms[0]
            )
        }
        .into_bytes()
    }
}

impl Caller {
    fn dial(address: SocketAddr) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        set_tcp_nodelay(&fd, true)?;
        connect(&fd, &address)?;
        Ok(Self {
            fd,
            asked: Instant::now(),
            inbox: Vec::new(),
        })
    }

    /// The connection blocks: a request fits into its buffer.
    fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.asked = Instant::now();
        let mut rest = request;
        while !rest.is_empty() {
            let sent = send(&self.fd, rest, SendFlags::NOSIGNAL)?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Reads once; whether the answer is whole now.
    fn hears(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err("the server hung up".into()),
            Ok((length, _)) => self.inbox.extend_from_slice(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(err) => return Err(err.into()),
        }
        let Some(length) = length(&self.inbox)? else {
            return Ok(false);
        };
        if self.inbox.len() < length {
            return Ok(false);
        }
        if !self.inbox.starts_with(b"HTTP/1.1 20") {
            let answer = String::from_utf8_lossy(&self.inbox);
            return Err(format!("a request was refused: {answer}").into());
        }
        self.inbox.drain(..length);
        Ok(true)
    }
}

/// How long an answer will be, when its head is there.
fn length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let field = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let body: usize = field.ok_or("an answer without a length")?.trim().parse()?;
    Ok(Some(end + 4 + body))
}
