//! The watch: notices what other processes did to the database, and tells the hub.
//!
//! Another node, or the command line, may store a message, delete a room, remove a member or end
//! a session. Nobody here hears of it, so once a second the heads of the rooms that somebody
//! listens to are compared with what was told, and the rights of those who listen are looked up: a
//! few statements for thousands of connections, and none where nobody listens. On SQLite not even
//! those, unless something was written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use crate::bus::{Hub, Live, TAIL_MESSAGES};
use crate::model::time::now;
use crate::model::{Point, RoomId, Seq, Signal, UserId};
use crate::store::{Result, Store};

/// How often to look.
const EVERY: Duration = Duration::from_secs(1);
/// How often to look on SQLite even if nobody has written: sessions also end by time.
const ANYWAY: u32 = 30;
/// How often the sessions that have run out are deleted, in looks.
const SWEEP: u32 = 600;
/// Rooms or people in one statement.
const CHUNK: usize = 5000;

/// Looks until told to stop.
pub async fn run(store: Store, hub: Hub, limits: Arc<Limits>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    let mut failing = false;
    for look in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        hub.forget_if_full();
        if look % SWEEP == SWEEP / 2 {
            limits.forget();
            if let Err(error) = store.delete_expired_sessions(now()).await {
                tracing::warn!(%error, "old sessions could not be deleted");
            }
        }
        if look % ANYWAY == 0 {
            seen = None;
        }
        match look_once(&store, &hub, &mut seen).await {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the database cannot be watched");
                }
                (failing, seen) = (true, None);
            }
        }
    }
}

async fn look_once(store: &Store, hub: &Hub, seen: &mut Option<i64>) -> Result<()> {
    if hub.is_empty() {
        return Ok(());
    }
    let version = store.version().await?;
    // Whoever came since the last look was checked then.
    if version.is_some() && version == *seen {
        return Ok(());
    }
    // After the version, so that nobody came too late to be among them and too early to have been
    // checked against all that it counts.
    let live = hub.live();
    check_rooms(store, hub).await?;
    check_sessions(store, hub, &live).await?;
    check_members(store, hub, &live).await?;
    *seen = version;
    Ok(())
}

async fn check_rooms(store: &Store, hub: &Hub) -> Result<()> {
    let rooms = hub.rooms();
    for chunk in rooms.chunks(CHUNK) {
        let ids: Vec<RoomId> = chunk.iter().map(|(room, _)| *room).collect();
        let heads: HashMap<_, _> = store.heads(&ids).await?.into_iter().collect();
        for (room, told) in chunk {
            match heads.get(room) {
                None => hub.end_room(*room),
                Some(head) if head > told => tell_missed(store, hub, *room, *told, *head).await?,
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Reads what was missed once for all who listen; where that is much, or nobody knows how much,
/// each is told how far the room is and reads at its own pace.
async fn tell_missed(store: &Store, hub: &Hub, room: RoomId, told: Seq, head: Seq) -> Result<()> {
    if told.0 >= 0 && head.0 - told.0 <= i64::from(TAIL_MESSAGES) {
        let since = Point::Since(told);
        let missed = store.messages(room, since, head, TAIL_MESSAGES).await?;
        hub.tell_messages(room, missed.into_iter().map(Arc::new).collect());
    }
    hub.tell(room, Signal::Moved(head));
    Ok(())
}

async fn check_sessions(store: &Store, hub: &Hub, live: &[Live]) -> Result<()> {
    let mut sessions: Vec<_> = live.iter().map(|live| live.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    for chunk in sessions.chunks(CHUNK) {
        let good: HashSet<_> = store
            .live_sessions(chunk, now())
            .await?
            .into_iter()
            .collect();
        for over in chunk.iter().filter(|s| !good.contains(s)) {
            hub.end_session(*over);
        }
    }
    Ok(())
}

/// Who is no longer in a room, and who has come into one that he does not listen to yet.
async fn check_members(store: &Store, hub: &Hub, live: &[Live]) -> Result<()> {
    let mut pairs: Vec<_> = live
        .iter()
        .flat_map(|live| live.rooms.iter().map(|room| (*room, live.user)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    for chunk in pairs.chunks(CHUNK) {
        let good: HashSet<_> = store.memberships(chunk).await?.into_iter().collect();
        let gone = chunk.iter().filter(|pair| !good.contains(pair));
        end_memberships(store, hub, gone.copied().collect()).await?;
    }
    let mut followers: Vec<_> = live.iter().filter(|l| l.follows).map(|l| l.user).collect();
    followers.sort_unstable();
    followers.dedup();
    for chunk in followers.chunks(CHUNK) {
        for (room, user) in store.rooms_of_all(chunk).await? {
            hub.begin_membership(room, user);
        }
    }
    Ok(())
}

/// A room that is gone took its members along: that is another thing to be told.
async fn end_memberships(store: &Store, hub: &Hub, gone: Vec<(RoomId, UserId)>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let rooms: Vec<_> = gone.iter().map(|(room, _)| *room).collect();
    let left: HashMap<_, _> = store.heads(&rooms).await?.into_iter().collect();
    for (room, user) in gone {
        if left.contains_key(&room) {
            hub.end_membership(room, user);
        }
    }
    let deleted: HashSet<_> = rooms.iter().filter(|r| !left.contains_key(r)).collect();
    for room in deleted {
        hub.end_room(*room);
    }
    Ok(())
}
