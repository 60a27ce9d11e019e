//! How many connections there is room for, and what becomes of those beyond.

use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use poem::http::{HeaderValue, StatusCode, header};
use poem::{Request, Response};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::web::App;
use crate::web::identity::Tokens;
use crate::web::rest::refusal;

/// Connections beyond the cap that are served, one request each, in case an operator sends it.
const OPERATORS: usize = 32;
/// Connections beyond those that are being told so at one time.
const DOORSTEP: usize = 32;
/// Files that stay free for all else: the listener, the runtime, the log (about 15 of them), six
/// connections to SQLite with three files each, a copy of the database at an upgrade.
const FILES: usize = 64;
/// No limit of open files makes the cap smaller than this.
const LEAST: usize = 16;
/// Nor does it make it larger than this, which is some 400 MB of idle sockets; whoever wants more
/// says so.
const MOST: usize = 100_000;
/// How long a client on the doorstep may take to read its answer and hang up.
const DOORSTEP_TIME: Duration = Duration::from_secs(1);
/// What a client that found no room is to wait, in seconds. Sooner nothing is likely to be free,
/// and much later is long for a person.
const RETRY_AFTER: u64 = 5;
/// While there is no room, the log says so this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

const CODE: &str = "too_many_connections";
const TEXT: &str = "The server has no room for another connection. Try again in a moment.";

/// A place among the connections. It is taken until every clone of it is dropped, so whoever keeps
/// a connection open keeps one.
#[derive(Debug, Clone)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
    kept: bool,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, kept: bool) -> Self {
        Self {
            _permit: permit.into(),
            kept,
        }
    }

    /// Whether it is one of those beyond the cap, which are kept for operators.
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

/// What there is for a connection that was accepted.
#[derive(Debug)]
pub enum Admission {
    /// It is served.
    In(Place),
    /// It is told that there is no room; see [`turn_away`].
    Doorstep(OwnedSemaphorePermit),
    /// The same, without waiting for it to listen; see [`dismiss`].
    Out,
}

/// The places.
#[derive(Debug)]
pub struct Room {
    cap: usize,
    places: Arc<Semaphore>,
    kept: Arc<Semaphore>,
    doorstep: Arc<Semaphore>,
    told: Option<Instant>,
}

impl Room {
    /// As many places as are configured, or as the limit of open files leaves.
    pub fn new(config: &Config) -> Self {
        let room = most(config.database.max_connections);
        let asked = config.server.max_connections.map(NonZeroU32::get);
        let cap = asked.map_or(room, |asked| usize::try_from(asked).unwrap_or(room));
        if cap > room {
            tracing::warn!(
                "server.max_connections is {cap}, but the limit of open files (ulimit -n) has room \
                 for {room}: the server may run out of them"
            );
        }
        // More than that nobody can count, or have open.
        let cap = cap.min(Semaphore::MAX_PERMITS);
        Self {
            cap,
            places: Semaphore::new(cap).into(),
            kept: Semaphore::new(OPERATORS).into(),
            doorstep: Semaphore::new(DOORSTEP).into(),
            told: None,
        }
    }

    /// Finds something for a connection. Nobody is left in the system's queue to wait for room: an
    /// operator who comes last would wait behind all the others.
    pub fn admit(&mut self) -> Admission {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Admission::In(Place::new(permit, false));
        }
        self.tell();
        if let Ok(permit) = self.kept.clone().try_acquire_owned() {
            return Admission::In(Place::new(permit, true));
        }
        let doorstep = self.doorstep.clone().try_acquire_owned();
        doorstep.map_or(Admission::Out, Admission::Doorstep)
    }

    fn tell(&mut self) {
        if self.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            self.told = Some(Instant::now());
            let cap = self.cap;
            tracing::warn!(
                "all {cap} connections are taken; only operators are let in (server.max_connections)"
            );
        }
    }
}

/// How many connections the limit of open files leaves room for, beside everything else.
fn most(database: u32) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let database = usize::try_from(database).unwrap_or(usize::MAX);
    let rest = (FILES + OPERATORS + DOORSTEP).saturating_add(database);
    limit.map_or(MOST, |limit| limit.saturating_sub(rest).clamp(LEAST, MOST))
}

/// What a request is refused with that came in by a place kept for operators and is not one's own.
/// Sockets always are: they would keep the place.
pub async fn refuse(app: &App, request: &Request, path: &str) -> Option<Response> {
    if !request.data::<Place>().is_some_and(Place::is_kept) {
        return None;
    }
    let admin = path == "/admin" || path.starts_with("/admin/");
    let socket = path == "/ws" || path.starts_with("/ws/");
    if !socket && (admin || is_superusers(app, request).await) {
        return None;
    }
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, CODE, TEXT);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
    Some(response)
}

async fn is_superusers(app: &App, request: &Request) -> bool {
    match Tokens::of(request.headers()).access() {
        Some(token) => {
            let who = app.chat.authenticate(token).await;
            who.is_ok_and(|who| who.user.is_superuser)
        }
        None => false,
    }
}

/// Tells a client that there is no room, whatever it asks for, and hangs up.
///
/// What it has sent is read and forgotten: a socket that is closed before that resets the
/// connection, and the client might never see the answer (RFC 9112, 9.6).
pub async fn turn_away(mut stream: TcpStream) {
    let told = async {
        stream.write_all(no_room().as_bytes()).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    };
    // Whoever has gone, or does not hang up, needs no answer.
    let _ = timeout(DOORSTEP_TIME, told).await;
}

/// The same at once, with an answer that may be lost.
pub fn dismiss(stream: TcpStream) {
    // The runtime does not know yet that the stream takes something, the system does.
    let stream = stream.into_std();
    let _ = stream.and_then(|mut stream| stream.write(no_room().as_bytes()));
}

/// The answer that does without a request.
fn no_room() -> String {
    let body = format!(r#"{{"code":"{CODE}","detail":"{TEXT}","error":"{TEXT}"}}"#);
    let length = body.len();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\n\
         content-type: application/json; charset=utf-8\r\n\
         content-length: {length}\r\n\
         cache-control: no-store\r\n\
         retry-after: {RETRY_AFTER}\r\n\
         connection: close\r\n\r\n{body}"
    )
}
