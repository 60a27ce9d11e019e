//! Rooms that the user comes into while the socket is open.

use serde_json::{Value, json};

use super::{Seen, Talker, as_frame, enter, listed, message, open, rooms, text, two_in};
use crate::harness::{App, Socket, User};

/// The frame that tells of the user's newest room.
async fn expected(who: &User) -> Value {
    let mut room = listed(who).await.pop().expect("a room");
    room["type"] = json!("room_joined");
    room
}

/// Every socket is told of the user's newest room, and of nothing else.
async fn told(who: &User, sockets: &mut [Socket]) {
    let expected = expected(who).await;
    for socket in sockets {
        assert_eq!(socket.next().await, expected);
        socket.quiet().await;
    }
}

on_both! {
    async fn a_room_that_the_user_joins_or_creates_is_told_to_all_his_sockets(db) {
        let app = App::start(db).await;
        let (ann, bob, [general]) = two_in(&app, ["general"]).await;
        let room = ann.room("ann's").await;
        ann.say(&room, "one").await;
        let mut sockets = [open(&bob).await.0, open(&bob).await.0];
        let mut others = [open(&ann).await.0, enter(&bob, &general).await];
        bob.join(&room).await;
        told(&bob, &mut sockets).await;
        // Once is enough.
        bob.join(&room).await;
        let own = bob.room("bob's").await;
        told(&bob, &mut sockets).await;
        for socket in &mut others {
            socket.quiet().await;
        }
        for (room, seq) in [(&room, 2), (&own, 1)] {
            let sent = bob.say(room, "hi").await;
            assert_eq!(sent["seq"], seq);
            for socket in &mut sockets {
                assert_eq!(socket.next().await, as_frame(&sent));
            }
        }
        // He may speak there, and is acked.
        let [socket, other] = &mut sockets;
        socket.send(message(&own, "mine", 1)).await;
        let heard = socket.expect("chat_message").await;
        assert_eq!(socket.expect("ack").await["room_id"], own);
        assert_eq!(other.next().await, heard);
        for socket in &mut sockets {
            socket.quiet().await;
        }
        assert_eq!(rooms(&open(&bob).await.1), listed(&bob).await);
    }

    async fn a_room_that_is_joined_or_created_on_another_node_is_told_here(db) {
        let app = App::start(db).await;
        let (ann, bob, _) = two_in(&app, ["general"]).await;
        let node = app.another_node().await;
        let far_bob = bob.at(node.address);
        let room = ann.room("ann's").await;
        ann.say(&room, "one").await;
        let mut sockets = [open(&bob).await.0, open(&bob).await.0, open(&far_bob).await.0];
        let mut ann_s = open(&ann).await.0;
        far_bob.join(&room).await;
        told(&bob, &mut sockets).await;
        let own = far_bob.room("bob's").await;
        told(&bob, &mut sockets).await;
        ann_s.quiet().await;
        for room in [&room, &own] {
            for who in [&bob, &far_bob] {
                let sent = who.say(room, "hi").await;
                for socket in &mut sockets {
                    assert_eq!(socket.next().await, as_frame(&sent));
                }
            }
        }
        for socket in &mut sockets {
            socket.quiet().await;
        }
    }

    async fn a_room_in_which_others_talk_goes_on_from_the_frame_that_tells_of_it(db) {
        let app = App::start(db).await;
        let node = app.another_node().await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let (socket, ready) = open(&bob).await;
            sockets.push((socket, Seen::of(&ready)));
        }
        let mut talkers = Vec::new();
        let nodes = [app.address, node.address, app.address, node.address];
        for (n, address) in nodes.into_iter().enumerate() {
            let room = ann.room(&format!("room {n}")).await;
            talkers.push((room.clone(), Talker::start(&ann, &room).await));
            bob.at(address).join(&room).await;
            for (socket, seen) in &mut sockets {
                loop {
                    let frame = socket.next().await;
                    if frame["type"] != "room_joined" {
                        seen.hear(&frame);
                        continue;
                    }
                    assert_eq!(text(&frame, "room_id"), room);
                    assert_eq!(frame["last_id"], frame["last_seq"]);
                    seen.add(&frame);
                    break;
                }
                let begun = seen.0[&room];
                while seen.0[&room] < begun + 20 {
                    let frame = socket.next().await;
                    seen.hear(&frame);
                }
            }
        }
        for (room, talker) in talkers {
            let last = talker.stop().await;
            for (socket, seen) in &mut sockets {
                while seen.0[&room] < last {
                    let frame = socket.next().await;
                    seen.hear(&frame);
                }
            }
        }
    }
}
