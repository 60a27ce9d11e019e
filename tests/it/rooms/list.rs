//! `/rooms/`: one's own rooms, in the order joined.

use serde_json::{Value, json};

use crate::harness::App;

fn names(body: &Value) -> Vec<&str> {
    let rooms = body["rooms"].as_array().expect("rooms");
    rooms
        .iter()
        .map(|room| room["room_name"].as_str().expect("a name"))
        .collect()
}

on_both! {
    async fn without_rooms_the_list_says_so(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        ann.room("general").await;
        let none = json!({"rooms": [], "count": 0, "message": "No rooms found"});
        for path in ["/rooms/", "/rooms"] {
            assert_eq!(bob.get(path).await.expect(200), none);
        }
    }

    async fn the_list_has_ones_rooms_in_the_order_joined_with_their_creators(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let mut made = Vec::new();
        for (user, name) in [(&ann, "zebra"), (&ann, "apple"), (&bob, "mango"), (&ann, "kiwi")] {
            let form = json!({ "chat_room_name": name });
            made.push(user.post("/rooms/create/", form).await.expect(201));
        }
        let id = |n: usize| made[n]["room_id"].as_str().expect("an id");
        bob.join(id(1)).await;
        bob.join(id(0)).await;
        bob.join(id(1)).await;
        ann.say(id(0), "one").await;
        ann.say(id(0), "two").await;
        let row = |n: usize, owner: &crate::harness::User, role: &str, last: i64| {
            json!({"room_id": id(n), "room_name": made[n]["room_name"],
                "created_at": made[n]["created_at"],
                "created_by": {"id": owner.id, "username": owner.username},
                "role": role, "last_id": last, "last_seq": last})
        };
        assert_eq!(
            bob.get("/rooms/").await.expect(200),
            json!({"rooms": [row(2, &bob, "owner", 0), row(1, &ann, "member", 0),
                    row(0, &ann, "member", 2)],
                "count": 3, "message": "Rooms fetched successfully"})
        );
        assert_eq!(names(&ann.get("/rooms/").await.expect(200)), ["zebra", "apple", "kiwi"]);
    }

    async fn links_lead_through_all_rooms(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let mut all = Vec::new();
        for n in (0..7).rev() {
            all.push(format!("room {n}"));
            ann.room(all.last().expect("a name")).await;
        }
        let mut found = Vec::new();
        let mut path = "/rooms/?limit=3".to_owned();
        for (size, more) in [(3, true), (3, true), (1, false)] {
            let answer = ann.get(&path).await;
            let body = answer.expect(200);
            assert_eq!(body["count"], size);
            found.extend(names(&body).into_iter().map(str::to_owned));
            let link = answer.header("link");
            assert_eq!(!link.is_empty(), more, "{link}");
            path = link.replace('<', "").split('>').next().expect("a path").into();
        }
        assert_eq!(found, all);
        let answer = ann.get("/rooms/?limit=7").await;
        assert_eq!((answer.expect(200)["count"].as_i64(), answer.header("link")), (Some(7), String::new()));
        for (query, count) in [("limit=0", 1), ("limit=5000", 7)] {
            assert_eq!(ann.get(&format!("/rooms/?{query}")).await.expect(200)["count"], count);
        }
        for bad in ["limit=-1", "limit=abc", "after=general"] {
            ann.get(&format!("/rooms/?{bad}")).await.refused(400, "invalid_parameter");
        }
        // After a room that one is not in, there is nothing.
        let unknown = "/rooms/?after=0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d";
        assert_eq!(ann.get(unknown).await.expect(200)["count"], 0);
    }
}
