//! Messages in several rooms: to whom they come, in which order, and their acks.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Seen, as_frame, enter, message, number, open, say_all, text, two_in};
use crate::harness::App;

on_both! {
    async fn a_message_comes_to_every_socket_of_its_room_the_sender_s_too(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let own = ann.room("ann's").await;
        let (mut a, _) = open(&ann).await;
        let (mut also_a, _) = open(&ann).await;
        let (mut b, _) = open(&bob).await;
        let mut in_one = enter(&bob, &one).await;
        for room in [&one, &two, &one] {
            a.send(message(room, "hi", 1)).await;
            let told = a.expect("chat_message").await;
            a.expect("ack").await;
            let stored = ann.history(room).await;
            assert_eq!(told, as_frame(stored.last().expect("a message")));
            for other in [&mut also_a, &mut b] {
                assert_eq!(other.next().await, told);
            }
            if room == &one {
                assert_eq!(in_one.next().await, told);
            }
        }
        let sent = ann.say(&own, "by REST").await;
        assert_eq!(a.next().await, as_frame(&sent));
        assert_eq!(also_a.next().await, as_frame(&sent));
        for socket in [&mut a, &mut also_a, &mut b, &mut in_one] {
            socket.quiet().await;
        }
    }

    async fn an_ack_follows_its_message_with_room_and_ref(db) {
        let app = App::start(db).await;
        let (ann, _, [one, two]) = two_in(&app, ["one", "two"]).await;
        let (mut a, _) = open(&ann).await;
        let spelled = two.to_uppercase().replace('-', "");
        let frames = [
            (&one, &one, json!(7)),
            (&two, &two, json!("")),
            (&one, &one, json!(-1.5)),
            (&spelled, &two, json!(7)),
        ];
        for ((named, room, reference), id) in frames.into_iter().zip([1, 1, 2, 2]) {
            a.send(message(named, "hi", reference.clone())).await;
            let told = a.expect("chat_message").await;
            assert_eq!((&told["room_id"], &told["id"]), (&json!(room), &json!(id)));
            let expected = json!({
                "type": "ack", "room_id": room, "ref": reference, "id": id, "seq": id,
                "timestamp": told["timestamp"], "duplicate": false,
            });
            assert_eq!(a.next().await, expected);
        }
        // Without a ref there is none, and without a type it is a message all the same.
        a.send(json!({"message": "hi", "room_id": one})).await;
        assert_eq!(a.expect("chat_message").await["seq"], 3);
        a.quiet().await;
    }

    async fn many_messages_in_several_rooms_come_in_the_order_of_each(db) {
        let app = App::start(db).await;
        let (ann, bob, all) = two_in(&app, ["one", "two", "three"]).await;
        let (mut a, ready) = open(&ann).await;
        let mut a_seen = Seen::of(&ready);
        let (mut b, ready) = open(&bob).await;
        let mut b_seen = Seen::of(&ready);
        let mut also_b = open(&bob).await.0;
        let talking = tokio::spawn({
            let all = all.clone();
            async move { say_all(&mut also_b, &all, 1..=100, 0).await }
        });
        for n in 0..60 {
            let room = &all[n % 3];
            a.send(message(room, "by ann", format!("{n} {room}"))).await;
        }
        let mut acked = BTreeSet::new();
        while acked.len() < 60 || a_seen.0.values().any(|seq| *seq < 120) {
            let frame = a.next().await;
            if frame["type"] != "ack" {
                a_seen.hear(&frame);
                continue;
            }
            let (room, reference) = (text(&frame, "room_id"), text(&frame, "ref"));
            assert!(reference.ends_with(&room), "{frame}");
            assert!(number(&frame, "seq") <= a_seen.0[&room], "before its message: {frame}");
            assert!(acked.insert(reference), "twice: {frame}");
        }
        talking.await.expect("all said");
        b_seen.read_up_to(&mut b, 120).await;
        a.quiet().await;
        b.quiet().await;
        // The rooms were heard by turns, and each as it is stored.
        for room in &all {
            let stored = bob.history(room).await;
            let by_bob = stored.iter().filter(|m| m["user"] == "bob").map(|m| text(m, "message"));
            assert!(by_bob.eq((1..=100).map(|n| n.to_string())));
            let by_ann = stored.iter().filter(|m| m["user"] == "ann").count();
            assert_eq!((by_ann, stored.len()), (20, 120));
        }
    }

    async fn a_nonce_counts_once_in_each_room(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let (mut a, _) = open(&ann).await;
        let (mut b, _) = open(&bob).await;
        for room in [&one, &two] {
            let mut frame = message(room, "first", 1);
            frame["nonce"] = json!("n");
            a.send(frame.clone()).await;
            let told = a.expect("chat_message").await;
            assert_eq!(told["nonce"], "n");
            let mut ack = a.expect("ack").await;
            assert_eq!((&ack["id"], &ack["duplicate"]), (&json!(1), &json!(false)));
            assert_eq!(b.next().await, told);
            frame["message"] = json!("second");
            frame["ref"] = json!(2);
            a.send(frame).await;
            (ack["ref"], ack["duplicate"]) = (json!(2), json!(true));
            assert_eq!(ack["room_id"], *room);
            assert_eq!(a.next().await, ack);
            a.quiet().await;
            b.quiet().await;
        }
    }

    async fn who_has_a_room_s_socket_too_speaks_and_hears_on_both(db) {
        let app = App::start(db).await;
        let (ann, _, [one, two]) = two_in(&app, ["one", "two"]).await;
        let (mut all, _) = open(&ann).await;
        let mut in_one = enter(&ann, &one).await;
        all.send(message(&one, "here", 1)).await;
        let told = all.expect("chat_message").await;
        all.expect("ack").await;
        assert_eq!(in_one.next().await, told);
        let (ack, told) = in_one.say_and_hear(json!({"message": "there", "ref": 2})).await;
        assert_eq!(ack.get("room_id"), None, "{ack}");
        assert_eq!(all.next().await, told);
        all.send(message(&two, "elsewhere", 3)).await;
        all.expect("chat_message").await;
        all.expect("ack").await;
        all.quiet().await;
        in_one.quiet().await;
        // One goes, and the other is none the worse for it.
        in_one.close().await;
        all.send(message(&one, "alone", 4)).await;
        assert_eq!(all.expect("chat_message").await["seq"], 3);
        all.expect("ack").await;
    }
}
