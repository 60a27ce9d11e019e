//! The one loop that touches the socket: frames in, frames out, timers, and the end.
//!
//! Frames for the client are gathered in the socket's buffer and written in one go. While a write
//! waits, nothing more is read, taken from the hub or fetched from the store, so a slow reader
//! costs one buffer; the timers, and the reasons to end, go on. They wait only while the store is
//! asked for one page, or the journal for a place.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::Socket;
use super::close::Close;
use super::meter::Written;
use super::session::{Session, Turn};
use crate::chat::{Attachment, Error};
use crate::config::Sockets;
use crate::model::time::now;
use crate::model::{Event, Receipt};
use crate::web::App;

/// How long the client may take to answer a close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// How long to wait before reading the store again after it failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Messages of one client that may be under way to the disk.
const IN_FLIGHT: usize = 64;
/// Events that are gathered before they are written.
const GATHER: usize = 64;

type Settled = (Option<Value>, Result<Receipt, Error>);
type Done<T> = Result<T, tungstenite::Error>;

/// Why the loop ends.
enum Outcome {
    /// The server ends it with this code.
    Close(Close),
    /// The client closed, or is gone.
    Gone,
}

struct Connection<'a> {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    session: Session,
    attachment: Attachment,
    /// Messages that were handed in and not yet answered.
    in_flight: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// Frames that go into the next write. Until then they can be taken back.
    outbox: Vec<Bytes>,
    /// Since when a write waits, and how much had been written by then.
    writing: Option<(Instant, u64)>,
    written: Written,
    timing: Sockets,
    shutdown: &'a CancellationToken,
    heard_at: Instant,
    pinged: bool,
    retry_at: Option<Instant>,
}

/// Serves a connection to its end; returns the close code.
pub async fn run(
    socket: Socket,
    session: Session,
    attachment: Attachment,
    written: Written,
    app: &App,
) -> u16 {
    let (sink, stream) = socket.split();
    let mut connection = Connection {
        sink,
        stream,
        session,
        attachment,
        in_flight: FuturesUnordered::new(),
        outbox: Vec::new(),
        writing: None,
        written,
        timing: app.sockets,
        shutdown: &app.shutdown,
        heard_at: Instant::now(),
        pinged: false,
        retry_at: None,
    };
    match connection.serve().await {
        Ok(Outcome::Close(close)) => connection.end(close).await,
        Ok(Outcome::Gone) => {
            // Answers the client's close frame.
            let _ = timeout(CLOSE_WITHIN, connection.sink.flush()).await;
            1000
        }
        Err(error) => match close_for(&error) {
            Some(close) => connection.end(close).await,
            None => 1006,
        },
    }
}

/// Ends a connection that was never served.
pub async fn refuse(socket: Socket, close: Close) -> u16 {
    let (sink, stream) = socket.split();
    say_goodbye(sink, stream, close).await
}

/// Sends the close frame and waits a moment for the client's.
async fn say_goodbye(
    mut sink: SplitSink<Socket, Message>,
    mut stream: SplitStream<Socket>,
    close: Close,
) -> u16 {
    let (code, reason) = close.code();
    let frame = CloseFrame {
        code: CloseCode::from(code),
        reason: Utf8Bytes::from_static(reason),
    };
    let goodbye = async {
        sink.send(Message::Close(Some(frame))).await?;
        while let Some(Ok(frame)) = stream.next().await {
            if frame.is_close() {
                return Ok(());
            }
        }
        // A client that is still sending, of a frame too big say, would lose the close frame to
        // the reset that unread bytes cause. So they are read, by no protocol any more.
        if let Ok(socket) = sink.reunite(stream) {
            let mut rest = socket.into_inner();
            rest.shutdown().await?;
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        }
        Ok::<(), tungstenite::Error>(())
    };
    let _ = timeout(CLOSE_WITHIN, goodbye).await;
    code
}

