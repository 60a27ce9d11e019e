//! The first frame: who it is, which rooms, and where each of them is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Seen, Talker, as_frame, listed, many_rooms, open, path, rooms, say_all, text, two_in};
use crate::harness::{App, Db, Socket};

on_both! {
    async fn the_first_frame_says_who_it_is_and_lists_the_rooms_as_rest_does(db) {
        let app = App::start(db).await;
        let (ann, bob, [first, second]) = two_in(&app, ["general", "Großer Saal"]).await;
        let third = bob.room("bob's").await;
        ann.join(&third).await;
        let (mut a, _) = open(&ann).await;
        say_all(&mut a, std::slice::from_ref(&second), 1..=7, 0).await;

        let (mut b, ready) = open(&bob).await;
        let keys: Vec<_> = ready.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["type", "user", "rooms", "has_more"]);
        let user = json!({"id": bob.id, "email": "bob@example.org", "username": "bob"});
        assert_eq!((&ready["user"], &ready["has_more"]), (&user, &json!(false)));
        let entry = &rooms(&ready)[1];
        let expected = json!({
            "room_id": second, "room_name": "Großer Saal", "created_at": entry["created_at"],
            "created_by": {"id": ann.id, "username": "ann"}, "role": "member",
            "last_id": 7, "last_seq": 7,
        });
        assert_eq!(entry, &expected);
        let keys: Vec<_> = entry.as_object().expect("an object").keys().collect();
        let names = [
            "room_id", "room_name", "created_at", "created_by", "role", "last_id", "last_seq",
        ];
        assert_eq!(keys, names);
        assert_eq!(rooms(&ready), listed(&bob).await);
        b.quiet().await;

        // Each in the order in which the user joined.
        for (who, roles) in [
            (&ann, ["owner", "owner", "member"]),
            (&bob, ["member", "member", "owner"]),
        ] {
            let (_, ready) = open(who).await;
            let told: Vec<_> = rooms(&ready).iter().map(|room| text(room, "room_id")).collect();
            assert_eq!(told, [first.clone(), second.clone(), third.clone()]);
            let told: Vec<_> = rooms(&ready).iter().map(|room| text(room, "role")).collect();
            assert_eq!(told, roles);
        }
    }

    async fn who_is_in_no_room_is_told_so_and_may_stay(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        app.user("bob").await.room("not hers").await;
        let (mut a, ready) = open(&ann).await;
        let expected = json!({
            "type": "ready", "has_more": false, "rooms": [],
            "user": {"id": ann.id, "email": "ann@example.org", "username": "ann"},
        });
        assert_eq!(ready, expected);
        a.quiet().await;
    }

    async fn what_is_said_goes_on_from_the_first_frame_without_a_gap(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two, silent]) = two_in(&app, ["one", "two", "silent"]).await;
        let talkers = [Talker::start(&ann, &one).await, Talker::start(&ann, &two).await];
        let mut listeners = Vec::new();
        for _ in 0..20 {
            let (mut b, ready) = open(&bob).await;
            let mut seen = Seen::of(&ready);
            let begun = seen.clone();
            assert_eq!(seen.0[&silent], 0);
            while [&one, &two].iter().any(|room| seen.0[*room] < begun.0[*room] + 10) {
                let frame = b.next().await;
                seen.hear(&frame);
            }
            listeners.push((b, seen));
        }
        let [one_more, two_more] = talkers;
        let (ones, twos) = (one_more.stop().await, two_more.stop().await);
        for (mut b, mut seen) in listeners {
            while seen.0[&one] < ones || seen.0[&two] < twos {
                let frame = b.next().await;
                seen.hear(&frame);
            }
            b.quiet().await;
        }
    }

    async fn three_hundred_rooms_are_no_trouble(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let mut all = Vec::new();
        for n in 0..300 {
            all.push(ann.room(&format!("room {n}")).await);
        }
        for room in &all {
            bob.join(room).await;
        }
        let (mut a, _) = open(&ann).await;
        let (mut b, ready) = open(&bob).await;
        let told: Vec<_> = rooms(&ready).iter().map(|room| text(room, "room_id")).collect();
        assert_eq!(told, all);
        let mut seen = Seen::of(&ready);
        say_all(&mut a, &all, 1..=2, 0).await;
        seen.read_up_to(&mut b, 2).await;
        b.quiet().await;
        // Nor is it to ask for each of them.
        let mut asked: BTreeMap<_, _> = all.iter().map(|room| (room.clone(), 1)).collect();
        b.send(json!({"type": "sync", "rooms": asked})).await;
        while !asked.is_empty() {
            let page = b.expect("message_history").await;
            assert_eq!((&page["messages"][0]["id"], &page["last_seq"]), (&json!(2), &json!(2)));
            assert!(asked.remove(&text(&page, "room_id")).is_some(), "twice: {page}");
        }
        b.quiet().await;
    }

    async fn more_rooms_than_one_page_of_them_are_all_there(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        many_rooms(&app, db, &ann, 1100).await;
        let (mut a, ready) = open(&ann).await;
        let mut all = listed(&ann).await;
        assert_eq!(all.len(), 1000);
        let after = text(&all[999], "room_id");
        all.extend(rooms(&ann.get(&format!("/rooms/?after={after}&limit=1000")).await.expect(200)));
        assert_eq!((rooms(&ready).len(), &ready["has_more"]), (1100, &json!(false)));
        assert_eq!(rooms(&ready), all);
        for room in [&all[0], &all[1099]] {
            let sent = ann.say(&text(room, "room_id"), "hi").await;
            assert_eq!(a.next().await, as_frame(&sent));
        }
        a.quiet().await;
    }
}

#[tokio::test]
async fn what_only_a_room_s_socket_takes_from_the_query_is_ignored() {
    let app = App::start(Db::Sqlite).await;
    let (ann, _, [room]) = two_in(&app, ["general"]).await;
    ann.say(&room, "hi").await;
    for query in ["&after=0", "&after=garbage", "&room_id=x"] {
        let mut socket = Socket::open(app.address, &(path(&ann) + query), &[]).await;
        let ready: Value = socket.expect("ready").await;
        assert_eq!(ready["rooms"][0]["last_seq"], 1);
        socket.quiet().await;
    }
    let path = format!("/ws?token={}", ann.token);
    let mut socket = Socket::open(app.address, &path, &[]).await;
    socket.expect("ready").await;
}
