//! Sockets: every frame, every way in and every way out.

mod all_rooms;
mod behind;
mod broken;
mod drain;
mod ending;
mod frames;
mod handshake;
mod hostile;
mod nodes;
mod refused;
mod resume;
mod rfc6455;
mod shh;
mod signals;
mod stalled;
mod timers;

use serde_json::{Value, json};

use crate::harness::{App, Socket, User};

/// Ann and Bob in Ann's room `general`.
async fn two(app: &App) -> (User, User, String) {
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let room = ann.room("general").await;
    bob.join(&room).await;
    (ann, bob, room)
}

/// A socket in the room, its first frame read.
async fn enter(who: &User, room: &str) -> Socket {
    let mut socket = who.socket(room).await;
    socket.expect("message_history").await;
    socket
}

/// The ids of the messages on a page.
fn ids(page: &Value) -> Vec<i64> {
    let messages = page["messages"].as_array().expect("messages").iter();
    messages.map(|m| m["id"].as_i64().expect("an id")).collect()
}

/// What a message is as a frame.
fn as_frame(message: &Value) -> Value {
    let mut frame = message.clone();
    frame["type"] = json!("chat_message");
    frame
}

/// A number of a message or a frame.
#[track_caller]
fn number(value: &Value, name: &str) -> i64 {
    value[name]
        .as_i64()
        .unwrap_or_else(|| panic!("no {name}: {value}"))
}
