//! The task of one connection: reads what the client sends, catches up, and ends it.
//!
//! Most of the time it waits, and holds little: bytes are read into a buffer that all connections
//! of a thread share, and what takes memory to do is in a box of its own while it is done.

use std::cell::RefCell;
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
    inbox: Vec<Incoming>,
}

/// What the task does next.
enum Next {
    Turn(Turn),
    /// Messages may have come in, and the reason to end, if there is one.
    Read(Option<Ending>),
}

impl Reader {
    /// Of a stream of which these bytes have been read already.
    pub fn new(stream: OwnedReadHalf) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            inbox: Vec::new(),
        }
    }

    /// Takes bytes that were read with the request.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Close> {
        self.decoder.feed(&mut bytes.to_vec(), &mut self.inbox)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ending>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(_)) => Poll::Ready(Some(Ending::Gone)),
                Poll::Ready(Ok(())) if read.filled().is_empty() => Poll::Ready(Some(Ending::Gone)),
                Poll::Ready(Ok(())) => {
                    let fed = self.decoder.feed(read.filled_mut(), &mut self.inbox);
                    Poll::Ready(fed.err().map(Ending::Close))
                }
            }
        })
    }

    /// Reads until the client hangs up, or closes; what else it says is not heard any more. Unread
    /// bytes would make the system reset the connection, and the client lose what was written last.
    async fn drain(&mut self, closed: &mut bool) {
        while !*closed {
            if poll_fn(|cx| self.poll_read(cx)).await == Some(Ending::Gone) {
                return;
            }
            let mut inbox = self.inbox.drain(..);
            *closed = inbox.any(|i| matches!(i, Incoming::Close(_)));
        }
    }
}

/// Serves a connection to its end; returns the close code.
pub async fn run(mut reader: Reader, line: Arc<Line>, mut session: Session) -> u16 {
    let ending = serve(&mut reader, &line, &mut session).await;
    let silently = session.leaves_silently();
    drop(session);
    finish(reader, &line, ending, silently).await
}

/// Ends a connection that was never served.
pub async fn refuse(reader: Reader, line: &Line, close: Close) -> u16 {
    finish(reader, line, Ending::Close(close), false).await
}

async fn serve(reader: &mut Reader, line: &Arc<Line>, session: &mut Session) -> Ending {
    let mut over = None;
    loop {
        // What came with the request is first.
        if !reader.inbox.is_empty() || over.is_some() {
            let inbox = std::mem::take(&mut reader.inbox);
            if let Some(closed) = Box::pin(take(inbox, line, session)).await {
                over.get_or_insert(closed);
            }
            if let Some(ending) = over {
                line.end(ending);
            }
        }
        match poll_fn(|cx| poll_next(reader, line, cx)).await {
            Next::Read(ending) => over = ending,
            Next::Turn(Turn::End(ending)) => return ending,
            Next::Turn(Turn::Gained(room)) => Box::pin(session.gain(room)).await,
            Next::Turn(Turn::Lost(room)) => Box::pin(session.lose(room)).await,
            Next::Turn(Turn::Read(_) | Turn::Step) => {
                Box::pin(session.step()).await;
                // A page may have been at hand: others have their turn all the same.
                tokio::task::yield_now().await;
            }
        }
    }
}

fn poll_next(reader: &mut Reader, line: &Line, cx: &mut Context<'_>) -> Poll<Next> {
    match line.poll_turn(cx) {
        Poll::Ready(Turn::Read(or_step)) => match reader.poll_read(cx) {
            Poll::Ready(ending) => {
                line.heard();
                Poll::Ready(Next::Read(ending))
            }
            Poll::Pending if or_step => Poll::Ready(Next::Turn(Turn::Step)),
            Poll::Pending => Poll::Pending,
        },
        turn => turn.map(Next::Turn),
    }
}

/// Does what the client asks for; the end, if it asks for that.
async fn take(inbox: Vec<Incoming>, line: &Line, session: &mut Session) -> Option<Ending> {
    for incoming in inbox {
        if line.is_over() {
            return None;
        }
        match incoming {
            Incoming::Text(text) => session.text(&text).await,
            Incoming::Binary => session.binary(),
            Incoming::Ping(payload) => line.send(&codec::pong(&payload)),
            Incoming::Pong => {}
            Incoming::Close(code) => return Some(Ending::Closed(code)),
        }
    }
    None
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
    let goodbye = async {
        // A client that is still sending may not read before it has: what it sends is taken.
        let flushed = timeout(FLUSH_WITHIN, poll_fn(|cx| line.poll_flush(cx)));
        let mut flushed = pin!(flushed);
        tokio::select! {
            _ = &mut flushed => {}
            () = reader.drain(&mut closed) => {
                let _ = flushed.await;
            }
        }
        if closed {
            line.shut_down();
        }
        let _ = timeout(CLOSE_WITHIN, reader.drain(&mut closed)).await;
        line.shut_down();
    };
    Box::pin(goodbye).await;
    code
}
