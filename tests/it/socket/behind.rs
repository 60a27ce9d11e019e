//! A socket that is behind the room: what it is told, in which order, and what still ends it.

use serde_json::json;

use super::{enter, number, two};
use crate::harness::{App, Db};

on_both! {
    async fn an_ack_never_comes_before_its_message(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let (mut a, mut b) = (enter(&ann, &room).await, enter(&bob, &room).await);
        for n in 0..100 {
            a.send(json!({"message": "by ann", "ref": n})).await;
            b.send(json!({"message": "by bob"})).await;
        }
        let (mut seen, mut acks) = (0, 0);
        while acks < 100 {
            let frame = a.next().await;
            if frame["type"] == "ack" {
                assert_eq!(frame["ref"], acks);
                assert!(number(&frame, "seq") <= seen, "{frame} before {seen}");
                acks += 1;
            } else {
                seen += 1;
                assert_eq!(number(&frame, "seq"), seen);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_in_the_middle_of_catching_up() {
    let app = App::start_with(Db::Sqlite, &[("auth.access_ttl", "2s")]).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    // So much that it cannot be read and written within the token's life.
    let count = 200_000;
    app.place
        .sql(&format!(
            "insert into messages (room_id, id, seq, user_id, body, created_at)
             with recursive n (n) as (select 1 union all select n + 1 from n where n < {count})
             select rooms.id, n, n, {}, 'x', '2026-01-01T00:00:00.000000+00:00' from n, rooms;
             update rooms set last_seq = {count}, last_id = {count};",
            ann.id
        ))
        .await;
    let again = ann.log_in("ann", crate::harness::client::PASSWORD).await;
    let mut socket = again.socket_after(&room, 0).await;
    socket.send(json!({"type": "ping"})).await;
    let (mut seen, mut ponged) = (0, false);
    let code = loop {
        match socket.next_or_close().await {
            Ok(frame) if frame["type"] == "pong" => ponged = true,
            Ok(page) => seen = number(&page, "last_seq"),
            Err(code) => break code,
        }
    };
    assert_eq!(code, 4001);
    assert!(ponged, "a ping was not answered while catching up");
    assert!(seen < count, "everything was read before the token ended");
}
