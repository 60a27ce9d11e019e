//! Rooms that come at the moment when something else does.

use futures_util::future::{join, join_all};
use serde_json::json;

use super::{Seen, Talker, many_rooms, message, number, open, rooms, text, two_in};
use crate::harness::{App, Random};

on_both! {
    async fn a_room_that_meets_an_opening_socket_is_told_once(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let mut random = Random::printed();
        for round in 0..50 {
            let turns: Vec<_> = (0..6).map(|_| random.below(200)).collect();
            let opening = join_all(turns.into_iter().map(async |turns| {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                open(&ann).await
            }));
            let name = format!("room {round}");
            let (sockets, room) = join(opening, ann.room(&name)).await;
            for (mut socket, ready) in sockets {
                let known = rooms(&ready).iter().filter(|r| text(r, "room_id") == room).count();
                assert!(known <= 1, "{ready}");
                if known == 0 {
                    let told = socket.expect("room_joined").await;
                    assert_eq!(text(&told, "room_id"), room);
                }
                socket.quiet().await;
            }
        }
    }

    async fn what_is_said_in_a_room_that_meets_an_opening_socket_has_no_gap(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let mut random = Random::printed();
        for round in 0..20 {
            let room = ann.room(&format!("room {round}")).await;
            let talker = Talker::start(&ann, &room).await;
            let bob = app.user(&format!("bob-{round}")).await;
            let turns: Vec<_> = (0..6).map(|_| random.below(200)).collect();
            let opening = join_all(turns.into_iter().map(async |turns| {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                open(&bob).await
            }));
            let (sockets, ()) = join(opening, bob.join(&room)).await;
            for (mut socket, ready) in sockets {
                let mut seen = Seen::of(&ready);
                let mut heard = 0;
                while heard < 20 {
                    let frame = socket.next().await;
                    // Told twice is for another test; here it must not lie about what was sent.
                    if frame["type"] == "room_joined" {
                        let known = seen.0.insert(room.clone(), number(&frame, "last_seq"));
                        assert!(known.is_none_or(|seq| seq == seen.0[&room]), "{known:?} {frame}");
                    } else {
                        seen.hear(&frame);
                        heard += 1;
                    }
                }
            }
            talker.stop().await;
        }
    }

    async fn a_deleted_room_is_never_told_as_one_that_the_user_was_removed_from(db) {
        let app = App::start(db).await;
        let node = app.another_node().await;
        let ann = app.user("ann").await;
        many_rooms(&app, db, &ann, 800).await;
        let (here, ready) = open(&ann).await;
        let (there, _) = open(&ann.at(node.address)).await;
        let all: Vec<_> = Seen::of(&ready).0.into_keys().collect();
        let hearing = [here, there].map(|mut socket| {
            let count = all.len();
            tokio::spawn(async move {
                for _ in 0..count {
                    let frame = socket.expect("room_left").await;
                    assert_eq!(frame["reason"], "deleted", "{frame}");
                }
                socket.quiet().await;
            })
        });
        // So many that some go while the server looks what has changed.
        for some in all.chunks(4) {
            let deleting = some.iter().map(async |room| {
                ann.delete(&format!("/room/delete/{room}/")).await.expect(200);
            });
            join_all(deleting).await;
        }
        for socket in hearing {
            socket.await.expect("all heard");
        }
    }

    async fn a_room_joined_on_another_node_is_told_beside_a_socket_that_knows_it(db) {
        let app = App::start(db).await;
        let (ann, bob, _) = two_in(&app, ["general"]).await;
        let node = app.another_node().await;
        for n in 0..3 {
            let room = ann.room(&format!("room {n}")).await;
            let (mut first, _) = open(&bob).await;
            bob.at(node.address).join(&room).await;
            let (mut second, ready) = open(&bob).await;
            assert_eq!(rooms(&ready).last().expect("a room")["room_id"], room);
            let told = first.expect("room_joined").await;
            assert_eq!(text(&told, "room_id"), room);
            second.quiet().await;
        }
    }

    async fn a_message_is_answered_also_where_the_socket_does_not_know_the_room_yet(db) {
        let app = App::start(db).await;
        let (ann, bob, _) = two_in(&app, ["general"]).await;
        let node = app.another_node().await;
        for n in 0..3 {
            let room = ann.room(&format!("room {n}")).await;
            let (mut b, _) = open(&bob).await;
            bob.at(node.address).join(&room).await;
            b.send(message(&room, "hi", "r")).await;
            // Done or not done, but not nothing.
            let answer = loop {
                let frame = b.next().await;
                if frame["ref"] == "r" {
                    break frame;
                }
            };
            let stored = ann.history(&room).await.len();
            let expected = if stored == 1 { "ack" } else { "error" };
            assert_eq!((&answer["type"], &answer["room_id"]), (&json!(expected), &json!(room)));
        }
    }
}
