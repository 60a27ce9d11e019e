//! Coming back: exactly what was missed, then live, however much it is.

use serde_json::{Value, json};

use super::{enter, ids, number, two};
use crate::harness::{App, Socket};

/// Reads up to this change, by pages or one by one, and asserts that nothing is missing, doubled
/// or out of order; returns how many pages there were.
pub(super) async fn read_up_to(socket: &mut Socket, after: i64, last: i64) -> usize {
    let (mut seen, mut pages) = (after, 0);
    while seen < last {
        let frame = socket.next().await;
        let messages: Vec<&Value> = if frame["type"] == "message_history" {
            pages += 1;
            frame["messages"]
                .as_array()
                .expect("messages")
                .iter()
                .collect()
        } else {
            assert_eq!(frame["type"], "chat_message");
            vec![&frame]
        };
        for message in messages {
            seen += 1;
            assert_eq!(number(message, "seq"), seen);
            let text = message["message"].as_str().expect("text");
            assert_eq!(text.trim_end_matches('.'), seen.to_string());
        }
    }
    pages
}

on_both! {
    async fn after_a_change_comes_exactly_what_was_missed(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=20, 0).await;
        for (after, missed) in [
            (0, (1..=20).collect()),
            (7, (8..=20).collect()),
            (19, vec![20]),
            (20, vec![]),
            (21, vec![]),
            (i64::MAX, vec![]),
        ] {
            let mut b = bob.socket_after(&room, after).await;
            let page = b.expect("message_history").await;
            assert_eq!(ids(&page), missed, "{after}");
            assert_eq!((&page["last_id"], &page["last_seq"]), (&json!(20), &json!(20)));
            assert_eq!(page["has_more"], false);
            b.quiet().await;
        }
        // Beyond the head it goes on from the head.
        let mut b = bob.socket_after(&room, 1000).await;
        b.expect("message_history").await;
        let sent = ann.say(&room, "21").await;
        assert_eq!(b.expect("chat_message").await["seq"], sent["seq"]);
    }

    async fn after_something_that_is_no_number_comes_the_newest_page_and_an_error(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=60, 0).await;
        for after in ["garbage", "", "-1", "1.5", "1e3", "99999999999999999999", "%00", "%ff"] {
            let path = format!("/ws/chat/{room}/?token={}&after={after}", ann.token);
            let mut socket = Socket::open(app.address, &path, &[]).await;
            let page = socket.expect("message_history").await;
            assert_eq!(ids(&page), (11..=60).collect::<Vec<_>>(), "{after}");
            let expected = json!({
                "type": "error", "code": "invalid_parameter",
                "message": "after must be a whole number from 0; this is the newest page instead.",
            });
            assert_eq!(socket.next().await, expected, "{after}");
            socket.quiet().await;
        }
    }

    async fn much_comes_in_pages_and_goes_on_live_while_others_talk(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=520, 0).await;
        let talking = tokio::spawn(async move {
            a.say_numbers(521..=900, 0).await;
            a
        });
        let mut b = bob.socket_after(&room, 20).await;
        let mut seen = 20;
        loop {
            let page = b.expect("message_history").await;
            let last = number(&page, "last_seq");
            assert_eq!(ids(&page), (seen + 1..=last).collect::<Vec<_>>());
            seen = last;
            if page["has_more"] == false {
                break;
            }
        }
        assert!(seen >= 520, "{seen}");
        assert_eq!(read_up_to(&mut b, seen, 900).await, 0);
        talking.await.expect("all said");
        b.quiet().await;
    }

    async fn who_opens_while_others_talk_misses_nothing_and_hears_nothing_twice(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let talking = tokio::spawn(async move { a.say_numbers(1..=600, 0).await });
        let mut listeners = Vec::new();
        for n in 0..12 {
            let mut b = bob.socket(&room).await;
            let first = b.expect("message_history").await;
            let mut head = number(&first, "last_seq");
            let newest = (head - 49).max(1)..=head;
            assert_eq!(ids(&first), newest.collect::<Vec<_>>());
            if n % 2 == 0 {
                // A client that lost its way asks again, in the middle of it.
                b.send(json!({"type": "sync", "after": head / 2})).await;
                loop {
                    let frame = b.next().await;
                    if frame["type"] == "message_history" {
                        let last = number(&frame, "last_seq");
                        head = head.min(number(&first, "last_seq") / 2);
                        assert_eq!(ids(&frame), (head + 1..=last).collect::<Vec<_>>());
                        head = last;
                        break;
                    }
                    head = number(&frame, "seq");
                }
            }
            listeners.push(tokio::spawn(async move {
                read_up_to(&mut b, head, 600).await;
                b.quiet().await;
            }));
        }
        talking.await.expect("all said");
        for listener in listeners {
            listener.await.expect("all heard");
        }
    }

    async fn who_does_not_read_for_long_gets_everything_once_and_in_order(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let path = format!("/ws/chat/{room}/?token={}", bob.token);
        let mut slow = Socket::open_narrow(app.address, &path).await;
        // Its history is on its way, or the first of what follows would be in it.
        slow.expect("message_history").await;
        // 6 MB, more than the two systems keep for a connection with so small a window.
        a.say_numbers(1..=2000, 3000).await;
        assert_eq!(read_up_to(&mut slow, 0, 2000).await, 0);
        slow.quiet().await;
        a.say_numbers(2001..=2001, 0).await;
        assert_eq!(slow.expect("chat_message").await["seq"], 2001);
    }

    async fn what_was_said_before_a_restart_is_there_after_it(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=10, 0).await;
        a.close().await;
        let place = app.stop().await;
        let app = App::start_in(place, &[]).await;
        let (ann, bob) = (ann.at(app.address), bob.at(app.address));
        let mut a = enter(&ann, &room).await;
        a.say_numbers(11..=15, 0).await;
        let mut b = bob.socket_after(&room, 7).await;
        assert_eq!(read_up_to(&mut b, 7, 15).await, 1);
        b.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_slowly_loses_what_waits_for_him_with_his_login() {
    let app = App::start(crate::harness::Db::Sqlite).await;
    let (ann, bob, room) = two(&app).await;
    let mut a = enter(&ann, &room).await;
    let path = format!("/ws/chat/{room}/?token={}", bob.token);
    let mut slow = Socket::open_narrow(app.address, &path).await;
    slow.expect("message_history").await;
    a.say_numbers(1..=600, 16 * 1024).await;
    bob.post("/logout/", json!({})).await.expect(200);
    // What his system has taken cannot be taken back. The rest is not sent.
    let mut got = 0;
    let code = loop {
        match slow.next_or_close().await {
            Ok(frame) => got = number(&frame, "seq"),
            Err(code) => break code,
        }
    };
    assert!(got < 600, "{got}");
    assert_eq!(code, 1006);
    let mut again = Socket::open(app.address, &path, &[]).await;
    assert_eq!(again.next_or_close().await, Err(4002));
}
