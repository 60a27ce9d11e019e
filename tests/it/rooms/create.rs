//! `/rooms/create/`: what a room may be called, and who gets the name.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, App, User};

async fn create(user: &User, name: &str) -> Answer {
    user.post("/rooms/create/", json!({ "chat_room_name": name }))
        .await
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str, text: &str) {
    let body = answer.refused(400, code);
    assert_eq!(body, json!({"code": code, "detail": text, "error": text}));
}

/// Whether this is a time as the contract has it: UTC, microseconds.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 32
        && text.ends_with("+00:00")
        && text.as_bytes()[19] == b'.'
        && chrono::DateTime::parse_from_rfc3339(text)
            .is_ok_and(|at| (chrono::Utc::now() - at.to_utc()).num_seconds().abs() < 60)
}

on_both! {
    async fn a_new_room_belongs_to_its_creator(db) {
        let app = App::start(db).await;
        app.user("zoe").await;
        let ann = app.user("ann").await;
        for (path, name) in [("/rooms/create/", " General "), ("/rooms/create", "Second")] {
            let body = ann.post(path, json!({"chat_room_name": name})).await.expect(201);
            let (id, since) = (body["room_id"].clone(), body["created_at"].clone());
            assert_eq!(
                body,
                json!({"room_id": id, "chat_room_name": name.trim(), "room_name": name.trim(),
                    "created_by": {"id": ann.id, "username": "ann"}, "created_at": since})
            );
            assert!(is_time(&since), "{since}");
            let id = id.as_str().expect("an id");
            let uuid = uuid::Uuid::parse_str(id).expect("a UUID");
            assert_eq!((uuid.get_version_num(), uuid.to_string().as_str()), (4, id));
            // The creator is a member.
            ann.say(id, "hi").await;
        }
        let members = "select count(*) from members where role = 'owner'";
        assert_eq!(app.place.count(members).await, 2);
    }

    async fn a_form_can_make_a_room(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let answer = ann.ask("POST", "/rooms/create/", &kind, "chat_room_name=caf%C3%A9+%26+bar").await;
        assert_eq!(answer.expect(201)["room_name"], "café & bar");
    }

    async fn a_room_needs_a_name(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        for form in [
            json!({}),
            json!({"name": "general"}),
            json!({"chat_room_name": null}),
            json!({"chat_room_name": ""}),
            json!({"chat_room_name": " \n\t "}),
            json!({"chat_room_name": "\u{200b}\u{3164}\u{2800}"}),
        ] {
            let answer = ann.post("/rooms/create/", form).await;
            assert_refused(&answer, "room_name_required", "Chat room name is required");
        }
        let text = "Chat room name must be a string";
        for other in [json!(5), json!(true), json!(["general"]), json!({"a": "b"})] {
            let answer = ann.post("/rooms/create/", json!({ "chat_room_name": other })).await;
            assert_refused(&answer, "room_name_invalid", text);
        }
        for bad in ["a\nb", "a\u{0}b", "\u{7f}x", "a\u{85}b", "a\u{1b}[31m"] {
            let text = "A room name may not have control characters";
            assert_refused(&create(&ann, bad).await, "room_name_invalid", text);
        }
        let text = "A room name has at most 255 characters";
        for long in ["x".repeat(256), "é".repeat(256), "👋".repeat(256)] {
            assert_refused(&create(&ann, &long).await, "room_name_invalid", text);
        }
        assert_eq!(app.place.count("select count(*) from rooms").await, 0);
        for fits in ["x".repeat(255), "👋".repeat(255), "é".repeat(255) + "  "] {
            let body = create(&ann, &fits).await.expect(201);
            assert_eq!(body["room_name"], fits.trim());
        }
    }

    async fn a_name_is_taken_in_every_spelling(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        ann.room("Große Runde").await;
        for same in [
            "Große Runde", "große runde", "GROSSE RUNDE", " Große Runde ", "Ｇroße Runde",
            "Gro\u{200b}ße Runde", "Große\u{a0}Runde", "Gro\u{ad}ẞe Runde", "Große  Runde",
        ] {
            for user in [&ann, &bob] {
                let text = "A room with this name already exists";
                assert_refused(&create(user, same).await, "room_name_taken", text);
            }
        }
        ann.room("GroßeRunde").await;
        ann.room("grose runde").await;
        assert_eq!(app.place.count("select count(*) from rooms").await, 3);
        assert_eq!(app.place.count("select count(*) from members").await, 3);
    }

    async fn of_twenty_who_want_a_name_one_gets_it(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let all = join_all((0..20).map(|n| {
            let user = if n % 2 == 0 { ann.clone() } else { bob.clone() };
            async move { create(&user, if n % 3 == 0 { "GENERAL" } else { "general" }).await }
        }))
        .await;
        assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in all.iter().filter(|answer| answer.status != 201) {
            answer.refused(400, "room_name_taken");
        }
        assert_eq!(app.place.count("select count(*) from rooms").await, 1);
        assert_eq!(app.place.count("select count(*) from members").await, 1);
    }

    async fn a_deleted_rooms_name_is_free_again(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let first = ann.room("general").await;
        ann.delete(&format!("/room/delete/{first}/")).await.expect(200);
        assert_ne!(ann.room("general").await, first);
    }
}
