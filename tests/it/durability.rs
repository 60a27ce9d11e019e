//! What was acked is there after the server was killed, and after it was told to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Db, Place, Process, Random, Socket, User};

const SENDERS: usize = 20;
/// Messages of each sender in a round.
const EACH: usize = 25;
/// No round of sending takes this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages of one sender that may be under way. Few, or all would share one commit, and no kill
/// would come between two.
const AHEAD: usize = 4;
/// More messages of each sender than can be stored before the server is told to stop.
const MANY: usize = 5000;

/// The acks that one sender got, by nonce, and the code that his socket was closed with, if it was.
type Acks = (BTreeMap<String, Value>, Option<u16>);

fn text(nonce: &str) -> String {
    format!("the text of {nonce}")
}

/// Sends these, a few ahead of their acks, until each is answered or the server is gone.
async fn send(mut socket: Socket, nonces: Vec<String>, acked: watch::Sender<usize>) -> Acks {
    let mut acks = BTreeMap::new();
    let (mut sent, mut failed) = (0, 0);
    while acks.len() + failed < nonces.len() {
        while let Some(nonce) = nonces
            .get(sent)
            .filter(|_| sent - acks.len() - failed < AHEAD)
        {
            let frame =
                json!({"type": "message", "message": text(nonce), "nonce": nonce, "ref": nonce});
            // If it cannot be sent, what can still be read says why.
            let _ = socket.try_send_raw(Message::text(frame.to_string())).await;
            sent += 1;
        }
        match socket.next_or_close().await {
            Ok(frame) if frame["type"] == "ack" => {
                let nonce = frame["ref"].as_str().expect("the ref").to_owned();
                assert!(acks.insert(nonce, frame).is_none(), "one ack for each");
                acked.send_modify(|acked| *acked += 1);
            }
            Ok(frame) if frame["type"] == "error" => {
                assert_eq!(frame["code"], "unavailable", "{frame}");
                failed += 1;
            }
            Ok(_) => {}
            Err(code) => return (acks, Some(code)),
        }
    }
    (acks, None)
}

/// Who sends, where, and what was acked to them.
struct Crowd {
    users: Vec<User>,
    room: String,
}

impl Crowd {
    async fn register(process: &Process) -> Self {
        let address = process.address;
        let mut tasks = JoinSet::new();
        for n in 0..SENDERS {
            tasks.spawn(async move { User::register(address, &format!("sender-{n}")).await });
        }
        Self {
            users: tasks.join_all().await,
            room: String::new(),
        }
    }

    /// Goes to a new room, at a server that may be another one than before.
    async fn gather(&mut self, process: &Process, name: &str) {
        self.users = self
            .users
            .iter()
            .map(|user| user.at(process.address))
            .collect();
        self.room = self.users[0].room(name).await;
        let joins = self.users[1..].iter().map(|user| user.join(&self.room));
        join_all(joins).await;
    }

    /// Everyone sends so many messages at once.
    async fn send(
        &self,
        process: &Process,
        each: usize,
    ) -> (JoinSet<Acks>, watch::Receiver<usize>) {
        let (acked, watched) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let users = self.users.iter().map(|user| user.at(process.address));
        let sockets = users.map(async |user| user.socket(&self.room).await);
        for (n, socket) in join_all(sockets).await.into_iter().enumerate() {
            let nonces = (0..each).map(|m| format!("{n}-{m}")).collect();
            tasks.spawn(send(socket, nonces, acked.clone()));
        }
        (tasks, watched)
    }

    /// What the room holds, by nonce; there must be no gap.
    async fn stored(&self, process: &Process) -> BTreeMap<String, Value> {
        let messages = self.users[0].at(process.address).history(&self.room).await;
        let mut stored = BTreeMap::new();
        for (number, message) in (1..).zip(messages) {
            assert_eq!(
                (&message["id"], &message["seq"]),
                (&json!(number), &json!(number))
            );
            let nonce = message["nonce"].as_str().expect("a nonce").to_owned();
            assert_eq!(message["message"], text(&nonce));
            assert!(
                stored.insert(nonce, message).is_none(),
                "said once, stored twice"
            );
        }
        stored
    }
}

