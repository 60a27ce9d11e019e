//! Rooms: making, joining, listing and deleting them.

mod create;
mod delete;
mod join;
mod list;
mod names;

use serde_json::json;

use crate::harness::App;

on_both! {
    async fn two_people_chat(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        let room = ann.room("general").await;
        bob.join(&room).await;
        let mut a = ann.socket(&room).await;
        let first = a.expect("message_history").await;
        assert_eq!(first["messages"], json!([]));
        let mut b = bob.socket(&room).await;
        b.expect("message_history").await;
        b.send(json!({"message": "hi ann", "ref": 7})).await;
        let got = a.expect("chat_message").await;
        assert_eq!(got["message"], "hi ann");
        assert_eq!(got["seq"], 1);
        bob.say(&room, "by REST").await;
        assert_eq!(a.expect("chat_message").await["message"], "by REST");
        assert_eq!(ann.history(&room).await.len(), 2);
    }
}
