//! Typing and history on a socket of all rooms.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Seen, Talker, enter, ids, number, open, say_all, text, two_in};
use crate::harness::App;

fn typing(room: &str) -> Value {
    json!({"type": "typing", "room_id": room})
}

on_both! {
    async fn typing_is_told_to_the_others_in_that_room(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let kim = app.user("kim").await;
        kim.join(&two).await;
        let (mut a, mut also_a) = (open(&ann).await.0, open(&ann).await.0);
        let (mut b, mut k) = (open(&bob).await.0, open(&kim).await.0);
        let (mut in_one, mut in_two) = (enter(&bob, &one).await, enter(&bob, &two).await);
        let told = |room: &str| {
            json!({"type": "typing", "room_id": room, "user": "ann", "username": "ann"})
        };
        a.send(typing(&one)).await;
        for other in [&mut also_a, &mut b, &mut in_one] {
            assert_eq!(other.next().await, told(&one));
        }
        for other in [&mut a, &mut k, &mut in_two] {
            other.quiet().await;
        }
        // The next there comes too soon, in either spelling; the other room has its own time.
        a.send(typing(&one)).await;
        a.send(json!({"message": "typing", "room_id": one})).await;
        a.send(json!({"message": "typing", "room_id": two})).await;
        for other in [&mut also_a, &mut b, &mut k, &mut in_two] {
            assert_eq!(other.next().await, told(&two));
        }
        for socket in [&mut a, &mut also_a, &mut b, &mut k, &mut in_one, &mut in_two] {
            socket.quiet().await;
        }
        // Another of her sockets has a time of its own.
        also_a.send(typing(&one)).await;
        assert_eq!(a.next().await, told(&one));
        assert_eq!(b.next().await, told(&one));
        assert_eq!(app.place.count("select count(*) from messages").await, 0);
    }

    async fn typing_is_passed_on_once_in_three_seconds_for_each_room(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let (mut a, mut b) = (open(&ann).await.0, open(&bob).await.0);
        let began = Instant::now();
        a.send(typing(&one)).await;
        a.send(typing(&two)).await;
        // Rooms are told by tasks of their own, in no order.
        let told = [b.expect("typing").await, b.expect("typing").await];
        let mut told = told.map(|frame| text(&frame, "room_id"));
        told.sort();
        let mut both = [one.clone(), two.clone()];
        both.sort();
        assert_eq!(told, both);
        let someone_types = async {
            loop {
                a.send(typing(&one)).await;
                a.send(typing(&two)).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = someone_types => {}
            _ = b.expect("typing") => {}
        }
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(2900), "{waited:?}");
    }

    async fn a_history_frame_gives_older_pages_of_the_room_it_names(db) {
        let app = App::start(db).await;
        let (ann, _, rooms) = two_in(&app, ["one", "two"]).await;
        let [one, two] = &rooms;
        let (mut a, _) = open(&ann).await;
        say_all(&mut a, std::slice::from_ref(one), 1..=60, 0).await;
        say_all(&mut a, std::slice::from_ref(two), 1..=5, 0).await;
        let (mut a, _) = open(&ann).await;
        for (room, before, limit, first, last, has_more) in [
            (one, None, None, 11, 60, true),
            (one, Some(12), None, 1, 11, false),
            (one, Some(12), Some(5), 7, 11, true),
            (one, Some(i64::MAX), Some(1), 60, 60, true),
            (one, None, Some(500), 1, 60, false),
            (two, None, None, 1, 5, false),
            (two, Some(3), Some(50), 1, 2, false),
        ] {
            let frame = json!({
                "type": "history", "room_id": room, "before": before, "limit": limit,
            });
            a.send(frame.clone()).await;
            let page = a.expect("message_history").await;
            assert_eq!(page["room_id"], *room, "{frame}");
            assert_eq!(ids(&page), (first..=last).collect::<Vec<_>>(), "{frame}");
            assert_eq!(page["has_more"], has_more, "{frame}");
            assert_eq!(number(&page, "last_id"), last, "{frame}");
            assert_eq!(number(&page, "last_seq"), last, "{frame}");
        }
        a.send(json!({"type": "history", "room_id": two, "before": 1})).await;
        let page = a.expect("message_history").await;
        assert_eq!((&page["messages"], &page["has_more"]), (&json!([]), &json!(false)));
        a.quiet().await;
    }

    async fn a_page_of_history_never_says_more_than_was_sent(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let talkers = [Talker::start(&bob, &one).await, Talker::start(&bob, &two).await];
        let (mut a, ready) = open(&ann).await;
        let mut seen = Seen::of(&ready);
        for n in 0..100 {
            let room = if n % 2 == 0 { &one } else { &two };
            a.send(json!({"type": "history", "room_id": room, "limit": 200})).await;
            let page = loop {
                let frame = a.next().await;
                if frame["type"] == "message_history" {
                    break frame;
                }
                seen.hear(&frame);
            };
            assert_eq!(page["room_id"], *room);
            let (last, sent) = (number(&page, "last_seq"), seen.0[room]);
            assert!(last <= sent, "{last} of {sent}");
        }
        for talker in talkers {
            talker.stop().await;
        }
    }
}
