//! What lies below the frames, byte by byte, as RFC 6455 has it; on SQLite alone, as no database
//! takes part.

mod closing;
mod control;
mod fragments;
mod lengths;
mod masks;
mod opening;
mod utf8;
mod violations;

use serde_json::json;

use crate::harness::wire::Wire;
use crate::harness::{App, Db, User};

/// Ann in her room `general`, by herself.
async fn alone() -> (App, User, String) {
    let app = App::start(Db::Sqlite).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    (app, ann, room)
}

/// A message as the payload of a frame.
fn saying(text: &str) -> Vec<u8> {
    json!({"message": text}).to_string().into_bytes()
}

/// Sends these bytes on a socket of their own; returns the code that the server closes it with.
async fn verdict(who: &User, room: &str, bytes: &[u8]) -> u16 {
    let mut wire = Wire::open(who, room).await;
    wire.send(bytes).await;
    wire.closed().await.expect("a code")
}
