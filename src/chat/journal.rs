//! The journal: the one way by which messages are stored.
//!
//! Senders hand their messages in and wait. Each lane takes whatever is waiting, stores it in one
//! transaction, tells the hub in order, and only then answers the senders: the busier it is, the
//! more messages share a transaction. A room always has the same lane, so its order is the order
//! of handing in. SQLite has one writer and thus one lane.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::{Error, Result};
use crate::bus::Hub;
use crate::model::time::now;
use crate::model::{Event, Receipt, RoomId, Signal};
use crate::store::{Appended, NewMessage, Store};

/// Most messages in a transaction. At 16 KiB each it writes 8 MiB.
const BATCH: usize = 512;
/// Messages that may wait in a lane; whoever comes later waits outside.
const WAITING: usize = 1024;
/// Lanes on a database that takes several writers.
const LANES: usize = 4;
/// How long a sender waits, for a place in the lane and for the disk together, before being told
/// to come back. The message may be stored all the same; its nonce finds it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Stores messages in the order they are handed in.
#[derive(Debug)]
pub struct Journal {
    lanes: Vec<mpsc::Sender<Entry>>,
}

#[derive(Debug)]
struct Entry {
    new: NewMessage,
    answer: oneshot::Sender<Result<Receipt>>,
}

/// A message that was handed in: its place in the order is fixed, its storing is under way.
#[derive(Debug)]
pub struct Pending {
    answer: oneshot::Receiver<Result<Receipt>>,
    until: Instant,
}

impl Pending {
    /// Waits until the message is on disk, or it is known that it was refused.
    pub async fn receipt(self) -> Result<Receipt> {
        match timeout_at(self.until, self.answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(Error::Unavailable),
        }
    }
}

impl Journal {
    /// Starts the lanes; told to stop, they store what was handed in and take no more.
    pub fn start(store: &Store, hub: &Hub, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let count = if store.is_shared() { LANES } else { 1 };
        let lanes = (0..count)
            .map(|_| {
                let (sender, receiver) = mpsc::channel(WAITING);
                tasks.spawn(run(store.clone(), hub.clone(), receiver, stop.clone()));
                sender
            })
            .collect();
        Self { lanes }
    }

    /// Hands a message in.
    pub async fn hand_in(&self, new: NewMessage) -> Result<Pending> {
        let (answer, pending) = oneshot::channel();
        let until = Instant::now() + PATIENCE;
        let lane = self.lane(new.room_id);
        match timeout_at(until, lane.send(Entry { new, answer })).await {
            Ok(Ok(())) => Ok(Pending {
                answer: pending,
                until,
            }),
            _ => Err(Error::Unavailable),
        }
    }

    fn lane(&self, room: RoomId) -> &mpsc::Sender<Entry> {
        let spread = usize::from(room.0.as_bytes()[15]);
        &self.lanes[spread % self.lanes.len()]
    }
}

async fn run(store: Store, hub: Hub, mut waiting: mpsc::Receiver<Entry>, stop: CancellationToken) {
    let mut entries = Vec::new();
    loop {
        let taken = tokio::select! {
            taken = waiting.recv_many(&mut entries, BATCH) => taken,
            () = stop.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        if taken == 0 {
            return;
        }
        let (batch, answers): (Vec<_>, Vec<_>) =
            entries.drain(..).map(|e| (e.new, e.answer)).unzip();
        match store.append(&batch, now()).await {
            Ok(appended) => {
                let outcomes: Vec<_> = appended.into_iter().map(|a| outcome(&hub, a)).collect();
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // A sender who no longer waits will find the message by its nonce.
                    let _ = answer.send(outcome);
                }
            }
            Err(error) => {
                let passing = error.is_passing();
                tracing::error!(%error, messages = batch.len(), "messages could not be stored");
                for answer in answers {
                    let error = if passing {
                        Error::Unavailable
                    } else {
                        Error::Internal
                    };
                    let _ = answer.send(Err(error));
                }
            }
        }
    }
}

/// Tells the hub of a new message, and makes the sender's answer.
fn outcome(hub: &Hub, appended: Appended) -> Result<Receipt> {
    match appended {
        Appended::Stored(message) => {
            let message = Arc::new(message);
            hub.tell(
                message.room_id,
                Event::new(Signal::Message(message.clone())),
            );
            Ok(Receipt {
                message,
                duplicate: false,
            })
        }
        Appended::Repeated(message) => Ok(Receipt {
            message: Arc::new(message),
            duplicate: true,
        }),
        Appended::NoRoom => Err(Error::RoomNotFound),
        Appended::NotAMember => Err(Error::NotAMember),
    }
}
