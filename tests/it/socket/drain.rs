//! A server that is told to stop in the middle of talk: what it acked is kept, what it did not ack
//! is sent again, and each message is there once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{enter, number};
use crate::harness::{App, Socket, User};

const SENDERS: usize = 8;
const IDLE: usize = 6;
/// Messages of one sender that wait for their acks.
const AHEAD: usize = 6;
/// Nothing here takes this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// What became of one sender's messages before the server went away.
struct Account {
    who: User,
    /// By nonce, all that were handed to the socket.
    sent: BTreeSet<String>,
    acked: BTreeMap<String, Value>,
    refused: BTreeSet<String>,
    code: u16,
}

fn text(nonce: &str) -> String {
    format!("the text of {nonce}")
}

fn frame(nonce: &str) -> Value {
    json!({"type": "message", "message": text(nonce), "nonce": nonce, "ref": nonce})
}

/// Sends one message after another, as fast as acks come, until the socket is closed.
async fn send(who: User, mut socket: Socket, acks: watch::Sender<usize>) -> Account {
    let mut nonces = (0..).map(|n| format!("{}-{n}", who.username));
    let (mut sent, mut acked) = (BTreeSet::new(), BTreeMap::new());
    let (mut refused, mut seen) = (BTreeSet::new(), 0);
    let code = loop {
        while sent.len() < acked.len() + refused.len() + AHEAD {
            let nonce = nonces.next().expect("another nonce");
            let text = Message::text(frame(&nonce).to_string());
            sent.insert(nonce);
            // The close frame can still be read.
            if !socket.try_send_raw(text).await {
                break;
            }
        }
        match socket.next_or_close().await {
            Ok(frame) if frame["type"] == "ack" => {
                assert!(number(&frame, "seq") <= seen, "{frame} before {seen}");
                let nonce = frame["ref"].as_str().expect("the ref").to_owned();
                assert!(sent.contains(&nonce), "{frame}");
                assert!(acked.insert(nonce, frame).is_none(), "one ack for each");
                acks.send_modify(|acks| *acks += 1);
            }
            Ok(frame) if frame["type"] == "error" => {
                assert_eq!(frame["code"], "unavailable", "{frame}");
                refused.insert(frame["ref"].as_str().expect("the ref").to_owned());
            }
            Ok(frame) => {
                assert_eq!(frame["type"], "chat_message");
                seen += 1;
                assert_eq!(number(&frame, "seq"), seen);
            }
            Err(code) => break code,
        }
    };
    Account {
        who,
        sent,
        acked,
        refused,
        code,
    }
}

/// Everything in the room, by nonce; none is there twice, and there are no gaps.
async fn stored(who: &User, room: &str) -> BTreeMap<String, Value> {
    let mut stored = BTreeMap::new();
    for (number, message) in (1..).zip(who.history(room).await) {
        let place = (&message["id"], &message["seq"]);
        assert_eq!(place, (&json!(number), &json!(number)));
        let nonce = message["nonce"].as_str().expect("a nonce").to_owned();
        assert_eq!(message["message"], text(&nonce));
        assert!(stored.insert(nonce, message).is_none(), "stored twice");
    }
    stored
}

#[track_caller]
fn assert_same(ack: &Value, message: Option<&Value>) {
    let message = message.unwrap_or_else(|| panic!("lost: {ack}"));
    for field in ["id", "seq", "timestamp"] {
        assert_eq!(ack[field], message[field], "{ack} {message}");
    }
}

on_both! {
    async fn a_drain_loses_nothing(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let (acks, mut acked) = watch::channel(0);
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            idle.push(enter(&ann, &room).await);
        }
        let mut sockets = Vec::new();
        for n in 0..SENDERS {
            let who = app.user(&format!("sender-{n}")).await;
            who.join(&room).await;
            let socket = enter(&who, &room).await;
            sockets.push((who, socket));
        }
        let mut tasks = JoinSet::new();
        for (who, socket) in sockets {
            tasks.spawn(send(who, socket, acks.clone()));
        }
        let reached = acked.wait_for(|acked| *acked >= 300);
        timeout(PATIENCE, reached).await.expect("acks").expect("senders");
        app.begin_to_stop();
        let accounts = timeout(PATIENCE, tasks.join_all()).await.expect("all are told");
        // Those who only listened are told as well, after what was said, without a gap.
        let mut heard = 0;
        for socket in &mut idle {
            let mut seen = 0;
            let code = loop {
                match socket.next_or_close().await {
                    Ok(frame) => {
                        seen += 1;
                        assert_eq!(number(&frame, "seq"), seen);
                    }
                    Err(code) => break code,
                }
            };
            assert_eq!(code, 1001);
            heard = heard.max(seen);
        }
        let place = app.stop().await;

        let app = App::start_in(place, &[]).await;
        let before = stored(&ann.at(app.address), &room).await;
        let count = i64::try_from(before.len()).expect("64 bits");
        assert!((1..=count).contains(&heard), "{heard} heard of {count}");
        let mut unsettled = 0;
        for account in &accounts {
            assert_eq!(account.code, 1001, "{}", account.who.username);
            for (nonce, ack) in &account.acked {
                assert_eq!(ack["duplicate"], false);
                assert_same(ack, before.get(nonce));
            }
            for nonce in &account.refused {
                assert!(!before.contains_key(nonce), "refused and stored: {nonce}");
            }
            unsettled += account.sent.len() - account.acked.len();
        }
        assert!(unsettled > 0, "nobody was interrupted");

        // What was not acked is sent again, and what was acked too, for good measure.
        let mut all = BTreeSet::new();
        for account in accounts {
            let mut socket = enter(&account.who.at(app.address), &room).await;
            for nonce in &account.sent {
                let ack = socket.say(&text(nonce), nonce).await;
                assert_eq!(ack["type"], "ack", "{ack}");
                assert_eq!(ack["duplicate"], before.contains_key(nonce), "{ack}");
                if let Some(first) = before.get(nonce) {
                    assert_same(&ack, Some(first));
                }
            }
            all.extend(account.sent);
        }
        let after = stored(&ann.at(app.address), &room).await;
        assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), all);
        for (nonce, message) in &before {
            assert_eq!(after.get(nonce), Some(message));
        }
    }

    async fn sockets_that_say_nothing_are_told_that_the_server_goes(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let (room, other) = (ann.room("general").await, ann.room("other").await);
        let mut idle = Vec::new();
        for n in 0..20 {
            let socket = enter(&ann, if n % 2 == 0 { &room } else { &other }).await;
            idle.push(socket);
        }
        app.begin_to_stop();
        for socket in &mut idle {
            assert_eq!(socket.next_or_close().await, Err(1001));
        }
        // They have all answered, so it waits for nobody.
        drop(idle);
        timeout(Duration::from_secs(5), app.stop()).await.expect("an orderly end");
    }
}
