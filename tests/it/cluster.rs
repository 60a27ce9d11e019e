//! Two nodes on one database: they agree, and each notices what happened on the other.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::App;
use crate::harness::client::PASSWORD;
use crate::invariants::{Scene, check};

on_both! {
    async fn every_promise_holds_on_two_nodes(db) {
        let one = App::start(db).await;
        let two = one.another_node().await;
        let scene = Scene {
            nodes: vec![one, two],
            rooms: 2,
            talkers: 16,
            writers: 4,
            messages: 20,
            observers: 3,
        };
        check(&scene.play().await, 20 * 20);
    }

    async fn a_nonce_brought_to_both_nodes_at_once_makes_one_message(db) {
        let one = App::start(db).await;
        let two = one.another_node().await;
        let ann = one.user("ann").await;
        let room = ann.room("general").await;
        let mut here = ann.socket(&room).await;
        here.expect("message_history").await;
        let mut there = ann.at(two.address).socket(&room).await;
        there.expect("message_history").await;
        for round in 1..=3 {
            let mut tasks = JoinSet::new();
            for n in 0..40 {
                let ann = ann.at(if n % 2 == 0 { one.address } else { two.address });
                let path = format!("/messages/{room}/send/");
                let body = json!({"message": format!("from {n}"), "nonce": format!("{round}")});
                tasks.spawn(async move { ann.post(&path, body).await });
            }
            let answers = tasks.join_all().await;
            let new = answers.iter().filter(|answer| answer.status == 201).count();
            let again = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!((new, again), (1, 39));
            let bodies: BTreeSet<_> = answers.iter().map(|answer| answer.text.clone()).collect();
            assert_eq!(bodies.len(), 1, "{bodies:?}");
            for socket in [&mut here, &mut there] {
                assert_eq!(socket.expect("chat_message").await["seq"], round);
            }
        }
        here.quiet().await;
        there.quiet().await;
        assert_eq!(ann.history(&room).await.len(), 3);
    }

    async fn what_is_said_on_one_node_reaches_a_quiet_room_on_the_other(db) {
        let one = App::start(db).await;
        let two = one.another_node().await;
        let ann = one.user("ann").await;
        let room = ann.room("general").await;
        ann.say(&room, "before").await;
        let mut there = ann.at(two.address).socket(&room).await;
        assert_eq!(there.expect("message_history").await["last_seq"], 1);
        // More than a page, then one at a time.
        for n in 2..=122 {
            ann.say(&room, &n.to_string()).await;
        }
        for n in 2..=122 {
            let message = there.expect("chat_message").await;
            assert_eq!(message["seq"], n);
            assert_eq!(message["message"], n.to_string());
        }
        for n in 123..=125 {
            ann.say(&room, "single").await;
            assert_eq!(there.expect("chat_message").await["seq"], n);
        }
        there.quiet().await;
    }

    async fn a_room_deleted_on_one_node_ends_its_sockets_on_the_other(db) {
        let one = App::start(db).await;
        let two = one.another_node().await;
        let ann = one.user("ann").await;
        let (gone, kept) = (ann.room("gone").await, ann.room("kept").await);
        let mut here = ann.socket(&gone).await;
        let mut there = ann.at(two.address).socket(&gone).await;
        let mut other = ann.at(two.address).socket(&kept).await;
        ann.delete(&format!("/room/delete/{gone}/")).await.expect(200);
        assert_eq!(here.closed().await, 4004);
        assert_eq!(there.closed().await, 4004);
        other.expect("message_history").await;
        other.quiet().await;
        let mut late = ann.at(two.address).socket(&gone).await;
        assert_eq!(late.closed().await, 4004);
    }

    async fn a_logout_on_one_node_ends_its_sockets_on_the_other(db) {
        let one = App::start(db).await;
        let two = one.another_node().await;
        let ann = one.user("ann").await;
        let room = ann.room("general").await;
        let elsewhere = one.stranger().log_in("ann", PASSWORD).await;
        let mut here = ann.socket(&room).await;
        let mut there = ann.at(two.address).socket(&room).await;
        let mut other = elsewhere.at(two.address).socket(&room).await;
        ann.post("/logout/", json!({})).await.expect(200);
        assert_eq!(here.closed().await, 4002);
        assert_eq!(there.closed().await, 4002);
        assert_eq!(ann.at(two.address).get("/rooms/").await.status, 401);
        // Another login of the same user goes on.
        other.expect("message_history").await;
        other.quiet().await;
        elsewhere.say(&room, "still here").await;
        other.expect("chat_message").await;
    }

    async fn a_member_removed_behind_the_servers_backs_is_shut_out(db) {
        let one = App::start(db).await;
        let two = one.another_node().await;
        let (ann, bob) = (one.user("ann").await, one.user("bob").await);
        let room = ann.room("general").await;
        bob.join(&room).await;
        let mut here = bob.socket(&room).await;
        let mut there = bob.at(two.address).socket(&room).await;
        let mut kept = ann.socket(&room).await;
        one.place.sql(&format!("delete from members where user_id = {}", bob.id)).await;
        assert_eq!(here.closed().await, 4003);
        assert_eq!(there.closed().await, 4003);
        kept.expect("message_history").await;
        kept.quiet().await;
    }
}
