//! `/room/delete/<room_id>/`: who may, and that nothing is left.

use serde_json::json;

use crate::harness::{App, User};

async fn delete(user: &User, room: &str) -> crate::harness::Answer {
    user.delete(&format!("/room/delete/{room}/")).await
}

on_both! {
    async fn the_owner_deletes_a_room_and_nothing_is_left(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        let kept = ann.room("kept").await;
        bob.join(&room).await;
        for user in [&ann, &bob] {
            user.say(&room, "hi").await;
        }
        ann.say(&kept, "stays").await;
        let mut socket = bob.socket(&room).await;
        socket.expect("message_history").await;
        assert_eq!(
            delete(&ann, &room).await.expect(200),
            json!({"message": "Room deleted successfully", "deleted_room": {"room_id": room}})
        );
        assert_eq!(socket.closed().await, 4004);
        for (table, left) in [("rooms", 1), ("members", 1), ("messages", 1)] {
            assert_eq!(app.place.count(&format!("select count(*) from {table}")).await, left, "{table}");
        }
        let told = json!({"code": "room_not_found", "detail": "Room not found",
            "error": "Room not found"});
        for user in [&ann, &bob] {
            for answer in [
                user.get(&format!("/messages/{room}/")).await,
                user.get("/messages/general/").await,
                user.post(&format!("/messages/{room}/send/"), json!({"message": "x"})).await,
                user.post("/room/join/", json!({ "room_id": room })).await,
                delete(user, &room).await,
            ] {
                assert_eq!(answer.refused(404, "room_not_found"), told);
            }
        }
        assert_eq!(bob.socket(&room).await.closed().await, 4004);
        assert_eq!(bob.get("/rooms/").await.expect(200)["message"], "No rooms found");
        assert_eq!(ann.history(&kept).await.len(), 1);
    }

    async fn others_may_not_delete_it(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        let text = "Only the room creator can delete this room";
        let told = json!({"code": "not_the_owner", "detail": text, "error": text});
        assert_eq!(delete(&bob, &room).await.refused(403, "not_the_owner"), told);
        bob.join(&room).await;
        assert_eq!(delete(&bob, &room).await.refused(403, "not_the_owner"), told);
        delete(&app.stranger(), &room).await.refused(401, "not_authenticated");
        assert_eq!(ann.get("/rooms/").await.expect(200)["count"], 1);
    }

    async fn a_superuser_may(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        app.place.sql("update users set is_superuser = true where username = 'bob'").await;
        // Reading is for members all the same.
        bob.get(&format!("/messages/{room}/")).await.refused(403, "not_a_member");
        delete(&bob, &room).await.expect(200);
        assert_eq!(app.place.count("select count(*) from rooms").await, 0);
    }

    async fn a_room_is_found_by_its_id_in_every_spelling_or_its_name(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        for (n, spell) in [
            |id: &str| id.to_uppercase(),
            |id: &str| id.replace('-', ""),
            |id: &str| format!("{id}/"),
            |_: &str| "ROOM%203".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let room = ann.room(&format!("room {n}")).await;
            let path = format!("/room/delete/{}", spell(&room));
            let body = ann.delete(&path).await.expect(200);
            assert_eq!(body["deleted_room"]["room_id"], room);
        }
        for unknown in ["0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d", "nowhere", "%00", "%0A", "x%2Fy"] {
            delete(&ann, unknown).await.refused(404, "room_not_found");
        }
    }

    async fn a_room_named_like_anothers_id_does_not_stand_in_for_it(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("general").await;
        let decoy = bob.room(&room).await;
        bob.get(&format!("/messages/{room}/")).await.refused(403, "not_a_member");
        delete(&bob, &room).await.refused(403, "not_the_owner");
        ann.say(&room, "here").await;
        assert_eq!(ann.history(&room).await[0]["room_id"], room);
        delete(&bob, &decoy).await.expect(200);
        assert_eq!(ann.history(&room).await.len(), 1);
    }
}
