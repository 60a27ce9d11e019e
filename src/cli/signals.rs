//! SIGINT and SIGTERM: what was under way is dropped, or, in `serve`, finished.

use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::{Error, Exit, Result};

/// The signals that ask a program to end.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens; from here on these signals do not end the process by themselves.
    pub fn listen() -> Result<Self> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Exit::Failed.saying(format!("cannot listen for signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let heard = tokio::select! {
            heard = self.interrupt.recv() => heard,
            heard = self.terminate.recv() => heard,
        };
        if heard.is_none() {
            pending::<()>().await;
        }
    }

    /// Does the work, unless a signal comes first: then the work is dropped where it waits.
    pub async fn unless<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            () = self.next() => Err(Error::Cancelled),
        }
    }
}
