//! One socket for all the rooms of a user.

mod ending;
mod joined;
mod left;
mod messages;
mod races;
mod ready;
mod refused;
mod signals;
mod slow;
mod sync;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{as_frame, enter, ids, number};
use crate::harness::{App, Db, Socket, User};

/// The path of the user's socket.
fn path(who: &User) -> String {
    format!("/ws/?token={}", who.token)
}

/// A socket of all the user's rooms, and its first frame.
async fn open(who: &User) -> (Socket, Value) {
    let mut socket = Socket::open(who.address, &path(who), &[]).await;
    let ready = socket.expect("ready").await;
    (socket, ready)
}

/// Ann and Bob in Ann's rooms of these names.
async fn two_in<const N: usize>(app: &App, names: [&str; N]) -> (User, User, [String; N]) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let mut rooms = names.map(str::to_owned);
    for room in &mut rooms {
        *room = ann.room(room).await;
        bob.join(room).await;
    }
    (ann, bob, rooms)
}

/// Makes so many rooms of that user's at once, all joined at one moment.
async fn many_rooms(app: &App, db: Db, who: &User, count: usize) {
    let (id, at) = match db {
        Db::Sqlite => ("randomblob(16)", "'2026-01-01T00:00:00.000000+00:00'"),
        Db::Postgres => ("gen_random_uuid()", "timestamptz '2026-01-01T00:00:00Z'"),
    };
    let sql = format!(
        "insert into rooms (id, name, name_key, created_by, created_at)
         with recursive n (n) as (select 1 union all select n + 1 from n where n < {count})
         select {id}, 'room ' || n, 'room ' || n, {who}, {at} from n;
         insert into members (room_id, user_id, role, joined_at)
         select id, {who}, 'owner', {at} from rooms;",
        who = who.id
    );
    app.place.sql(&sql).await;
}

/// Something to say in a room.
fn message(room: &str, text: &str, reference: impl Into<Value>) -> Value {
    json!({"type": "message", "room_id": room, "message": text, "ref": reference.into()})
}

/// A text of a frame.
#[track_caller]
fn text(value: &Value, name: &str) -> String {
    let text = value[name].as_str();
    text.unwrap_or_else(|| panic!("no {name}: {value}"))
        .to_owned()
}

/// The rooms of a first frame.
fn rooms(ready: &Value) -> Vec<Value> {
    ready["rooms"].as_array().expect("rooms").clone()
}

/// The user's rooms as REST lists them.
async fn listed(who: &User) -> Vec<Value> {
    rooms(&who.get("/rooms/?limit=1000").await.expect(200))
}

/// The newest change that a client has seen in each room.
#[derive(Debug, Clone)]
struct Seen(BTreeMap<String, i64>);

impl Seen {
    /// What a first frame says.
    fn of(ready: &Value) -> Self {
        let rooms = rooms(ready).into_iter();
        let pairs = rooms.map(|room| (text(&room, "room_id"), number(&room, "last_seq")));
        Self(pairs.collect())
    }

    /// One room more, as its first frame says.
    fn add(&mut self, joined: &Value) {
        let (room, seq) = (text(joined, "room_id"), number(joined, "last_seq"));
        assert!(self.0.insert(room, seq).is_none(), "known: {joined}");
    }

    /// This frame must be the next message of its room; returns the room.
    #[track_caller]
    fn hear(&mut self, frame: &Value) -> String {
        assert_eq!(frame["type"], "chat_message", "{frame}");
        let room = text(frame, "room_id");
        let seen = self.0.get_mut(&room);
        let seen = seen.unwrap_or_else(|| panic!("of a room that is not his: {frame}"));
        *seen += 1;
        assert_eq!(number(frame, "seq"), *seen, "{frame}");
        room
    }

    /// Reads messages until each room has reached this change.
    #[track_caller]
    fn read_up_to(&mut self, socket: &mut Socket, last: i64) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            while self.0.values().any(|seq| *seq < last) {
                let frame = socket.next().await;
                let room = self.hear(&frame);
                assert!(self.0[&room] <= last, "{frame}, at {caller}");
            }
        }
    }
}

/// Says the numbers of this range in each of the rooms in turn, and waits until all are stored.
/// Each is filled up to `bytes` with dots.
async fn say_all(
    socket: &mut Socket,
    rooms: &[String],
    numbers: RangeInclusive<i64>,
    bytes: usize,
) {
    let all = numbers.flat_map(|number| rooms.iter().map(move |room| (number, room)));
    let all: Vec<_> = all.collect();
    // Few enough that neither side waits for the other to read.
    for some in all.chunks(50) {
        for (number, room) in some {
            let text = format!("{number:.<bytes$}");
            socket.send(message(room, &text, *number)).await;
        }
        let mut acked = 0;
        while acked < some.len() {
            acked += usize::from(socket.next().await["type"] == "ack");
        }
    }
}

/// Someone who says the numbers from 1 on in a room, all the time.
struct Talker {
    stop: CancellationToken,
    talking: JoinHandle<i64>,
}

impl Talker {
    async fn start(who: &User, room: &str) -> Self {
        let mut socket = enter(who, room).await;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let talking = tokio::spawn(async move {
            let mut said = 0;
            while !stopped.is_cancelled() {
                socket.say_numbers(said + 1..=said + 5, 0).await;
                said += 5;
            }
            said
        });
        Self { stop, talking }
    }

    /// Lets him finish; returns his last number.
    async fn stop(self) -> i64 {
        self.stop.cancel();
        self.talking.await.expect("all said")
    }
}
