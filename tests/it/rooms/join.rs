//! `/room/join/`: whoever knows a room's id gets in.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::App;

on_both! {
    async fn whoever_knows_the_id_can_join(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let bob = app.user("bob").await;
        let form = json!({"chat_room_name": "General Talk"});
        let made = ann.post("/rooms/create/", form).await.expect(201);
        let room = made["room_id"].as_str().expect("an id");
        let path = format!("/messages/{room}/");
        bob.get(&path).await.refused(403, "not_a_member");
        let mut told = json!({"message": "Joined room General Talk",
            "room": {"room_id": room, "room_name": "General Talk", "created_at": made["created_at"]},
            "user": {"id": bob.id, "email": "bob@example.org", "username": "bob"}});
        let join = json!({ "room_id": room });
        assert_eq!(bob.post("/room/join/", join.clone()).await.expect(200), told);
        bob.get(&path).await.expect(200);
        told["message"] = "Already in room General Talk".into();
        assert_eq!(bob.post("/room/join", join.clone()).await.expect(200), told);
        // The owner is in it already, and stays the owner.
        let body = ann.post("/room/join/", join).await.expect(200);
        assert_eq!(body["message"], "Already in room General Talk");
        assert_eq!(ann.get("/rooms/").await.expect(200)["rooms"][0]["role"], "owner");
        assert_eq!(bob.get("/rooms/").await.expect(200)["rooms"][0]["role"], "member");
    }

    async fn an_id_is_read_in_every_spelling(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        for (spelling, message) in [
            (room.replace('-', "").to_uppercase(), "Joined room general"),
            (room.to_uppercase(), "Already in room general"),
            (room.replace('-', ""), "Already in room general"),
            (format!(" {room} "), "Already in room general"),
        ] {
            let body = bob.post("/room/join/", json!({ "room_id": spelling })).await.expect(200);
            assert_eq!(body["message"], message);
            assert_eq!(body["room"]["room_id"], room);
        }
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        bob.ask("POST", "/room/join/", &kind, format!("room_id={room}")).await.expect(200);
    }

    async fn what_is_no_id_leads_nowhere(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        for form in [
            json!({}),
            json!({"room_id": null}),
            json!({"room_id": ""}),
            json!({"room_id": "  "}),
            json!({"room": room}),
        ] {
            let answer = bob.post("/room/join/", form).await;
            assert_eq!(
                answer.refused(400, "room_id_required"),
                json!({"code": "room_id_required", "detail": "Room ID is required",
                    "error": "Room ID is required"})
            );
        }
        let told = json!({"code": "room_not_found", "detail": "Room not found",
            "error": "Room not found"});
        for id in [
            json!("0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d"),
            // A name is no id here: to know it is not enough.
            json!("general"),
            json!("not-a-uuid"),
            json!(format!("{{{room}}}")),
            json!(format!("{room}0")),
            json!("0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d\u{0}"),
            json!("x".repeat(10_000)),
            json!(5),
            json!([room]),
            json!({"id": room}),
            json!(true),
        ] {
            let answer = bob.post("/room/join/", json!({ "room_id": id })).await;
            assert_eq!(answer.refused(404, "room_not_found"), told, "{id}");
        }
        assert_eq!(app.place.count("select count(*) from members").await, 1);
    }

    async fn joining_many_times_at_once_makes_one_member(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        let all = join_all((0..10).map(|_| bob.post("/room/join/", json!({"room_id": room})))).await;
        let said = |message: &str| {
            all.iter().filter(|answer| answer.expect(200)["message"] == message).count()
        };
        assert_eq!((said("Joined room general"), said("Already in room general")), (1, 9));
        assert_eq!(app.place.count("select count(*) from members").await, 2);
    }
}
