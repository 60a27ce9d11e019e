//! Rooms by name in a path: any name, percent-encoded.

use std::fmt::Write;

use serde_json::json;

use crate::harness::App;

/// Every byte as `%XX`, but letters and digits.
fn encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("to write");
        }
        out
    })
}

on_both! {
    async fn any_name_leads_to_its_room(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        for name in [
            "general", "two words", "a/b", "/", "a/", "//x//", "100%", "50%25", "%2F", "a+b", "?x=1&y#z",
            "back\\slash", "\"quoted\" 'too'", "<b>", "Ünïcödé", "张伟 的房间", "комната", "👩‍👩‍👧 family",
            "e\u{301}", "send", "x.y", "...", "a;b=c", "{room}", ":room", "*", "`~!@$^()[]|",
        ] {
            let room = ann.room(name).await;
            let path = format!("/messages/{}", encoded(name));
            let answer = ann.post(&format!("{path}/send/"), json!({"message": name})).await;
            assert_eq!(answer.expect(201)["room_id"], room, "{name:?}");
            for slash in ["", "/"] {
                let answer = ann.get(&format!("{path}{slash}?limit=1")).await;
                let body = answer.expect(200);
                assert_eq!(body["room_id"], room, "{name:?}");
                assert_eq!(body["messages"][0]["message"], name);
            }
            let list = ann.get("/rooms/").await.expect(200);
            assert_eq!(list["rooms"].as_array().and_then(|all| all.last()).expect("a room")["room_name"], name);
            let answer = ann.delete(&format!("/room/delete/{}/", encoded(name))).await;
            assert_eq!(answer.expect(200)["deleted_room"]["room_id"], room, "{name:?}");
        }
    }

    async fn a_name_is_read_as_it_was_when_made(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("Große Runde").await;
        for same in ["Große Runde", "GROSSE RUNDE", "gro\u{200b}ße runde", " Große Runde "] {
            let path = format!("/messages/{}/", encoded(same));
            assert_eq!(ann.get(&path).await.expect(200)["room_id"], room, "{same:?}");
        }
        for spelling in [room.to_uppercase(), room.replace('-', "")] {
            let path = format!("/messages/{spelling}/");
            assert_eq!(ann.get(&path).await.expect(200)["room_id"], room);
        }
        for other in ["grose runde", "\u{0}", "\n", "\u{200b}", &"x".repeat(300)] {
            let path = format!("/messages/{}/", encoded(other));
            ann.get(&path).await.refused(404, "room_not_found");
        }
        // Bytes that are no text name no room.
        for bytes in ["%FF", "%C3%28", "a%ED%A0%80"] {
            let answer = ann.get(&format!("/messages/{bytes}/")).await;
            assert!([400, 404].contains(&answer.status), "{}: {}", answer.status, answer.text);
            assert!(answer.json()["detail"].is_string());
        }
        let answer = ann.get("/messages/%zz/").await;
        assert_eq!(answer.refused(404, "room_not_found")["detail"], "Room not found");
    }
}
