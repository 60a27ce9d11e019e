//! Two servers on one database, without Redis: each notices what the other did.

use futures_util::future::join;
use serde_json::json;

use super::{as_frame, enter, number, two};
use crate::harness::App;

on_both! {
    async fn a_message_from_another_node_arrives_in_order(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let node = app.another_node().await;
        let far_bob = bob.at(node.address);
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&far_bob, &room).await;
        for text in ["one", "two"] {
            let sent = far_bob.say(&room, text).await;
            assert_eq!(b.next().await, as_frame(&sent));
            assert_eq!(a.next().await, as_frame(&sent));
        }
        let sent = ann.say(&room, "three").await;
        assert_eq!(a.next().await, as_frame(&sent));
        assert_eq!(b.next().await, as_frame(&sent));
        a.quiet().await;
        b.quiet().await;
    }

    async fn two_nodes_that_talk_at_once_agree_on_one_order(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let node = app.another_node().await;
        let far_bob = bob.at(node.address);
        let (mut a, mut b) = (enter(&ann, &room).await, enter(&far_bob, &room).await);
        let mut speakers = [enter(&ann, &room).await, enter(&far_bob, &room).await];
        let [one, two] = &mut speakers;
        let speaking = join(one.say_numbers(1..=150, 0), two.say_numbers(1001..=1150, 0));
        let hear = |socket| async move {
            let mut heard = Vec::new();
            let socket: &mut crate::harness::Socket = socket;
            for seq in 1..=300 {
                let frame = socket.expect("chat_message").await;
                assert_eq!(number(&frame, "seq"), seq);
                heard.push(frame);
            }
            heard
        };
        let (heard, _) = join(join(hear(&mut a), hear(&mut b)), speaking).await;
        assert_eq!(heard.0, heard.1);
        for (speaker, base) in [("ann", 0), ("bob", 1000)] {
            let said = heard.0.iter().filter(|m| m["user"] == speaker);
            let said: Vec<_> = said.map(|m| m["message"].as_str().expect("text")).collect();
            let expected: Vec<_> = (base + 1..=base + 150).map(|n| n.to_string()).collect();
            assert_eq!(said, expected);
        }
        a.quiet().await;
        b.quiet().await;
    }

    async fn a_nonce_counts_on_every_node(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let node = app.another_node().await;
        let far_ann = ann.at(node.address);
        let mut b = enter(&bob, &room).await;
        let path = format!("/messages/{room}/send/");
        for n in 0..10 {
            let form = json!({"message": "hi", "nonce": format!("n{n}")});
            let (one, two) =
                join(ann.post(&path, form.clone()), far_ann.post(&path, form)).await;
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 201], "{} {}", one.text, two.text);
            assert_eq!(one.json(), two.json());
        }
        for seq in 1..=10 {
            assert_eq!(b.expect("chat_message").await["seq"], seq);
        }
        b.quiet().await;
        assert_eq!(ann.history(&room).await.len(), 10);
    }

    async fn what_ends_on_another_node_ends_here(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let node = app.another_node().await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        bob.at(node.address).post("/logout/", json!({})).await.expect(200);
        assert_eq!(b.next_or_close().await, Err(4002));
        a.quiet().await;
        ann.at(node.address).delete(&format!("/room/delete/{room}/")).await.expect(200);
        assert_eq!(a.next_or_close().await, Err(4004));
    }
}
