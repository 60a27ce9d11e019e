//! Writing to the socket: by whoever finds nobody writing, and without waiting.

use std::io::{self, ErrorKind};
use std::sync::MutexGuard;

use bytes::Bytes;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::time::Instant;

use super::{Ending, Line, Queue, State};
use crate::model::RoomId;

impl Line {
    /// Writes `next`, which may tell of a room, if nothing waits before it, and what waits, as far
    /// as it goes now. `since` is when it last went on, if the line was stuck.
    pub(super) fn write<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut next: Option<(Option<RoomId>, &Bytes)>,
        since: Option<Instant>,
    ) {
        let busy = state.writing || state.stuck.is_some();
        if (busy || !state.queue.is_empty())
            && let Some((room, next)) = next.take()
        {
            state.queue.push(room, next.clone());
        }
        if busy {
            return;
        }
        state.writing = true;
        let mut went_on = since.is_none();
        let mut taken;
        loop {
            let piece = if let Some((_, next)) = next.take() {
                next
            } else if let Some(piece) = state.queue.take() {
                taken = piece;
                &taken
            } else {
                break;
            };
            drop(state);
            let wrote = self.try_write(piece);
            state = self.state();
            match wrote {
                Ok(n) if n == piece.len() => {
                    went_on = true;
                    state.doubt = None;
                }
                Ok(_) | Err(_) if state.doubt.is_some() => {
                    let close = state.doubt.take();
                    state.queue = Queue::default();
                    state.end = close.map(Ending::Cut);
                    break;
                }
                Ok(n) => {
                    went_on = true;
                    state.queue.put_back(piece.slice(n..));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    state.queue.put_back(piece.clone());
                    let now = Instant::now();
                    state.stuck = Some(since.filter(|_| !went_on).unwrap_or(now));
                    break;
                }
                Err(_) => {
                    state.queue = Queue::default();
                    state.end(Ending::Gone);
                    break;
                }
            }
        }
        state.writing = false;
        self.waker_if(state.stuck.is_some() || state.end.is_some());
    }

    /// Writes what the client's system takes at once. The system is asked without looking first
    /// whether tokio thinks that it is ready, which it nearly always is; tokio has to know only when
    /// it is not.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.stream.as_ref();
        let send = || retry_on_intr(|| rustix::net::send(stream, bytes, SendFlags::NOSIGNAL));
        match send() {
            Err(Errno::AGAIN) => stream.try_io(Interest::WRITABLE, || Ok(send()?)),
            wrote => Ok(wrote?),
        }
    }
}