/// The code with which to answer what the client did wrong; none if it is gone.
fn close_for(error: &tungstenite::Error) -> Option<Close> {
    use tungstenite::Error as E;
    use tungstenite::error::ProtocolError;
    match error {
        E::Capacity(_) => Some(Close::TooBig),
        E::Utf8(_) => Some(Close::NotUtf8),
        E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        E::Protocol(_) => Some(Close::Protocol),
        _ => None,
    }
}

impl Connection<'_> {
    async fn serve(&mut self) -> Done<Outcome> {
        loop {
            let end = *self.attachment.end.borrow();
            if let Some(end) = end {
                return Ok(Outcome::Close(end.into()));
            }
            if self.shutdown.is_cancelled() {
                return Ok(self.drain().await);
            }
            self.write().await?;
            let free = self.writing.is_none();
            let retrying = self.retry_at.is_some_and(|at| at > Instant::now());
            let stepping = free && self.session.is_behind() && !retrying;
            if stepping {
                let turn = self.session.step().await;
                if let Some(close) = self.stepped(turn) {
                    self.write().await?;
                    return Ok(Outcome::Close(close));
                }
            }
            let deadline = self.deadline();
            let reading = free && self.in_flight.len() < IN_FLIGHT;
            // In no fixed order: a room that never pauses must not keep its listeners from speaking.
            let close = tokio::select! {
                // These two are looked at above.
                () = self.shutdown.cancelled() => None,
                _ = self.attachment.end.changed() => None,
                () = sleep_until(deadline) => match self.on_time().await? {
                    Some(outcome) => return Ok(outcome),
                    None => None,
                },
                flushed = self.sink.flush(), if !free => {
                    flushed?;
                    self.writing = None;
                    None
                }
                Some((reference, receipt)) = self.in_flight.next(), if free => {
                    let turn = self.session.settled(reference.as_ref(), receipt);
                    self.apply(turn)
                }
                event = self.attachment.events.recv(), if free => self.on_event(event),
                frame = self.stream.next(), if reading => match frame {
                    None | Some(Ok(Message::Close(_))) => return Ok(Outcome::Gone),
                    Some(frame) => self.on_frame(frame?).await,
                },
                // Between two steps of catching up all the others have their turn, but are not
                // waited for.
                () = std::future::ready(()), if stepping => None,
            };
            if let Some(close) = close {
                self.write().await?;
                return Ok(Outcome::Close(close));
            }
        }
    }

    /// Writes the outbox. What the client's system does not take at once waits in the buffer, and
    /// the loop goes on meanwhile.
    async fn write(&mut self) -> Done<()> {
        if self.writing.is_some() || self.outbox.is_empty() {
            return Ok(());
        }
        for frame in self.outbox.drain(..) {
            let text =
                Utf8Bytes::try_from(frame).map_err(|e| tungstenite::Error::Utf8(e.to_string()))?;
            // The buffer is larger than any outbox, so this does not wait.
            self.sink.feed(Message::Text(text)).await?;
        }
        self.flush_now()
    }

    fn flush_now(&mut self) -> Done<()> {
        if let Some(flushed) = self.sink.flush().now_or_never() {
            return flushed;
        }
        let written = self.written.bytes();
        self.writing.get_or_insert((Instant::now(), written));
        Ok(())
    }

    fn on_event(&mut self, first: Result<Arc<Event>, RecvError>) -> Option<Close> {
        match first {
            Ok(event) => {
                let turn = self.session.event(&event);
                self.apply(turn);
            }
            Err(RecvError::Lagged(_)) => self.session.lagged(),
            Err(RecvError::Closed) => return Some(Close::Internal),
        }
        // What else is waiting goes into the same write.
        for _ in 0..GATHER {
            match self.attachment.events.try_recv() {
                Ok(event) => {
                    let turn = self.session.event(&event);
                    self.apply(turn);
                }
                Err(TryRecvError::Lagged(_)) => self.session.lagged(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        None
    }

    async fn on_frame(&mut self, frame: Message) -> Option<Close> {
        self.heard_at = Instant::now();
        self.pinged = false;
        let turn = match frame {
            Message::Text(text) => self.session.text(&text).await,
            Message::Binary(_) => self.session.binary(),
            // The library has put the pong into the buffer. If it cannot be written, the next
            // write says why.
            Message::Ping(_) => {
                let _ = self.flush_now();
                return None;
            }
            Message::Pong(_) | Message::Frame(_) | Message::Close(_) => return None,
        };
        self.apply(turn)
    }

    fn stepped(&mut self, turn: Result<Turn, Error>) -> Option<Close> {
        match turn {
            Ok(turn) => {
                self.retry_at = None;
                self.apply(turn)
            }
            Err(Error::Unavailable) => {
                self.retry_at = Some(Instant::now() + RETRY_AFTER);
                None
            }
            Err(error) => Some(Close::of(&error)),
        }
    }

    fn apply(&mut self, turn: Turn) -> Option<Close> {
        self.outbox.extend(turn.out);
        if let Some((reference, pending)) = turn.pending {
            let settled = async move { (reference, pending.receipt().await) };
            self.in_flight.push(settled.boxed());
        }
        turn.close
    }

    /// When to look at the clock next.
    fn deadline(&self) -> Instant {
        let left = self.session.who().expires_at - now();
        let expiry = Instant::now() + left.to_std().unwrap_or_default();
        let silence = if self.pinged {
            self.timing.ping_interval + self.timing.ping_timeout
        } else {
            self.timing.ping_interval
        };
        let mut deadline = expiry.min(self.heard_at + silence);
        if let Some((since, _)) = self.writing {
            deadline = deadline.min(since + self.timing.stall_timeout);
        }
        // A write that waits comes before the store.
        let retrying = self.session.is_behind() && self.writing.is_none();
        if let Some(retry_at) = self.retry_at.filter(|_| retrying) {
            deadline = deadline.min(retry_at);
        }
        deadline
    }

    async fn on_time(&mut self) -> Done<Option<Outcome>> {
        if self.session.who().expires_at <= now() {
            return Ok(Some(Outcome::Close(Close::TokenExpired)));
        }
        if let Some((since, before)) = self.writing {
            let written = self.written.bytes();
            if written > before {
                self.writing = Some((Instant::now(), written));
            } else if since.elapsed() >= self.timing.stall_timeout {
                return Ok(Some(Outcome::Close(Close::Stalled)));
            }
            // Nothing is read meanwhile, so silence says nothing.
            self.heard_at = Instant::now();
        }
        let silent = self.heard_at.elapsed();
        if self.pinged && silent >= self.timing.ping_interval + self.timing.ping_timeout {
            return Ok(Some(Outcome::Gone));
        }
        if !self.pinged && silent >= self.timing.ping_interval {
            self.sink.feed(Message::Ping(Bytes::new())).await?;
            self.flush_now()?;
            self.pinged = true;
        }
        Ok(None)
    }

    /// The server is going away: what was handed in is answered first.
    async fn drain(&mut self) -> Outcome {
        while let Some((reference, receipt)) = self.in_flight.next().await {
            let turn = self.session.settled(reference.as_ref(), receipt);
            self.apply(turn);
        }
        // The journal told the hub before it answered, so the messages themselves are here too.
        while let Ok(event) = self.attachment.events.try_recv() {
            let turn = self.session.event(&event);
            self.apply(turn);
        }
        let _ = self.write().await;
        Outcome::Close(Close::GoingAway)
    }

    async fn end(mut self, close: Close) -> u16 {
        let (code, _) = close.code();
        if self.writing.is_some() && close.is_revocation() {
            // What waits in the buffer is no longer for this client. It is cut off, and learns
            // why when it comes back.
            return code;
        }
        if close == Close::GoingAway && self.session.leaves_silently() {
            let _ = timeout(CLOSE_WITHIN, self.sink.flush()).await;
            return code;
        }
        say_goodbye(self.sink, self.stream, close).await
    }
}
