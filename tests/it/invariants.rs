//! The promises about messages, checked on what many senders and observers saw.

pub mod actors;
pub mod checker;
mod planted;

use std::pin::pin;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::{App, Db, Random, User};
use actors::{END, Observer, Recorder, Talker};
use checker::{Answer, History};

/// Who does how much, and where.
pub struct Scene {
    pub nodes: Vec<App>,
    pub rooms: usize,
    /// Senders with a socket to one room each, spread over the nodes.
    pub talkers: usize,
    /// Senders who say everything by REST, in all rooms.
    pub writers: usize,
    /// How many messages each of them says.
    pub messages: usize,
    /// Observers of each room at each node.
    pub observers: usize,
}

impl Scene {
    /// Lets it all happen; returns what was seen.
    pub async fn play(&self) -> History {
        let mut random = Random::printed();
        let recorder = Recorder::new();
        let first = &self.nodes[0];
        let owner = first.user("owner").await;
        let mut rooms = Vec::new();
        for n in 0..self.rooms {
            rooms.push(owner.room(&format!("room {n}")).await);
        }
        let users = register(first, self.talkers + self.writers).await;

        let all_said = Arc::new(Barrier::new(users.len() + 1));
        let mut tasks = JoinSet::new();
        for (n, user) in users.into_iter().enumerate() {
            let user = user.at(self.nodes[n % self.nodes.len()].address);
            let other = user.at(self.nodes[(n + 1) % self.nodes.len()].address);
            let (said, random, messages) = (all_said.clone(), random.fork(), self.messages);
            if n < self.talkers {
                let room = &rooms[(n / self.nodes.len()) % rooms.len()];
                user.join(room).await;
                let talker = Talker::open(&recorder, user, room).await;
                let sender = Sender {
                    recorder: recorder.clone(),
                    user: other,
                    rooms: rooms.clone(),
                    random,
                };
                let room = room.clone();
                tasks.spawn(async move {
                    let talker = sender.talk(talker, &room, messages).await;
                    said.wait().await;
                    talker.listen().await;
                });
            } else {
                for room in &rooms {
                    user.join(room).await;
                }
                let sender = Sender {
                    recorder: recorder.clone(),
                    user,
                    rooms: rooms.clone(),
                    random,
                };
                tasks.spawn(async move {
                    sender.write(other, messages).await;
                    said.wait().await;
                });
            }
        }
        self.observe(&owner, &rooms, &recorder, &mut random, &mut tasks);
        let mut all_said = pin!(all_said.wait());
        loop {
            tokio::select! {
                _ = &mut all_said => break,
                Some(done) = tasks.join_next() => done.expect("no panic"),
            }
        }
        for room in &rooms {
            recorder.by_rest(&owner, room, "end", END).await;
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("no panic");
        }
        recorder.close(&owner, &rooms).await
    }

    /// Sends the observers: at each node the first stays, the second comes and goes, the third
    /// comes late, and so on.
    fn observe(
        &self,
        user: &User,
        rooms: &[String],
        recorder: &Arc<Recorder>,
        random: &mut Random,
        tasks: &mut JoinSet<()>,
    ) {
        let nodes: Vec<_> = self.nodes.iter().map(|node| node.address).collect();
        let half = (self.talkers + self.writers) * self.messages / 2;
        for (n, node) in nodes.iter().enumerate() {
            for (r, room) in rooms.iter().enumerate() {
                for o in 0..self.observers {
                    let kind = (o + r) % 3;
                    let observer = Observer {
                        recorder: recorder.clone(),
                        name: format!("observer {o} of room {r} at node {n}"),
                        user: user.clone(),
                        room: room.clone(),
                        nodes: if kind == 1 {
                            nodes.clone()
                        } else {
                            vec![*node]
                        },
                        restless: (kind > 0).then_some(40 * kind),
                        random: random.fork(),
                    };
                    let recorder = recorder.clone();
                    tasks.spawn(async move {
                        if kind == 2 {
                            recorder.acked(half).await;
                        }
                        observer.listen().await;
                    });
                }
            }
        }
    }
}

/// New users, who are made at the same time.
async fn register(app: &App, count: usize) -> Vec<User> {
    let address = app.address;
    let mut tasks = JoinSet::new();
    for n in 0..count {
        tasks.spawn(async move { User::register(address, &format!("sender-{n}")).await });
    }
    tasks.join_all().await
}

/// Someone who says much, some of it twice, and some things that are refused.
struct Sender {
    recorder: Arc<Recorder>,
    /// He himself, as he comes by REST.
    user: User,
    rooms: Vec<String>,
    random: Random,
}