async fn gather(tasks: JoinSet<Acks>) -> (BTreeMap<String, Value>, Vec<Option<u16>>) {
    let all = timeout(PATIENCE, tasks.join_all())
        .await
        .expect("the senders end");
    let (acks, codes): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    (acks.into_iter().flatten().collect(), codes)
}

#[track_caller]
fn assert_same(ack: &Value, message: &Value) {
    for field in ["id", "seq", "timestamp"] {
        assert_eq!(ack[field], message[field], "{ack} {message}");
    }
}

/// Kills the server so many times while messages are sent, and looks each time what is left.
async fn kill_again_and_again(db: Db, rounds: usize) {
    let mut random = Random::printed();
    let place = Place::new(db);
    let mut process = Process::start(&place, &[]).await;
    let mut crowd = Crowd::register(&process).await;
    let mut cut_short = 0;
    for round in 0..rounds {
        crowd.gather(&process, &format!("room {round}")).await;
        let (tasks, mut acked) = crowd.send(&process, EACH).await;
        // In the first half, so that most kills cut something short.
        let moment = random.below(SENDERS * EACH / 2);
        let reached = acked.wait_for(|acked| *acked >= moment);
        timeout(PATIENCE, reached)
            .await
            .expect("acks")
            .expect("senders");
        for _ in 0..random.below(50) {
            tokio::task::yield_now().await;
        }
        process.kill();
        let (acks, _) = gather(tasks).await;
        cut_short += usize::from(acks.len() < SENDERS * EACH);

        process = Process::start(&place, &[]).await;
        let stored = crowd.stored(&process).await;
        for (nonce, ack) in &acks {
            assert_eq!(ack["duplicate"], false);
            let message = stored.get(nonce);
            assert_same(
                ack,
                message.unwrap_or_else(|| panic!("round {round}: lost: {ack}")),
            );
        }

        let (tasks, _) = crowd.send(&process, EACH).await;
        let (again, _) = gather(tasks).await;
        assert_eq!(again.len(), SENDERS * EACH);
        let all = crowd.stored(&process).await;
        assert_eq!(all.len(), SENDERS * EACH);
        for (nonce, ack) in &again {
            assert_eq!(ack["duplicate"], stored.contains_key(nonce), "{ack}");
            assert_same(ack, &all[nonce]);
        }
        for (nonce, message) in &stored {
            assert_eq!(message, &all[nonce]);
        }
    }
    assert!(cut_short > 0, "no kill came in time to cut anything short");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acked_survives_kills_on_sqlite() {
    kill_again_and_again(Db::Sqlite, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acked_survives_kills_on_postgres() {
    if crate::harness::postgres::available("what_was_acked_survives_kills_on_postgres") {
        kill_again_and_again(Db::Postgres, 5).await;
    }
}

on_both! {
    async fn a_server_told_to_stop_finishes_what_it_acked_and_says_goodbye(db) {
        let place = Place::new(db);
        let mut process = Process::start(&place, &[]).await;
        let mut crowd = Crowd::register(&process).await;
        crowd.gather(&process, "general").await;
        let (tasks, mut acked) = crowd.send(&process, MANY).await;
        let reached = acked.wait_for(|acked| *acked >= 100);
        timeout(PATIENCE, reached).await.expect("acks").expect("senders");
        process.stop().await;
        let (acks, codes) = gather(tasks).await;
        assert_eq!(codes, [Some(1001); SENDERS]);

        process = Process::start(&place, &[]).await;
        let stored = crowd.stored(&process).await;
        assert!(stored.len() < SENDERS * MANY, "it was stopped while they were sending");
        for (nonce, ack) in &acks {
            assert_same(ack, stored.get(nonce).unwrap_or_else(|| panic!("lost: {ack}")));
        }
        process.stop().await;
    }
}
