//! Senders and observers, who note what they did and what they were shown.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::checker::{Answer, Attempt, History, Shown, Sight};
use crate::harness::{Random, Socket, User};

/// The last message of each room, by which its observers know that they have everything.
pub const END: &str = "the end";

/// Notes what happens.
pub struct Recorder {
    clock: AtomicU64,
    history: Mutex<History>,
    acked: watch::Sender<usize>,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: AtomicU64::new(0),
            history: Mutex::default(),
            acked: watch::channel(0).0,
        })
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Notes an attempt that is about to be made; returns its number.
    fn attempts(&self, room: &str, user: &User, nonce: &str, text: &str) -> usize {
        let mut history = self.history.lock().expect("the history");
        history.attempts.push(Attempt {
            room: room.to_owned(),
            user: user.id,
            nonce: nonce.to_owned(),
            text: text.to_owned(),
            sent: self.tick(),
            answer: Answer::Unknown,
        });
        history.attempts.len() - 1
    }

    /// Notes what became of it: an ack or a message, or an error. Returns whether that is known.
    fn answered(&self, attempt: usize, answer: &Value, duplicate: bool) -> bool {
        let answer = match (answer["seq"].as_i64(), answer["id"].as_i64()) {
            (Some(seq), Some(id)) => Answer::Acked {
                at: self.tick(),
                seq,
                id,
                duplicate,
            },
            // Whether something is stored after all is not known then.
            _ if answer["code"] == "unavailable" => Answer::Unknown,
            _ => Answer::Refused,
        };
        let known = answer != Answer::Unknown;
        if known && answer != Answer::Refused {
            self.acked.send_modify(|acked| *acked += 1);
        }
        self.history.lock().expect("the history").attempts[attempt].answer = answer;
        known
    }

    fn saw(&self, sight: Sight) {
        self.history.lock().expect("the history").sights.push(sight);
    }

    /// Waits until so many attempts have been acked.
    pub async fn acked(&self, count: usize) {
        let mut acked = self.acked.subscribe();
        acked
            .wait_for(|acked| *acked >= count)
            .await
            .expect("a recorder");
    }

    /// Reads what the rooms hold in the end, and returns everything.
    pub async fn close(&self, reader: &User, rooms: &[String]) -> History {
        let mut history = std::mem::take(&mut *self.history.lock().expect("the history"));
        for room in rooms {
            let messages = reader.history(room).await;
            history
                .stored
                .insert(room.clone(), messages.iter().map(Shown::read).collect());
        }
        history
    }

    /// Says something by REST, again and again until it is known what became of it.
    pub async fn by_rest(&self, user: &User, room: &str, nonce: &str, text: &str) {
        let path = format!("/messages/{room}/send/");
        loop {
            let attempt = self.attempts(room, user, nonce, text);
            let body = json!({"message": text, "nonce": nonce});
            let answer = user.post(&path, body).await;
            let expected = [200, 201, 400, 403, 404, 503].contains(&answer.status);
            assert!(expected, "{}: {}", answer.status, answer.text);
            if self.answered(attempt, &answer.json(), answer.status == 200) {
                return;
            }
        }
    }
}

/// Someone with a socket to a room, by which he says much and hears everything.
pub struct Talker {
    recorder: Arc<Recorder>,
    user: User,
    room: String,
    socket: Socket,
    sight: Sight,
    /// The attempts that are not yet answered, each with nonce and text.
    waiting: HashMap<usize, (String, String)>,
    ended: bool,
}

impl Talker {
    /// Opens the socket, to hear everything from the beginning.
    pub async fn open(recorder: &Arc<Recorder>, user: User, room: &str) -> Self {
        let sight = Sight {
            observer: user.username.clone(),
            room: room.to_owned(),
            after: 0,
            shown: Vec::new(),
        };
        Self {
            socket: user.socket_after(room, 0).await,
            recorder: recorder.clone(),
            user,
            room: room.to_owned(),
            sight,
            waiting: HashMap::new(),
            ended: false,
        }
    }

    /// Sends a message and does not wait for anything.
    pub async fn hand_in(&mut self, nonce: &str, text: &str) {
        let attempt = self.recorder.attempts(&self.room, &self.user, nonce, text);
        self.socket
            .send(json!({"type": "message", "message": text, "nonce": nonce, "ref": attempt}))
            .await;
        self.waiting
            .insert(attempt, (nonce.to_owned(), text.to_owned()));
    }

    /// Reads until all is answered that was handed in.
    pub async fn settle(&mut self) {
        while !self.waiting.is_empty() {
            self.read().await;
        }
    }

    /// Reads until the end, and notes what was shown.
    pub async fn listen(mut self) {
        while !self.ended {
            self.read().await;
        }
        self.socket.quiet().await;
        self.recorder.saw(self.sight);
    }

    async fn read(&mut self) {
        let frame = self.socket.next().await;
        match frame["type"].as_str() {
            Some("ack" | "error") => {
                let reference = frame["ref"].as_u64().expect("a ref");
                let attempt = usize::try_from(reference).expect("64 bits");
                let (nonce, text) = self.waiting.remove(&attempt).expect("one answer to each");
                if !self
                    .recorder
                    .answered(attempt, &frame, frame["duplicate"] == true)
                {
                    self.hand_in(&nonce, &text).await;
                }
            }
            _ => self.ended |= look(&mut self.sight, &frame),
        }
    }
}

/// Notes the messages of a frame; whether the last one is among them.
fn look(sight: &mut Sight, frame: &Value) -> bool {
    let before = sight.shown.len();
    match frame["type"].as_str() {
        Some("chat_message") => sight.shown.push(Shown::read(frame)),
        Some("message_history") => {
            let messages = frame["messages"].as_array().expect("messages");
            sight.shown.extend(messages.iter().map(Shown::read));
        }
        other => panic!("{other:?}: {frame}"),
    }
    sight.shown[before..]
        .iter()
        .any(|message| message.text == END)
}

/// Someone who only listens.
pub struct Observer {
    pub recorder: Arc<Recorder>,
    pub name: String,
    pub user: User,
    pub room: String,
    /// The nodes that he connects to, one at a time.
    pub nodes: Vec<SocketAddr>,
    /// After how many messages at most he goes away and comes back; none if he stays.
    pub restless: Option<usize>,
    pub random: Random,
}

impl Observer {
    /// Listens until the end.
    pub async fn listen(mut self) {
        let mut after = 0;
        loop {
            let node = *self.random.pick(&self.nodes);
            let mut socket = self.user.at(node).socket_after(&self.room, after).await;
            let most = self
                .restless
                .map_or(usize::MAX, |most| 1 + self.random.below(most));
            let mut sight = Sight {
                observer: self.name.clone(),
                room: self.room.clone(),
                after,
                shown: Vec::new(),
            };
            let mut ended = false;
            while !ended && sight.shown.len() < most {
                ended = look(&mut sight, &socket.next().await);
            }
            after = sight.shown.last().map_or(after, |message| message.seq);
            self.recorder.saw(sight);
            if ended {
                return socket.quiet().await;
            }
            socket.close().await;
        }
    }
}
