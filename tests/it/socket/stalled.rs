//! A reader that is stuck: what it gets when it comes back, and that nobody else notices.

use serde_json::json;
use tokio::time::{Duration, timeout};

use super::resume::read_up_to;
use super::{enter, number, two};
use crate::harness::{App, Socket, User};

/// Nobody is let go for being stuck.
const PATIENT: [(&str, &str); 1] = [("sockets.stall_timeout", "10m")];
/// The length of messages of which 400 are more than the two systems keep for a connection.
const LONG: usize = 16 * 1024;
/// No listener who reads takes this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A socket that reads its history, and nothing more until the test does.
async fn stuck(app: &App, who: &User, room: &str) -> Socket {
    let path = format!("/ws/chat/{room}/?token={}", who.token);
    let mut socket = Socket::open_narrow(app.address, &path).await;
    socket.expect("message_history").await;
    socket
}

/// A third user in the room.
async fn third(app: &App, room: &str) -> User {
    let kim = app.user("kim").await;
    kim.join(room).await;
    kim
}

on_both! {
    async fn a_stalled_reader_that_comes_back_after_5000_messages_has_them_all_in_order(db) {
        let app = App::start_with(db, &PATIENT).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = stuck(&app, &bob, &room).await;
        a.say_numbers(1..=5000, 1500).await;
        // It goes on while he comes back.
        let talking = tokio::spawn(async move {
            a.say_numbers(5001..=5300, 0).await;
            a
        });
        read_up_to(&mut b, 0, 5300).await;
        let mut a = talking.await.expect("all said");
        b.quiet().await;
        // He is not behind any more.
        a.send(json!({"message": "live"})).await;
        assert_eq!(b.expect("chat_message").await["seq"], 5301);
        b.quiet().await;
    }

    async fn a_stuck_reader_does_not_keep_the_others_from_hearing(db) {
        let app = App::start_with(db, &PATIENT).await;
        let (ann, bob, room) = two(&app).await;
        let kim = third(&app, &room).await;
        let mut stuck_ones =
            [stuck(&app, &bob, &room).await, stuck(&app, &bob, &room).await];
        let mut listeners = Vec::new();
        for who in [&kim, &ann] {
            let mut socket = enter(who, &room).await;
            listeners.push(tokio::spawn(async move {
                let pages = read_up_to(&mut socket, 0, 400).await;
                socket.quiet().await;
                pages
            }));
        }
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=400, LONG).await;
        for listener in listeners {
            let heard = timeout(PATIENCE, listener).await.expect("not stuck too");
            assert_eq!(heard.expect("all heard"), 0, "live, and by no page");
        }
        // Who comes now is served like anyone.
        let mut late = kim.socket_after(&room, 390).await;
        assert_eq!(late.expect("message_history").await["last_seq"], 400);
        // They were stuck all the while: what could not be written to them is taken back.
        bob.post("/logout/", json!({})).await.expect(200);
        for socket in &mut stuck_ones {
            let mut got = 0;
            while let Ok(frame) = socket.next_or_close().await {
                got = number(&frame, "seq");
            }
            assert!(got < 400, "{got}");
        }
        a.say_numbers(401..=410, 0).await;
        read_up_to(&mut late, 400, 410).await;
    }

    async fn typing_is_dropped_for_who_is_behind_and_messages_are_not(db) {
        let app = App::start_with(db, &PATIENT).await;
        let (ann, bob, room) = two(&app).await;
        let kim = third(&app, &room).await;
        let mut a = enter(&ann, &room).await;
        let mut b = stuck(&app, &bob, &room).await;
        a.say_numbers(1..=400, LONG).await;
        let mut k = enter(&kim, &room).await;
        a.send(json!({"type": "typing"})).await;
        assert_eq!(k.expect("typing").await["user"], "ann");
        // More than wait for anyone in memory.
        a.say_numbers(401..=700, 0).await;
        read_up_to(&mut k, 400, 700).await;
        // This fails at any frame that is not the next message.
        read_up_to(&mut b, 0, 700).await;
        // Now that he is not behind any more, he is told.
        a.say_numbers(701..=702, 0).await;
        read_up_to(&mut b, 700, 702).await;
        b.quiet().await;
        read_up_to(&mut k, 700, 702).await;
        k.send(json!({"type": "typing"})).await;
        assert_eq!(b.expect("typing").await["user"], "kim");
    }
}
