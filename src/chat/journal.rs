//! The journal: the one way by which messages are stored.
//!
//! Senders hand their messages in and wait. Each lane takes whatever is waiting, stores it in one
//! transaction, tells the hub in order, and only then answers the senders: the busier it is, the
//! more messages share a transaction. A room always has the same lane, so its order is the order
//! of handing in. SQLite has one writer and thus one lane.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::{Error, Result};
use crate::bus::Hub;
use crate::model::time::now;
use crate::model::{Message, Receipt, RoomId};
use crate::store::{Appended, NewMessage, Store};

/// Most messages in a transaction. More take so long that their senders notice, and share no more.
const BATCH: usize = 2048;
/// What may be in a lane, waiting or being stored, in KiB; whoever comes later waits outside. A
/// message counts its text and one more.
const LANE: usize = 8 * 1024;
/// Lanes on a database that takes several writers.
const LANES: usize = 4;
/// How long a sender waits, for a place in the lane or for the disk, before being told to come
/// back. The message may be stored all the same; its nonce finds it.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Told what became of a message, by the lane that stored it: it returns at once.
pub type Answer = Box<dyn FnOnce(Result<Receipt>) + Send>;

/// Stores messages in the order they are handed in.
#[derive(Debug)]
pub struct Journal {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    entries: mpsc::UnboundedSender<Entry>,
    /// Bounds the entries by their size.
    room: Arc<Semaphore>,
}

struct Entry {
    new: NewMessage,
    answer: Answer,
    /// Its place in the lane, until it is stored.
    place: OwnedSemaphorePermit,
}

/// An answer that can be waited for.
pub fn answer() -> (Answer, impl Future<Output = Result<Receipt>>) {
    let (sender, receiver) = oneshot::channel();
    let answer: Answer = Box::new(move |receipt| {
        // A sender who no longer waits will find the message by its nonce.
        let _ = sender.send(receipt);
    });
    let receipt = async {
        match timeout(PATIENCE, receiver).await {
            Ok(Ok(receipt)) => receipt,
            _ => Err(Error::Unavailable),
        }
    };
    (answer, receipt)
}

impl Journal {
    /// Starts the lanes; told to stop, they store what was handed in and take no more.
    pub fn start(store: &Store, hub: &Hub, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let count = if store.is_shared() { LANES } else { 1 };
        let lanes = (0..count)
            .map(|_| {
                let (entries, receiver) = mpsc::unbounded_channel();
                tasks.spawn(run(store.clone(), hub.clone(), receiver, stop.clone()));
                let room = Arc::new(Semaphore::new(LANE));
                Lane { entries, room }
            })
            .collect();
        Self { lanes }
    }

    /// Hands a message in. When this returns its place in the order is fixed and its storing is
    /// under way; the answer follows, unless this is an error.
    pub async fn hand_in(&self, new: NewMessage, answer: Answer) -> Result<()> {
        let lane = self.lane(new.room_id);
        let size = u32::try_from(1 + new.body.as_str().len() / 1024).unwrap_or(u32::MAX);
        let room = lane.room.clone();
        let place = match room.clone().try_acquire_many_owned(size) {
            Ok(place) => place,
            Err(_) => match timeout(PATIENCE, room.acquire_many_owned(size)).await {
                Ok(Ok(place)) => place,
                _ => return Err(Error::Unavailable),
            },
        };
        let entry = Entry { new, answer, place };
        lane.entries.send(entry).map_err(|_| Error::Unavailable)
    }

    fn lane(&self, room: RoomId) -> &Lane {
        let spread = usize::from(room.0.as_bytes()[15]);
        &self.lanes[spread % self.lanes.len()]
    }
}

async fn run(
    store: Store,
    hub: Hub,
    mut waiting: mpsc::UnboundedReceiver<Entry>,
    stop: CancellationToken,
) {
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
        let mut answers = Vec::with_capacity(taken);
        let mut places = Vec::with_capacity(taken);
        let mut batch = Vec::with_capacity(taken);
        for entry in entries.drain(..) {
            batch.push(entry.new);
            answers.push(entry.answer);
            places.push(entry.place);
        }
        match store.append(&batch, now()).await {
            Ok(appended) => {
                let outcomes = tell(&hub, appended);
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    answer(outcome);
                }
            }
            Err(error) => {
                let passing = error.is_passing();
                tracing::error!(%error, messages = batch.len(), "messages could not be stored");
                for answer in answers {
                    answer(Err(if passing {
                        Error::Unavailable
                    } else {
                        Error::Internal
                    }));
                }
            }
        }
    }
}

/// Tells the hub of the new messages, a room's together, and makes the senders' answers.
fn tell(hub: &Hub, appended: Vec<Appended>) -> Vec<Result<Receipt>> {
    let mut news: HashMap<RoomId, Vec<Arc<Message>>> = HashMap::new();
    let outcomes = appended
        .into_iter()
        .map(|appended| match appended {
            Appended::Stored(message) => {
                news.entry(message.room_id)
                    .or_default()
                    .push(message.clone());
                Ok(Receipt {
                    message,
                    duplicate: false,
                })
            }
            Appended::Repeated(message) => Ok(Receipt {
                message,
                duplicate: true,
            }),
            Appended::NoRoom => Err(Error::RoomNotFound),
            Appended::NotAMember => Err(Error::NotAMember),
        })
        .collect();
    for (room, messages) in news {
        hub.tell_messages(room, messages);
    }
    outcomes
}
