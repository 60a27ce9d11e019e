//! Sending messages: which texts are taken, and that they are kept exactly.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::answer;
use crate::harness::{App, User};

/// One user in one room; returns him and the path to send by.
async fn alone(app: &App) -> (User, String, String) {
    let ann = app.user("ann").await;
    let room = ann.room("general").await;
    let path = format!("/messages/{room}/send/");
    (ann, room, path)
}

on_both! {
    async fn a_message_without_text_is_refused(db) {
        let app = App::start(db).await;
        let (ann, room, path) = alone(&app).await;
        for form in [
            json!({}),
            json!({"message": null}),
            json!({"message": ""}),
            json!({"message": " \t\r\n "}),
            json!({"message": "\u{a0}\u{2003}\u{3000}"}),
            json!({"message": "\u{200b}\u{feff}\u{2060}"}),
            json!({"text": "hi"}),
            json!({"Message": "hi"}),
        ] {
            let body = ann.post(&path, form.clone()).await.refused(400, "empty_message");
            assert_eq!(body["error"], "Message field is required", "{form}");
        }
        assert!(ann.history(&room).await.is_empty());
    }

    async fn a_message_that_is_no_text_is_refused(db) {
        let app = App::start(db).await;
        let (ann, room, path) = alone(&app).await;
        for value in [json!(1), json!(1.5), json!(true), json!(["hi"]), json!({"text": "hi"})] {
            let form = json!({"message": value});
            let body = ann.post(&path, form.clone()).await.refused(400, "message_invalid");
            assert_eq!(body["error"], "Message must be a string.", "{form}");
        }
        assert!(ann.history(&room).await.is_empty());
    }

    async fn a_message_has_at_most_16_kib_of_utf_8(db) {
        let app = App::start(db).await;
        let (ann, room, path) = alone(&app).await;
        for (text, length) in [("x", 16384), ("é", 8192), ("👋", 4096), ("\n\"", 8191)] {
            let text = format!("{}{}", text.repeat(length), if length == 8191 { "ab" } else { "" });
            assert_eq!(text.len(), 16384);
            let sent = ann.say(&room, &text).await;
            assert_eq!(sent["message"], text);
        }
        for (text, bytes) in [
            ("x".repeat(16385), 16385),
            ("é".repeat(8193), 16386),
            (format!("{}\n", "x".repeat(16384)), 16385),
        ] {
            let body = ann.post(&path, json!({"message": text})).await;
            let body = body.refused(400, "message_invalid");
            let expected = format!("Message is too long: {bytes} bytes, at most 16384.");
            assert_eq!(body["error"], expected);
        }
        assert_eq!(ann.history(&room).await.len(), 4);
    }

    async fn control_characters_are_refused_but_not_newlines_and_tabs(db) {
        let app = App::start(db).await;
        let (ann, room, path) = alone(&app).await;
        for control in ['\0', '\u{1}', '\u{8}', '\u{b}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'] {
            let form = json!({"message": format!("a{control}b")});
            let body = ann.post(&path, form).await.refused(400, "message_invalid");
            let expected = "Message has control characters; only newlines and tabs are allowed.";
            assert_eq!(body["error"], expected, "{control:?}");
        }
        let text = "one\ntwo\r\n\tthree";
        assert_eq!(ann.say(&room, text).await["message"], text);
        assert_eq!(ann.history(&room).await.len(), 1);
    }

    async fn every_other_text_is_kept_exactly(db) {
        let app = App::start(db).await;
        let (ann, room, _) = alone(&app).await;
        let mut socket = ann.socket(&room).await;
        socket.expect("message_history").await;
        let texts = [
            " leading and trailing \n",
            "👩‍👩‍👧‍👦 👋🏽 🏳️‍🌈 🇩🇪",
            "שלום \u{202b}مرحبا\u{202c} \u{2067}x\u{2069}",
            "e\u{301} é Å\u{30a} ﬁ ｆｕｌｌ",
            "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
            "क्षि 한국어 ไทย \u{1F468}\u{200d}\u{1F4BB}",
            "\u{10ffff}\u{fffe}\u{ffff}\u{e000}\u{fffd}",
            "a\u{2028}b\u{2029}c\u{feff}d\u{ad}e",
            "\\ \" ' ` $1 {} %s %00 \\u0000 &amp; <script>alert(1)</script>",
            "'; drop table messages; --",
            "null",
            "typing",
            "0",
        ];
        for text in texts {
            assert_eq!(ann.say(&room, text).await["message"], text);
            assert_eq!(socket.expect("chat_message").await["message"], text);
        }
        let kept: Vec<_> = ann.history(&room).await.iter().map(|m| m["message"].clone()).collect();
        assert_eq!(kept, texts);
    }

    async fn a_form_is_read_like_json(db) {
        let app = App::start(db).await;
        let (ann, _, path) = alone(&app).await;
        let form = [("message", "a & b = c + ü\n"), ("nonce", "n 1")];
        let request = ann.request(Method::POST, &path).form(&form);
        let sent = answer(request).await.expect(201);
        assert_eq!(sent["message"], "a & b = c + ü\n");
        assert_eq!(sent["nonce"], "n 1");
        let empty = ann.request(Method::POST, &path).form(&[("message", " ")]);
        let body = answer(empty).await.refused(400, "empty_message");
        assert_eq!(body["error"], "Message field is required");
    }

    async fn who_sends_too_fast_is_told_when_to_come_back(db) {
        let limits = [
            ("limits.enabled", "true"),
            ("limits.sends_burst", "3"),
            ("limits.sends_per_second", "1"),
        ];
        let app = App::start_with(db, &limits).await;
        let (ann, room, path) = alone(&app).await;
        let bob = app.user("bob").await;
        bob.join(&room).await;
        let mut refused = None;
        let mut stored = 0;
        // One a second is let through, so on a very slow machine it takes some more.
        while refused.is_none() {
            let sent = ann.post(&path, json!({"message": "hi"})).await;
            if sent.status == 201 {
                stored += 1;
            } else {
                refused = Some(sent);
            }
        }
        assert!(stored >= 3, "{stored}");
        let refused = refused.expect("a refusal");
        let body = refused.refused(429, "too_many_requests");
        assert_eq!(body["detail"], "Too many requests. Try again in 1 s.");
        assert_eq!(refused.header("retry-after"), "1");
        // The others are not meant.
        bob.say(&room, "hi").await;
        assert_eq!(ann.history(&room).await.len(), stored + 1);

        // A socket has no door of its own.
        let mut socket = bob.socket(&room).await;
        socket.expect("message_history").await;
        let mut told = Value::Null;
        for reference in 1..=20 {
            let ack = socket.say("hi", &format!("n{reference}")).await;
            if ack["type"] == "error" {
                told = ack;
                break;
            }
        }
        assert_eq!(told["code"], "too_many_requests");
        assert!(told["message"].as_str().expect("text").starts_with("Too many requests."));
    }
}
