//! Typing, syncing and renewing on a socket.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{enter, ids, two};
use crate::harness::client::PASSWORD;
use crate::harness::{App, Db};

on_both! {
    async fn typing_is_told_to_the_others_and_not_stored(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let expected =
            json!({"type": "typing", "room_id": room, "user": "ann", "username": "ann"});
        for frame in [json!({"message": "typing"}), json!({"type": "typing"})] {
            let mut a = enter(&ann, &room).await;
            let mut also_ann = enter(&ann, &room).await;
            let mut b = enter(&bob, &room).await;
            a.send(frame).await;
            a.quiet().await;
            for other in [&mut also_ann, &mut b] {
                assert_eq!(other.next().await, expected);
                other.quiet().await;
            }
            // The next ones come too soon, in either spelling.
            for again in [json!({"type": "typing"}), json!({"message": "typing", "ref": 1})] {
                a.send(again).await;
                a.quiet().await;
                also_ann.quiet().await;
                b.quiet().await;
            }
        }
        assert!(ann.history(&room).await.is_empty());
    }

    async fn the_word_typing_is_a_message_if_the_type_says_so(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        let frame = json!({"type": "message", "message": "typing", "ref": 1});
        let (_, message) = a.say_and_hear(frame).await;
        assert_eq!(message["message"], "typing");
        assert_eq!(b.expect("chat_message").await, message);
        assert_eq!(ann.history(&room).await.len(), 1);
    }

    async fn sync_gives_everything_since_then_and_goes_on_live(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.say_numbers(1..=120, 0).await;
        let mut b = enter(&bob, &room).await;
        for (after, pages) in [
            (10, vec![(11, 60, true), (61, 110, true), (111, 120, false)]),
            (119, vec![(120, 120, false)]),
            (0, vec![(1, 50, true), (51, 100, true), (101, 120, false)]),
        ] {
            b.send(json!({"type": "sync", "after": after})).await;
            for (first, last, has_more) in pages {
                let page = b.expect("message_history").await;
                assert_eq!(ids(&page), (first..=last).collect::<Vec<_>>());
                assert_eq!(page["has_more"], has_more);
                assert_eq!(page["last_seq"], last);
            }
            b.quiet().await;
        }
        for nothing in [120, 121, i64::MAX] {
            b.send(json!({"type": "sync", "after": nothing})).await;
            let page = b.expect("message_history").await;
            assert_eq!(page["messages"], json!([]));
            assert_eq!((&page["last_seq"], &page["has_more"]), (&json!(120), &json!(false)));
        }
        let sent = ann.say(&room, "live").await;
        assert_eq!(b.expect("chat_message").await["seq"], sent["seq"]);
        b.quiet().await;
    }

    async fn a_socket_lives_by_the_token_it_was_given_last(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let again = ann.log_in("ann", PASSWORD).await;
        let mut a = enter(&ann, &room).await;
        a.send(json!({"type": "auth", "token": again.token})).await;
        a.quiet().await;
        ann.post("/logout/", json!({})).await.expect(200);
        assert_eq!(ann.get("/rooms/").await.status, 401);
        a.quiet().await;
        again.say(&room, "still here").await;
        a.expect("chat_message").await;
        again.post("/logout/", json!({})).await.expect(200);
        assert_eq!(a.next_or_close().await, Err(4002));
    }

    async fn a_token_that_is_no_good_changes_nothing(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let over = ann.log_in("ann", PASSWORD).await;
        over.post("/logout/", json!({})).await.expect(200);
        let mut a = enter(&ann, &room).await;
        let forged = format!("{}x", ann.token);
        for token in [&bob.token, &over.token, &ann.refresh, &forged, "garbage", ""] {
            a.send(json!({"type": "auth", "token": token})).await;
            let expected =
                json!({"type": "error", "message": "Token is invalid", "code": "token_invalid"});
            assert_eq!(a.next().await, expected, "{token}");
            a.quiet().await;
        }
        // It is still Ann's.
        let (_, message) = a.say_and_hear(json!({"message": "hi", "ref": 1})).await;
        assert_eq!(message["user"], "ann");
        bob.post("/logout/", json!({})).await.expect(200);
        a.quiet().await;
    }
}

#[tokio::test]
async fn typing_is_passed_on_once_in_three_seconds() {
    let app = App::start(Db::Sqlite).await;
    let (ann, bob, room) = two(&app).await;
    let mut a = enter(&ann, &room).await;
    let mut b = enter(&bob, &room).await;
    let began = Instant::now();
    a.send(json!({"type": "typing"})).await;
    b.expect("typing").await;
    let someone_types = async {
        loop {
            a.send(json!({"type": "typing"})).await;
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

#[tokio::test]
async fn a_newer_token_keeps_the_socket_past_the_end_of_the_first() {
    let app = App::start_with(Db::Sqlite, &[("auth.access_ttl", "4s")]).await;
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let mut a = enter(&ann, &room).await;
    // Tokens end at whole seconds.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let form = json!({"refresh_token": ann.refresh});
    let newer = app.stranger().post("/refresh/", form).await.expect(200);
    a.send(json!({"type": "auth", "token": newer["token"]}))
        .await;
    a.quiet().await;
    while ann.get("/rooms/").await.status != 401 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    a.quiet().await;
    a.send(json!({"type": "auth", "token": ann.token})).await;
    let expected =
        json!({"type": "error", "message": "Token has expired", "code": "token_expired"});
    assert_eq!(a.next().await, expected);
    assert_eq!(a.closed().await, 4001);
}
