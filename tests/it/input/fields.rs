//! Fields, parameters and headers with what no database and no library likes.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::{is_refusal, lives};
use crate::harness::App;
use crate::harness::client::{PASSWORD, answer};

on_both! {
    async fn a_nul_is_refused_in_every_field(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        for (field, text) in [
            ("username", "Enter a valid username: it may not have control characters."),
            ("email", "Enter a valid email address."),
            ("first_name", "This name may not have control characters."),
            ("last_name", "This name may not have control characters."),
        ] {
            for value in ["bo\0b@example.org", "bob@example.org\0x", "\0"] {
                let mut form = json!({
                    "username": "bob", "email": "bob@example.org", "password": PASSWORD,
                });
                form[field] = json!(value);
                let body = app.stranger().post("/register/", form).await.refused(400, "invalid");
                assert_eq!(body[field], json!([text]), "{value:?}");
            }
        }
        for form in [
            json!({"username": "ann\0", "password": PASSWORD}),
            json!({"username": "\0", "password": PASSWORD}),
            json!({"email": "ann@example.org\0", "password": PASSWORD}),
            json!({"username": "ann", "password": format!("{PASSWORD}\0")}),
            json!({"username": "ann", "password": "\0"}),
        ] {
            let refused = app.stranger().post("/login/", form.clone()).await;
            let body = refused.refused(400, "invalid");
            let expected = json!(["Invalid email or password"]);
            assert_eq!(body["non_field_errors"], expected, "{form}");
        }
        for name in ["a\0b", "general\0", "\0"] {
            let refused = ann.post("/rooms/create/", json!({"chat_room_name": name})).await;
            is_refusal(&refused, name);
            assert_eq!(refused.status, 400, "{name:?}: {}", refused.text);
        }
        let id = format!("{room}\0");
        for id in ["\0", &id] {
            let refused = ann.post("/room/join/", json!({"room_id": id})).await;
            refused.refused(404, "room_not_found");
        }
        let path = format!("/messages/{room}/send/");
        for form in
            [json!({"message": "a\0"}), json!({"message": "hi", "nonce": "\0"})]
        {
            ann.post(&path, form).await.refused(400, "message_invalid");
        }
        for token in ["\0", "a\0b"] {
            let refused = app.stranger().post("/refresh/", json!({"refresh_token": token})).await;
            refused.refused(401, "refresh_invalid");
        }
        lives(&app).await;
    }

    async fn a_password_may_have_a_nul_and_is_not_cut_there(db) {
        let app = App::start(db).await;
        let long = "correct\0horse battery";
        let form = json!({"username": "bob", "email": "bob@example.org", "password": long});
        let made = app.stranger().post("/register/", form).await;
        if made.status == 201 {
            app.stranger().log_in("bob", long).await;
            for other in ["correct", "correct\0", "correct\0another battery"] {
                let form = json!({"username": "bob", "password": other});
                app.stranger().post("/login/", form).await.refused(400, "invalid");
            }
        } else {
            made.refused(400, "invalid");
        }
    }

    async fn a_parameter_with_a_nul_or_a_broken_escape_is_no_fault_of_the_server(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        ann.room("general").await;
        for path in [
            "/api/users/?search=%ff",
            "/api/users/?search=%zz%",
            "/api/users/?search=%25_%5C'%22;--",
        ] {
            let users = ann.get(path).await;
            assert_eq!(users.expect(200), json!([]), "{path}");
        }
        for path in [
            "/api/users/?search=%00",
            "/api/users/?search=a%00b",
            "/api/users/?after=%00",
            "/api/users/?limit=%00",
            "/api/users/?limit=-1",
            "/api/users/?after=99999999999999999999",
            "/rooms/?after=%00",
            "/rooms/?after=x",
            "/rooms/?after=",
            "/rooms/?limit=x",
            "/messages/general/?before=%00",
            "/messages/general/?limit=%ff",
        ] {
            let refused = ann.get(path).await;
            is_refusal(&refused, path);
            refused.refused(400, "invalid_parameter");
        }
        for room in [
            "%00", "general%00", "%ff", "%c3%28", "%zz", "%", "%25", "..%2f..", "%2F", "%0d%0a",
            "💬", "%F0%9F%92%AC", "'", "general%20x", "\\", "%5c", "*", "{room}", ":room",
        ] {
            for (method, path) in [
                (Method::GET, format!("/messages/{room}/")),
                (Method::POST, format!("/messages/{room}/send/")),
                (Method::DELETE, format!("/room/delete/{room}/")),
            ] {
                let request = ann.request(method, &path).json(&json!({"message": "hi"}));
                let refused = answer(request).await;
                is_refusal(&refused, &path);
                // What is no UTF-8 cannot even be looked for.
                let status = if room.starts_with("%ff") || room == "%c3%28" { 400 } else { 404 };
                assert_eq!(refused.status, status, "{path}: {}", refused.text);
            }
        }
        lives(&app).await;
    }

    async fn what_is_no_uuid_is_no_room(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let braces = format!("{{{room}}}");
        let urn = format!("urn:uuid:{room}");
        let longer = format!("{room}0");
        let shorter = &room[1..];
        let wide = room.replace('-', "\u{2010}");
        // A name is not enough to join.
        for id in ["general", "x", "0", "-", &braces, &urn, &longer, shorter, &wide] {
            let refused = ann.post("/room/join/", json!({"room_id": id})).await;
            assert_eq!(refused.refused(404, "room_not_found")["error"], "Room not found", "{id}");
        }
        for id in [json!(""), json!(" "), Value::Null] {
            let refused = ann.post("/room/join/", json!({"room_id": id})).await;
            let body = refused.refused(400, "room_id_required");
            assert_eq!(body["error"], "Room ID is required", "{id}");
        }
        for id in [json!(7), json!([room]), json!({"id": room}), json!(true)] {
            let refused = ann.post("/room/join/", json!({"room_id": id})).await;
            is_refusal(&refused, &id.to_string());
        }
        for id in [room.to_uppercase(), room.replace('-', ""), format!(" {room}\n")] {
            ann.post("/room/join/", json!({"room_id": id})).await.expect(200);
        }
    }

    async fn headers_that_are_no_text_are_no_credentials(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let bytes = |value: &[u8]| HeaderValue::from_bytes(value).expect("a value");
        let long = format!("Bearer {}", "x".repeat(10_000));
        for (name, value, code) in [
            ("authorization", bytes(b"Bearer \xff\xfe"), "not_authenticated"),
            ("authorization", bytes(b"Bearer"), "not_authenticated"),
            ("authorization", bytes(b"\xff"), "not_authenticated"),
            ("authorization", bytes(b""), "not_authenticated"),
            ("authorization", bytes(b"Bearer  "), "not_authenticated"),
            ("authorization", bytes(b"Bearer a.b.c"), "token_invalid"),
            ("authorization", bytes(b"Bearer eyJhbGciOiJub25lIn0.e30."), "token_invalid"),
            ("authorization", bytes(long.as_bytes()), "token_invalid"),
            ("cookie", bytes(b"access_token=\xff"), "not_authenticated"),
            ("cookie", bytes(b";;;=;access_token"), "not_authenticated"),
            ("cookie", bytes(b"access_token=a.b.c"), "token_invalid"),
        ] {
            let request = app.stranger().request(Method::GET, "/rooms/").header(name, &value);
            let refused = answer(request).await;
            refused.refused(401, code);
            assert_eq!(refused.header("www-authenticate"), "Bearer", "{name}: {value:?}");
        }
        for (name, value) in [
            ("origin", bytes(b"\xff")),
            ("x-request-id", bytes(b"a b\xff")),
            ("accept", bytes(b"\xff")),
            ("cookie", bytes(b"\xff")),
            ("x-forwarded-proto", bytes(b"\xff")),
            ("accept-encoding", bytes(b"gzip;q=x")),
            ("range", bytes(b"bytes=0-0,-1")),
            ("if-none-match", bytes(b"*")),
            ("expect", bytes(b"something")),
        ] {
            let got = answer(ann.request(Method::GET, "/rooms/").header(name, &value)).await;
            assert_eq!(got.expect(200)["count"], 0, "{name}: {value:?}");
        }
        lives(&app).await;
    }
}
