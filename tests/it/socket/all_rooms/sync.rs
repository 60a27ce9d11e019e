//! Coming back on a socket of all rooms: each room from where the client was in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Seen, Talker, ids, number, open, say_all, text, two_in};
use crate::harness::{App, Socket};

const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";

/// Asks for everything since then, reads the pages of the user's rooms, and asserts that each
/// begins where it should; returns the errors that came between, by room.
async fn sync(socket: &mut Socket, seen: &mut Seen, not_his: &[&str]) -> BTreeMap<String, Value> {
    let mut asked = seen.0.clone();
    asked.extend(not_his.iter().map(|room| ((*room).to_owned(), 0)));
    socket
        .send(json!({"type": "sync", "rooms": asked, "ref": "s"}))
        .await;
    let mut under_way: BTreeSet<String> = seen.0.keys().cloned().collect();
    let mut errors = BTreeMap::new();
    while !under_way.is_empty() || errors.len() < not_his.len() {
        let frame = socket.next().await;
        let room = text(&frame, "room_id");
        if frame["type"] == "error" {
            assert!(errors.insert(room, frame).is_none(), "an error twice");
            continue;
        }
        assert_eq!(frame["type"], "message_history", "{frame}");
        assert!(under_way.contains(&room), "more than all: {frame}");
        let last = number(&frame, "last_seq");
        let page = ids(&frame);
        assert_eq!(page, (seen.0[&room] + 1..=last).collect::<Vec<_>>());
        if frame["has_more"] == true {
            assert_eq!(page.len(), 50);
        } else {
            assert!(page.len() <= 50, "{}", page.len());
            under_way.remove(&room);
        }
        seen.0.insert(room, last);
    }
    errors
}

on_both! {
    async fn sync_serves_many_rooms_at_once_and_goes_on_live(db) {
        let app = App::start(db).await;
        let (ann, bob, rooms) = two_in(&app, ["one", "two", "three", "four", "five", "six"]).await;
        let foreign = ann.room("ann's").await;
        ann.say(&foreign, "secret").await;
        let (mut a, _) = open(&ann).await;
        say_all(&mut a, &rooms, 1..=120, 0).await;
        let (mut b, _) = open(&bob).await;
        let from = [0, 10, 69, 70, 119, 120];
        let mut seen = Seen(rooms.iter().cloned().zip(from).collect());
        let errors = sync(&mut b, &mut seen, &[&foreign, NOWHERE]).await;
        assert!(seen.0.values().all(|seq| *seq == 120), "{seen:?}");
        for room in [foreign.as_str(), NOWHERE] {
            let expected = json!({
                "type": "error", "room_id": room, "message": "You are not a member of this room",
                "code": "not_a_member", "ref": "s",
            });
            assert_eq!(errors[room], expected);
        }
        b.quiet().await;
        say_all(&mut a, &rooms, 121..=123, 0).await;
        seen.read_up_to(&mut b, 123).await;
        b.quiet().await;
        // Of one room, again, in another spelling; the others go on as they were.
        let room = rooms[2].to_uppercase();
        b.send(json!({"type": "sync", "rooms": {room: 120}})).await;
        let page = b.expect("message_history").await;
        assert_eq!((&page["room_id"], ids(&page)), (&json!(rooms[2]), vec![121, 122, 123]));
        say_all(&mut a, &rooms, 124..=124, 0).await;
        seen.read_up_to(&mut b, 124).await;
        b.quiet().await;
    }

    async fn sync_beyond_the_head_goes_on_from_the_head(db) {
        let app = App::start(db).await;
        let (ann, bob, rooms) = two_in(&app, ["one", "two", "three"]).await;
        let (mut a, _) = open(&ann).await;
        say_all(&mut a, &rooms, 1..=3, 0).await;
        let (mut b, _) = open(&bob).await;
        let mut seen = Seen(rooms.iter().cloned().zip([4, 10_000, i64::MAX - 1]).collect());
        sync(&mut b, &mut seen, &[]).await;
        assert!(seen.0.values().all(|seq| *seq == 3), "{seen:?}");
        b.quiet().await;
        say_all(&mut a, &rooms, 4..=5, 0).await;
        seen.read_up_to(&mut b, 5).await;
        b.quiet().await;
    }

    async fn sync_while_others_talk_misses_nothing(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let talkers = [Talker::start(&ann, &one).await, Talker::start(&ann, &two).await];
        let (mut b, ready) = open(&bob).await;
        let mut seen = Seen::of(&ready);
        for round in 0..10 {
            for _ in 0..40 {
                let frame = b.next().await;
                seen.hear(&frame);
            }
            let after: BTreeMap<_, _> =
                seen.0.iter().map(|(room, seq)| (room.clone(), seq * round / 10)).collect();
            b.send(json!({"type": "sync", "rooms": after})).await;
            // Until its first page a room goes on as it was, and then from where it was asked for.
            let mut begun = BTreeSet::new();
            let mut live = BTreeSet::new();
            while live.len() < 2 {
                let frame = b.next().await;
                let room = text(&frame, "room_id");
                if frame["type"] == "chat_message" {
                    let paging = begun.contains(&room) && !live.contains(&room);
                    assert!(!paging, "between pages: {frame}");
                    seen.hear(&frame);
                    continue;
                }
                assert_eq!(frame["type"], "message_history", "{frame}");
                assert!(!live.contains(&room), "{frame}");
                if begun.insert(room.clone()) {
                    seen.0.insert(room.clone(), after[&room]);
                }
                let last = number(&frame, "last_seq");
                assert_eq!(ids(&frame), (seen.0[&room] + 1..=last).collect::<Vec<_>>());
                seen.0.insert(room.clone(), last);
                if frame["has_more"] == false {
                    live.insert(room);
                }
            }
        }
        let [first, second] = talkers;
        let ends = [(&one, first.stop().await), (&two, second.stop().await)];
        while ends.iter().any(|(room, last)| seen.0[*room] < *last) {
            let frame = b.next().await;
            seen.hear(&frame);
        }
        b.quiet().await;
    }

    async fn sync_of_a_wrong_shape_is_an_error_and_serves_nothing(db) {
        let app = App::start(db).await;
        let (ann, _, [room]) = two_in(&app, ["general"]).await;
        ann.say(&room, "hi").await;
        let (mut a, _) = open(&ann).await;
        for fields in [
            json!({}),
            json!({"after": 0}),
            json!({"room_id": room, "after": 0}),
            json!({"rooms": null}),
            json!({"rooms": room}),
            json!({"rooms": [room]}),
            json!({"rooms": {"general": 0}}),
            json!({"rooms": {&room: 0, "garbage": 0}}),
            json!({"rooms": {&room: -1}}),
            json!({"rooms": {&room: 0.5}}),
            json!({"rooms": {&room: "0"}}),
            json!({"rooms": {&room: null}}),
            json!({"rooms": {&room: u64::MAX}}),
        ] {
            let mut frame = fields;
            (frame["type"], frame["ref"]) = (json!("sync"), json!(7));
            a.send(frame.clone()).await;
            let told = a.expect("error").await;
            assert_eq!(told["code"], "invalid_frame", "{frame}");
            assert_eq!(told["ref"], 7, "{frame}");
            a.quiet().await;
        }
        a.send(json!({"type": "sync", "rooms": {}})).await;
        a.quiet().await;
    }
}
