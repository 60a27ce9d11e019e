//! Reading messages: which ones a page has, and who may read them.

use serde_json::json;

use super::{ids, is_just_now, keys};
use crate::harness::{App, User};

/// Says the numbers up to `last`; returns the speaker, and the path of the messages.
async fn numbered(app: &App, last: i64) -> (User, String) {
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let mut socket = ann.socket(&room).await;
    socket.say_numbers(1..=last, 0).await;
    (ann, format!("/messages/{room}/"))
}

on_both! {
    async fn a_page_and_its_messages_have_exactly_these_keys(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let path = format!("/messages/{room}/send/");
        let first = ann.post(&path, json!({"message": "hi"})).await.expect(201);
        assert_eq!(
            keys(&first),
            [
                "id", "seq", "room_id", "user", "username", "user_id", "message", "timestamp",
                "nonce"
            ]
        );
        is_just_now(&first["timestamp"]);
        let mut expected = json!({
            "id": 1, "seq": 1, "room_id": room, "user": "ann", "username": "ann",
            "user_id": ann.id, "message": "hi", "timestamp": first["timestamp"], "nonce": null,
        });
        assert_eq!(first, expected);

        let second = ann.post(&path, json!({"message": "ho", "nonce": "n-1"})).await.expect(201);
        expected["id"] = json!(2);
        expected["seq"] = json!(2);
        expected["message"] = json!("ho");
        expected["nonce"] = json!("n-1");
        expected["timestamp"] = second["timestamp"].clone();
        assert_eq!(second, expected);

        let page = ann.get(&format!("/messages/{room}/")).await.expect(200);
        assert_eq!(
            keys(&page),
            ["type", "room_id", "messages", "has_more", "last_id", "last_seq"]
        );
        let expected = json!({
            "type": "message_history", "room_id": room, "messages": [first, second],
            "has_more": false, "last_id": 2, "last_seq": 2,
        });
        assert_eq!(page, expected);
    }

    async fn an_empty_room_has_an_empty_page(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let empty = json!({
            "type": "message_history", "room_id": room, "messages": [],
            "has_more": false, "last_id": 0, "last_seq": 0,
        });
        for query in ["", "?limit=200", "?before=5", "?after=0", "?after=5"] {
            let page = ann.get(&format!("/messages/{room}/{query}")).await.expect(200);
            assert_eq!(page, empty, "{query}");
        }
    }

    async fn a_room_goes_by_its_id_in_any_spelling_and_by_its_name(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("Große Halle").await;
        let first = ann.say(&room, "hi").await;
        for spelling in [
            room.clone(),
            room.to_uppercase(),
            room.replace('-', ""),
            room.replace('-', "").to_uppercase(),
            "Gro%C3%9Fe%20Halle".to_owned(),
            "GROSSE%20HALLE".to_owned(),
        ] {
            for slash in ["", "/"] {
                let page = ann.get(&format!("/messages/{spelling}{slash}")).await.expect(200);
                assert_eq!(page["room_id"], room, "{spelling}");
                assert_eq!(page["messages"][0], first, "{spelling}");
            }
            let sent = ann.say(&spelling, "again").await;
            assert_eq!(sent["room_id"], room, "{spelling}");
        }
        assert_eq!(ann.history(&room).await.len(), 7);
    }

    async fn a_page_has_the_newest_fifty_unless_asked_otherwise_and_never_over_200(db) {
        let app = App::start(db).await;
        let (ann, path) = numbered(&app, 230).await;
        for (query, first, has_more) in [
            ("", 181, true),
            ("?limit=50", 181, true),
            ("?limit=1", 230, true),
            ("?limit=0", 230, true),
            ("?limit=200", 31, true),
            ("?limit=201", 31, true),
            ("?limit=500", 31, true),
            ("?limit=4294967295", 31, true),
            ("?before=9999", 181, true),
        ] {
            let page = ann.get(&format!("{path}{query}")).await.expect(200);
            assert_eq!(ids(&page), (first..=230).collect::<Vec<_>>(), "{query}");
            assert_eq!(page["has_more"], has_more, "{query}");
            assert_eq!((&page["last_id"], &page["last_seq"]), (&json!(230), &json!(230)));
        }
        for query in ["?after=0&limit=500", "?after=0&limit=200"] {
            let page = ann.get(&format!("{path}{query}")).await.expect(200);
            assert_eq!(ids(&page), (1..=200).collect::<Vec<_>>(), "{query}");
            assert_eq!(page["has_more"], true);
        }
        let page = ann.get(&format!("{path}?before=201&limit=200")).await.expect(200);
        assert_eq!((ids(&page).len(), &page["has_more"]), (200, &json!(false)));
    }

    async fn pages_lead_backwards_to_the_first_message(db) {
        let app = App::start(db).await;
        let (ann, path) = numbered(&app, 120).await;
        let mut before = 121;
        for (first, last, has_more) in [(71, 120, true), (21, 70, true), (1, 20, false)] {
            let page = ann.get(&format!("{path}?limit=50&before={before}")).await.expect(200);
            assert_eq!(ids(&page), (first..=last).collect::<Vec<_>>());
            assert_eq!(page["has_more"], has_more);
            assert_eq!((&page["last_id"], &page["last_seq"]), (&json!(last), &json!(last)));
            for message in page["messages"].as_array().expect("messages") {
                assert_eq!(message["message"], message["id"].to_string());
                assert_eq!(message["seq"], message["id"]);
            }
            before = first;
        }
        for nothing in [1, 0, -7] {
            let page = ann.get(&format!("{path}?before={nothing}")).await.expect(200);
            assert_eq!((ids(&page).len(), &page["has_more"]), (0, &json!(false)));
        }
    }

    async fn pages_lead_forwards_to_the_newest_message(db) {
        let app = App::start(db).await;
        let (ann, path) = numbered(&app, 120).await;
        let mut after = 0;
        for (first, last, has_more) in [(1, 50, true), (51, 100, true), (101, 120, false)] {
            let page = ann.get(&format!("{path}?limit=50&after={after}")).await.expect(200);
            assert_eq!(ids(&page), (first..=last).collect::<Vec<_>>());
            assert_eq!(page["has_more"], has_more);
            assert_eq!((&page["last_id"], &page["last_seq"]), (&json!(last), &json!(last)));
            after = last;
        }
        for nothing in ["120", "121", "9223372036854775807"] {
            let page = ann.get(&format!("{path}?after={nothing}")).await.expect(200);
            assert_eq!((ids(&page).len(), &page["has_more"]), (0, &json!(false)));
            assert_eq!((&page["last_id"], &page["last_seq"]), (&json!(120), &json!(120)));
        }
        let page = ann.get(&format!("{path}?after=-5&limit=1")).await.expect(200);
        assert_eq!(ids(&page), [1]);
    }

    async fn a_parameter_that_is_no_number_is_told(db) {
        let app = App::start(db).await;
        let (ann, path) = numbered(&app, 1).await;
        let both = ann.get(&format!("{path}?before=5&after=2")).await;
        let body = both.refused(400, "invalid_parameter");
        assert_eq!(body["detail"], "Send one of `before` and `after`, not both.");
        for query in [
            "before=x", "before=", "before=1.5", "before=99999999999999999999", "before=%00",
            "after=x", "after=1e3", "after=%F0%9F%91%8B", "after=0x10", "limit=x", "limit=-1",
            "limit=", "limit=4294967296", "limit=%ff",
        ] {
            let body = ann.get(&format!("{path}?{query}")).await.refused(400, "invalid_parameter");
            let name = query.split('=').next().expect("a name");
            assert!(body["detail"].as_str().expect("text").contains(name), "{query}: {body}");
        }
    }

    async fn only_members_read_and_write(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        let room = ann.room("general").await;
        ann.say(&room, "hi").await;
        let missing = "00000000-0000-4000-8000-000000000000";
        let said = json!({"message": "let me in"});
        for path in [format!("/messages/{room}"), "/messages/General".to_owned()] {
            let body = bob.get(&path).await.refused(403, "not_a_member");
            assert_eq!(body["error"], "You are not a member of this room");
            bob.post(&format!("{path}/send/"), said.clone()).await.refused(403, "not_a_member");
            let stranger = app.stranger();
            for answer in [
                stranger.get(&path).await,
                stranger.post(&format!("{path}/send/"), said.clone()).await,
            ] {
                let body = answer.refused(401, "not_authenticated");
                assert_eq!(body["detail"], "Authentication credentials were not provided.");
                assert_eq!(answer.header("www-authenticate"), "Bearer");
            }
        }
        for room in [missing, "nowhere", "0", "%20", "g%00", "..", "%2e%2e"] {
            let body = bob.get(&format!("/messages/{room}/")).await;
            assert_eq!(body.status, 404, "{room}: {}", body.text);
            let path = format!("/messages/{room}/send/");
            assert_eq!(bob.post(&path, said.clone()).await.status, 404, "{room}");
        }
        let body = bob.get(&format!("/messages/{missing}/")).await.refused(404, "room_not_found");
        assert_eq!(body["error"], "Room not found");
        assert_eq!(ann.history(&room).await.len(), 1);
    }
}
