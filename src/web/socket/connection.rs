//! The task of one connection: reads what the client sends, catches up, and ends it.
//!
//! Most of the time it waits, and holds little: bytes are read into a buffer that all connections
//! of a thread share, and what takes memory to do is in a box of its own while it is done.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use super::close::Close;
use super::codec::{self, Decoder, Incoming};
use super::line::{Ending, Line, Turn};
use super::session::Session;

/// How long the client may take to take what was written before the last frame.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// How long the client may take to answer a close frame, and to hang up.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Most bytes that are read at once. Frames are small; large ones come in pieces.
const READ: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// A client's bytes, and the messages in them.
pub struct Reader {
    stream: OwnedReadHalf,
    decoder: Decoder,
    inbox: VecDeque<Incoming>,
    /// The first thing that was not as RFC 6455 has it, after what is in the inbox.
    mistake: Option<Close>,
}

/// What the task does next.
enum Next {
    Turn(Turn),
    Incoming(Incoming),
    Ending(Ending),
}

impl Reader {
    /// Of a stream of which these bytes have been read already.
    pub fn new(stream: OwnedReadHalf) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            inbox: VecDeque::new(),
            mistake: None,
        }
    }

    /// Takes bytes that were read with the request.
    pub fn feed(&mut self, bytes: &[u8]) {
        let fed = self.decoder.feed(&mut bytes.to_vec(), &mut self.inbox);
        self.mistake = fed.err();
    }

    /// Reads what there is; `false` at the end of the stream. After a mistake it says nothing.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    let fed = self.decoder.feed(read.filled_mut(), &mut self.inbox);
                    self.mistake = self.mistake.or(fed.err());
                    Poll::Ready(true)
                }
                Poll::Ready(_) => Poll::Ready(false),
            }
        })
    }

    /// The next message.
    fn take(&mut self) -> Option<Incoming> {
        let incoming = self.inbox.pop_front()?;
        if self.inbox.is_empty() {
            // An idle connection holds no memory for this.
            self.inbox = VecDeque::new();
        }
        Some(incoming)
    }

    /// Reads until the client hangs up, and notes whether it closed; what else it says is not heard
    /// any more. Unread bytes would make the system reset the connection, and the client lose what
    /// was written last.
    async fn drain(&mut self, closed: &mut bool) {
        while self.drain_some(closed).await {}
    }

    async fn drain_some(&mut self, closed: &mut bool) -> bool {
        let mut inbox = self.inbox.drain(..);
        *closed |= inbox.any(|i| matches!(i, Incoming::Close(_)));
        drop(inbox);
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// The same until the client has closed.
    async fn wait_for_close(&mut self, closed: &mut bool) {
        while !*closed && self.drain_some(closed).await {}
    }
}

/// Serves a connection to its end; returns the close code.
pub async fn run(mut reader: Reader, line: Arc<Line>, mut session: Session) -> u16 {
    let ending = serve(&mut reader, &line, &mut session).await;
    let silently = session.leaves_silently();
    // The session stays until all is written: what it loses meanwhile is not written any more.
    let code = Box::pin(finish(reader, &line, ending, silently)).await;
    drop(session);
    code
}

/// Ends a connection that was never served.
pub async fn refuse(reader: Reader, line: &Line, close: Close) -> u16 {
    finish(reader, line, Ending::Close(close), false).await
}

async fn serve(reader: &mut Reader, line: &Line, session: &mut Session) -> Ending {
    loop {
        match poll_fn(|cx| poll_next(reader, line, cx)).await {
            Next::Ending(ending) => line.end(ending),
            Next::Incoming(Incoming::Close(code)) => line.end(Ending::Closed(code)),
            Next::Incoming(Incoming::Text(text)) => Box::pin(session.text(&text)).await,
            Next::Incoming(Incoming::Binary) => session.binary(),
            Next::Incoming(Incoming::Ping(payload)) => session.ping(&payload),
            Next::Incoming(Incoming::Pong) => {}
            Next::Turn(Turn::End(ending)) => return ending,
            Next::Turn(Turn::Gained(room)) => Box::pin(session.gain(room)).await,
            Next::Turn(Turn::Lost(room)) => Box::pin(session.lose(room)).await,
            Next::Turn(Turn::Read(_) | Turn::Step) => {
                Box::pin(session.step()).await;
                // A page may have been at hand: others have their turn all the same.
                tokio::task::yield_now().await;
            }
        }
        tokio::task::consume_budget().await;
    }
}

fn poll_next(reader: &mut Reader, line: &Line, cx: &mut Context<'_>) -> Poll<Next> {
    loop {
        let or_step = match line.poll_turn(cx) {
            Poll::Ready(Turn::Read(or_step)) => or_step,
            turn => return turn.map(Next::Turn),
        };
        // One at a time, since each may leave no room for another.
        if let Some(incoming) = reader.take() {
            return Poll::Ready(Next::Incoming(incoming));
        }
        if let Some(mistake) = reader.mistake {
            return Poll::Ready(Next::Ending(Ending::Close(mistake)));
        }
        match reader.poll_read(cx) {
            Poll::Ready(true) => line.heard(),
            Poll::Ready(false) => return Poll::Ready(Next::Ending(Ending::Gone)),
            Poll::Pending if or_step => return Poll::Ready(Next::Turn(Turn::Step)),
            Poll::Pending => return Poll::Pending,
        }
    }
}

async fn finish(mut reader: Reader, line: &Line, ending: Ending, silently: bool) -> u16 {
    let (code, frame, mut closed) = match ending {
        Ending::Gone => return 1006,
        Ending::Cut(close) => return close.code().0,
        // The client's code is echoed (RFC 6455, 5.5.1).
        Ending::Closed(Some(code)) => (code, Some(codec::close(code, "")), true),
        Ending::Closed(None) => (1005, Some(codec::close_without_code()), true),
        Ending::Close(close) => {
            let (code, reason) = close.code();
            let silently = silently && close == Close::GoingAway;
            let frame: Option<Bytes> = (!silently).then(|| codec::close(code, reason));
            (code, frame, silently)
        }
    };
    line.say_goodbye(frame.as_ref());
    // Whoever does not keep to RFC 6455 will not answer by it.
    closed |= reader.mistake.is_some();
    let flushed = timeout(FLUSH_WITHIN, poll_fn(|cx| line.poll_flush(cx)));
    let mut flushed = pin!(flushed);
    // A client that is still sending may not read before it has: what it sends is taken meanwhile.
    tokio::select! {
        _ = &mut flushed => {}
        () = reader.drain(&mut closed) => {
            let _ = flushed.await;
        }
    }
    let _ = timeout(CLOSE_WITHIN, reader.wait_for_close(&mut closed)).await;
    line.shut_down();
    let _ = timeout(CLOSE_WITHIN, reader.drain(&mut closed)).await;
    code
}
