//! Rooms that the user loses while the socket is open: it is told, and goes on with the others.

use serde_json::{Value, json};

use super::{Seen, Talker, as_frame, enter, message, open, say_all, text, two_in};
use crate::harness::{App, Socket, User};

/// Takes the user out of the room of that name, as the command line does.
async fn remove(app: &App, who: &User, name: &str) {
    let room = format!("select id from rooms where name = '{name}'");
    let sql = format!(
        "delete from members where user_id = {} and room_id = ({room})",
        who.id
    );
    app.place.sql(&sql).await;
}

fn left(room: &str, reason: &str) -> Value {
    json!({"type": "room_left", "room_id": room, "reason": reason})
}

/// Nothing that a client may do in a room can be done there.
async fn shut_out(socket: &mut Socket, room: &str, code: &str) {
    for (frame, code) in [
        (json!({"type": "message", "message": "hi"}), code),
        (json!({"type": "history"}), code),
        (json!({"type": "typing"}), "not_a_member"),
        (json!({"type": "sync", "rooms": {room: 0}}), "not_a_member"),
    ] {
        let mut frame = frame;
        (frame["room_id"], frame["ref"]) = (json!(room), json!(7));
        socket.send(frame.clone()).await;
        let told = socket.expect("error").await;
        let answer = (&told["code"], &told["ref"], &told["room_id"]);
        assert_eq!(answer, (&json!(code), &json!(7), &json!(room)), "{frame}");
        socket.quiet().await;
    }
}

on_both! {
    async fn who_is_removed_from_a_room_is_told_and_keeps_the_others(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let node = app.another_node().await;
        let (mut a, mut in_two) = (open(&ann).await.0, enter(&bob, &two).await);
        let far_bob = bob.at(node.address);
        let mut sockets = [open(&bob).await.0, open(&bob).await.0, open(&far_bob).await.0];
        remove(&app, &bob, "one").await;
        for socket in &mut sockets {
            assert_eq!(socket.next().await, left(&one, "removed"));
            shut_out(socket, &one, "not_a_member").await;
        }
        let said = ann.say(&one, "of Bob").await;
        assert_eq!(a.next().await, as_frame(&said));
        let said = ann.say(&two, "to Bob").await;
        for socket in sockets.iter_mut().chain([&mut a, &mut in_two]) {
            assert_eq!(socket.next().await, as_frame(&said));
            socket.quiet().await;
        }
        assert_eq!(ann.history(&one).await.len(), 1);
        // He comes back, and it is a room like any other.
        bob.join(&one).await;
        for socket in &mut sockets {
            let frame = socket.expect("room_joined").await;
            assert_eq!((&frame["room_id"], &frame["last_seq"]), (&json!(one), &json!(1)));
        }
        let said = ann.say(&one, "welcome").await;
        for socket in &mut sockets {
            assert_eq!(socket.next().await, as_frame(&said));
            socket.quiet().await;
        }
    }

    async fn a_deleted_room_is_told_and_the_others_go_on(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two, three]) = two_in(&app, ["one", "two", "three"]).await;
        let node = app.another_node().await;
        let far_bob = bob.at(node.address);
        let mut sockets = [open(&ann).await.0, open(&bob).await.0, open(&far_bob).await.0];
        let path = |room: &str| format!("/room/delete/{room}/");
        for (gone, address) in [(&one, app.address), (&two, node.address)] {
            ann.say(gone, "the last").await;
            for socket in &mut sockets {
                socket.expect("chat_message").await;
            }
            ann.at(address).delete(&path(gone)).await.expect(200);
            for socket in &mut sockets {
                assert_eq!(socket.next().await, left(gone, "deleted"));
                shut_out(socket, gone, "room_not_found").await;
            }
        }
        let said = ann.say(&three, "still here").await;
        for socket in &mut sockets {
            assert_eq!(socket.next().await, as_frame(&said));
            socket.quiet().await;
        }
        // Another room of that name is another room.
        let again = ann.room("one").await;
        assert_ne!(again, one);
        assert_eq!(sockets[0].expect("room_joined").await["room_id"], again);
        for socket in &mut sockets {
            socket.quiet().await;
        }
    }

    async fn after_the_frame_that_tells_of_it_nothing_of_the_room_comes(db) {
        let app = App::start(db).await;
        let (ann, bob, [one, two]) = two_in(&app, ["one", "two"]).await;
        let talkers = [Talker::start(&ann, &one).await, Talker::start(&ann, &two).await];
        let (mut b, ready) = open(&bob).await;
        let mut seen = Seen::of(&ready);
        for _ in 0..3 {
            let removing = remove(&app, &bob, "one");
            let hearing = async {
                loop {
                    let frame = b.next().await;
                    if frame["type"] == "room_left" {
                        break assert_eq!(frame, left(&one, "removed"));
                    }
                    seen.hear(&frame);
                }
            };
            tokio::join!(removing, hearing);
            seen.0.remove(&one).expect("it was there");
            // It fails at any message of a room that was lost.
            for _ in 0..60 {
                let frame = b.next().await;
                assert_eq!(seen.hear(&frame), two);
            }
            bob.join(&one).await;
            loop {
                let frame = b.next().await;
                if frame["type"] == "room_joined" {
                    break seen.add(&frame);
                }
                seen.hear(&frame);
            }
            let begun = seen.0[&one];
            while seen.0[&one] < begun + 20 {
                let frame = b.next().await;
                seen.hear(&frame);
            }
        }
        for talker in talkers {
            talker.stop().await;
        }
    }

    async fn who_loses_all_rooms_stays_and_may_join_others(db) {
        let app = App::start(db).await;
        let (ann, bob, all) = two_in(&app, ["one", "two", "three"]).await;
        let (mut b, _) = open(&bob).await;
        app.place.sql(&format!("delete from members where user_id = {}", bob.id)).await;
        let mut lost = Vec::new();
        for _ in &all {
            let frame = b.expect("room_left").await;
            assert_eq!(frame["reason"], "removed");
            lost.push(text(&frame, "room_id"));
        }
        lost.sort();
        let mut all = all.to_vec();
        all.sort();
        assert_eq!(lost, all);
        b.quiet().await;
        let (mut a, _) = open(&ann).await;
        say_all(&mut a, &all, 1..=1, 0).await;
        b.quiet().await;
        let own = bob.room("bob's").await;
        assert_eq!(b.expect("room_joined").await["room_id"], own);
        b.send(message(&own, "hi", 1)).await;
        assert_eq!(b.expect("chat_message").await["room_id"], own);
        b.expect("ack").await;
        b.quiet().await;
    }
}