impl Sender {
    /// Says so many messages by a socket, several at a time.
    async fn talk(mut self, mut talker: Talker, room: &str, messages: usize) -> Talker {
        let mut said = 0;
        while said < messages {
            let burst = (1 + self.random.below(12)).min(messages - said);
            for n in said..said + burst {
                let (nonce, text) = (n.to_string(), format!("{n} by {}", self.user.username));
                talker.hand_in(&nonce, &text).await;
                if self.random.chance(10) {
                    talker.hand_in(&nonce, &text).await;
                }
            }
            if self.random.chance(10) {
                talker.hand_in(&format!("bell {said}"), "\u{7}").await;
            }
            if self.random.chance(30) {
                // By the other door, while the answer by this one is still under way.
                let n = said + self.random.below(burst);
                let text = format!("{n} by {}", self.user.username);
                self.recorder
                    .by_rest(&self.user, room, &n.to_string(), &text)
                    .await;
            }
            said += burst;
            if self.random.chance(20) {
                let n = self.random.below(said);
                talker
                    .hand_in(&n.to_string(), &format!("{n} by {}", self.user.username))
                    .await;
            }
            talker.settle().await;
            self.intrude(room, said).await;
        }
        talker
    }

    /// Tries a room that he is not in.
    async fn intrude(&mut self, own: &str, n: usize) {
        if self.random.chance(10)
            && let Some(room) = self.rooms.iter().find(|room| *room != own)
        {
            let nonce = format!("intruder {n}");
            self.recorder
                .by_rest(&self.user, room, &nonce, "let me in")
                .await;
        }
    }

    /// Says so many messages by REST; `other` is he himself at another node.
    async fn write(mut self, other: User, messages: usize) {
        for n in 0..messages {
            let room = self.random.pick(&self.rooms).clone();
            let (nonce, text) = (n.to_string(), format!("{n} by {}", self.user.username));
            let twice = self.random.chance(20);
            let say = self.recorder.by_rest(&self.user, &room, &nonce, &text);
            if twice {
                let again = self.recorder.by_rest(&other, &room, &nonce, &text);
                tokio::join!(say, again);
            } else {
                say.await;
            }
        }
    }
}

/// Fails with what is wrong.
pub fn check(history: &History, messages: usize) {
    let faults = history.faults();
    let first: Vec<_> = faults.iter().take(10).collect();
    assert!(
        faults.is_empty(),
        "{} faults, the first of them: {first:#?}",
        faults.len()
    );
    // That much has happened: each room has its last message too.
    let stored: usize = history.stored.values().map(Vec::len).sum();
    assert_eq!(stored, messages + history.stored.len());
    let count = |wanted: fn(&Answer) -> bool| {
        history
            .attempts
            .iter()
            .filter(|attempt| wanted(&attempt.answer))
            .count()
    };
    assert!(
        count(|answer| matches!(
            answer,
            Answer::Acked {
                duplicate: true,
                ..
            }
        )) > 10
    );
    assert!(count(|answer| *answer == Answer::Refused) > 5);
    assert!(history.sights.len() > history.stored.len() * 3);
}

on_both! {
    async fn every_promise_holds_on_one_node(db) {
        let scene = Scene {
            nodes: vec![App::start(db).await],
            rooms: 4,
            talkers: 16,
            writers: 8,
            messages: 62,
            observers: 2,
        };
        check(&scene.play().await, 24 * 62);
    }

    async fn a_thousand_messages_at_once_cost_few_transactions(db) {
        const SOCKETS: usize = 50;
        const EACH: usize = 20;
        let app = App::start(db).await;
        let mut sockets = Vec::new();
        for (n, user) in register(&app, 10).await.into_iter().enumerate() {
            let room = user.room(&format!("room {n}")).await;
            for _ in 0..SOCKETS / 10 {
                let mut socket = user.socket(&room).await;
                socket.expect("message_history").await;
                sockets.push(socket);
            }
        }
        let ready = Arc::new(Barrier::new(SOCKETS));
        let mut tasks = JoinSet::new();
        for mut socket in sockets {
            let ready = ready.clone();
            tasks.spawn(async move {
                ready.wait().await;
                for n in 0..EACH {
                    socket.send(json!({"type": "message", "message": "x", "ref": n})).await;
                }
                let mut acks = 0;
                while acks < EACH {
                    acks += usize::from(socket.next().await["type"] == "ack");
                }
            });
        }
        tasks.join_all().await;
        let count = async |sql: &str| app.place.count(sql).await;
        assert_eq!(count("select count(*) from messages").await, 1000);
        // A batch has one time.
        let batches = count("select count(distinct created_at) from messages").await;
        if db == Db::Postgres {
            // PostgreSQL knows better than the times.
            let transactions = count("select count(distinct xmin::text) from messages").await;
            assert_eq!(transactions, batches);
        }
        assert!(batches <= 333, "{batches} transactions for 1000 messages");
    }
}
