//! Frames that are none: each gets an error, and the socket lives on.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{enter, ids, two};
use crate::harness::App;

const NO_JSON: (&str, &str) = ("invalid_json", "Invalid JSON format.");
const EMPTY: (&str, &str) = ("empty_frame", "Received empty message.");
const NO_OBJECT: (&str, &str) = ("invalid_frame", "A frame must be a JSON object.");
const BLANK: (&str, &str) = ("empty_message", "Message is empty.");
const NO_TEXT: (&str, &str) = ("message_invalid", "Message must be a string.");
const NO_TYPE: (&str, &str) = ("invalid_frame", "type must be a string.");
const NO_NONCE: (&str, &str) = ("message_invalid", "A nonce must be a string.");
const NONCE: (&str, &str) = (
    "message_invalid",
    "A nonce has 1 to 128 bytes and no control characters.",
);
const CONTROL: (&str, &str) = (
    "message_invalid",
    "Message has control characters; only newlines and tabs are allowed.",
);
const BEFORE: (&str, &str) = ("invalid_frame", "before must be a whole number from 0.");
const LIMIT: (&str, &str) = ("invalid_frame", "limit must be a whole number from 0.");
const AFTER: (&str, &str) = ("invalid_frame", "after must be a whole number from 0.");
const NO_TOKEN: (&str, &str) = ("invalid_frame", "token must be a string.");

const BROKEN: &[(&str, (&str, &str))] = &[
    ("", EMPTY),
    (" \r\n\t", EMPTY),
    ("{", NO_JSON),
    ("}", NO_JSON),
    ("hi", NO_JSON),
    ("{\"message\":\"hi\"", NO_JSON),
    ("{\"message\":\"hi\"} {}", NO_JSON),
    ("{'message':'hi'}", NO_JSON),
    ("{\"message\":\"hi\",}", NO_JSON),
    ("{\"message\":\"a\nb\"}", NO_JSON),
    ("{\"message\":\"a\0b\"}", NO_JSON),
    ("\u{0}", NO_JSON),
    ("\u{feff}{\"message\":\"hi\"}", NO_JSON),
    (r#"{"message":"\ud800"}"#, NO_JSON),
    (r#"{"message":"\udc00\ud800"}"#, NO_JSON),
    (r#"{"message":"\u12"}"#, NO_JSON),
    (r#"{"message":"\x41"}"#, NO_JSON),
    (r#"{"message":NaN}"#, NO_JSON),
    (r#"{"message":1e999}"#, NO_JSON),
    ("[]", NO_OBJECT),
    (r#"[{"message":"hi"}]"#, NO_OBJECT),
    ("null", NO_OBJECT),
    ("true", NO_OBJECT),
    ("7", NO_OBJECT),
    ("\"typing\"", NO_OBJECT),
    ("{}", BLANK),
    (r#"{"message":null}"#, BLANK),
    (r#"{"message":""}"#, BLANK),
    (r#"{"message":" \n\u200b\u3000"}"#, BLANK),
    (r#"{"type":"message"}"#, BLANK),
    (r#"{"text":"hi"}"#, BLANK),
    (r#"{"message":7}"#, NO_TEXT),
    (r#"{"message":["hi"]}"#, NO_TEXT),
    (r#"{"message":{"text":"hi"}}"#, NO_TEXT),
    (r#"{"message":true}"#, NO_TEXT),
    (r#"{"message":"a\u0000b"}"#, CONTROL),
    (r#"{"message":"a\u001b[31m"}"#, CONTROL),
    (r#"{"message":"a\u0085"}"#, CONTROL),
    (r#"{"message":"hi","nonce":""}"#, NONCE),
    (r#"{"message":"hi","nonce":"a\u0000"}"#, NONCE),
    (r#"{"message":"hi","nonce":7}"#, NO_NONCE),
    (r#"{"message":"hi","nonce":{}}"#, NO_NONCE),
    (r#"{"type":7,"message":"hi"}"#, NO_TYPE),
    (r#"{"type":null,"message":"hi"}"#, NO_TYPE),
    (r#"{"type":["message"],"message":"hi"}"#, NO_TYPE),
    (
        r#"{"type":"dance"}"#,
        ("unknown_type", "Unknown frame type: dance"),
    ),
    (
        r#"{"type":"","message":"hi"}"#,
        ("unknown_type", "Unknown frame type: "),
    ),
    (
        r#"{"type":"Message","message":"hi"}"#,
        ("unknown_type", "Unknown frame type: Message"),
    ),
    (
        r#"{"type":"ack","message":"hi"}"#,
        ("unknown_type", "Unknown frame type: ack"),
    ),
    (r#"{"type":"history","before":"x"}"#, BEFORE),
    (r#"{"type":"history","before":-1}"#, BEFORE),
    (r#"{"type":"history","limit":1.5}"#, LIMIT),
    (r#"{"type":"history","limit":[]}"#, LIMIT),
    (
        r#"{"type":"sync"}"#,
        ("invalid_frame", "after is required."),
    ),
    (r#"{"type":"sync","after":"7"}"#, AFTER),
    (r#"{"type":"sync","after":-1}"#, AFTER),
    (r#"{"type":"sync","after":99999999999999999999}"#, AFTER),
    (r#"{"type":"auth"}"#, NO_TOKEN),
    (r#"{"type":"auth","token":7}"#, NO_TOKEN),
];

fn error((code, message): (&str, &str)) -> Value {
    json!({"type": "error", "message": message, "code": code})
}

on_both! {
    async fn each_broken_frame_gets_its_error_and_the_socket_lives(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let mut b = enter(&bob, &room).await;
        for (frame, expected) in BROKEN {
            a.send_raw(Message::text(*frame)).await;
            assert_eq!(a.next().await, error(*expected), "{frame}");
            a.quiet().await;
        }
        for depth in [1_000, 10_000, 30_000] {
            let arrays = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let inside = format!(r#"{{"message":{}"#, "{\"a\":".repeat(depth / 5));
            for frame in [arrays, inside] {
                a.send_raw(Message::text(frame)).await;
                assert_eq!(a.next().await, error(NO_JSON));
                a.quiet().await;
            }
        }
        for bytes in [&b""[..], b"{\"message\":\"hi\"}", &[0xff; 1000]] {
            a.send_raw(Message::binary(bytes.to_vec())).await;
            assert_eq!(a.next().await, error(EMPTY));
            a.quiet().await;
        }
        b.quiet().await;
        assert!(ann.history(&room).await.is_empty());
        let (ack, _) = a.say_and_hear(json!({"message": "hi", "ref": 1})).await;
        assert_eq!(ack["seq"], 1);
    }

    async fn a_message_over_16_kib_is_refused_and_one_of_16_kib_is_not(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        for (text, bytes) in [("x".repeat(16385), 16385), ("é".repeat(8193), 16386)] {
            a.send(json!({"message": text, "ref": "long"})).await;
            let expected = json!({
                "type": "error", "code": "message_invalid", "ref": "long",
                "message": format!("Message is too long: {bytes} bytes, at most 16384."),
            });
            assert_eq!(a.next().await, expected);
            a.quiet().await;
        }
        let (_, message) = a.say_and_hear(json!({"message": "x".repeat(16384), "ref": 1})).await;
        assert_eq!(message["message"].as_str().expect("text").len(), 16384);
        // All escaped, it is 48 KiB.
        let frame = format!(r#"{{"message":"{}"}}"#, "\\u00e9".repeat(8192));
        a.send_raw(Message::text(frame)).await;
        assert_eq!(a.expect("chat_message").await["message"], "é".repeat(8192));
    }

    async fn an_error_carries_the_ref(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        for (frame, (code, message)) in [
            (json!({"message": "", "ref": 7}), BLANK),
            (json!({"message": 7, "ref": 7}), NO_TEXT),
            (json!({"message": "hi", "nonce": "", "ref": 7}), NONCE),
            (json!({"type": 1, "ref": 7}), NO_TYPE),
            (json!({"type": "dance", "ref": 7}), ("unknown_type", "Unknown frame type: dance")),
            (json!({"type": "history", "limit": "x", "ref": 7}), LIMIT),
            (json!({"type": "sync", "ref": 7}), ("invalid_frame", "after is required.")),
            (json!({"type": "auth", "ref": 7}), NO_TOKEN),
        ] {
            a.send(frame.clone()).await;
            let expected = json!({"type": "error", "message": message, "code": code, "ref": 7});
            assert_eq!(a.next().await, expected, "{frame}");
        }
        a.quiet().await;
    }

    async fn unknown_fields_are_ignored(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        let frame = json!({
            "type": "message", "message": "hi", "ref": 1, "id": 99, "seq": 99, "user": "bob",
            "user_id": 2, "room_id": "00000000-0000-4000-8000-000000000000", "timestamp": "x",
            "": null, "\0": {"deep": [[[]]]},
        });
        let (_, message) = a.say_and_hear(frame).await;
        assert_eq!((&message["user"], &message["seq"]), (&json!("ann"), &json!(1)));
        assert_eq!((&message["room_id"], &message["id"]), (&json!(room), &json!(1)));
        a.send(json!({"type": "history", "limit": 1, "ref": null, "x": []})).await;
        assert_eq!(ids(&a.expect("message_history").await), [1]);
        // Of two fields with one name the last one counts.
        a.send_raw(Message::text(r#"{"message":"first","message":"last"}"#)).await;
        assert_eq!(a.expect("chat_message").await["message"], "last");
        a.quiet().await;
    }

    async fn a_long_unknown_type_is_cut(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let mut a = enter(&ann, &room).await;
        a.send(json!({"type": "é".repeat(20_000)})).await;
        let text = format!("Unknown frame type: {}", "é".repeat(40));
        assert_eq!(a.next().await, error(("unknown_type", &text)));
        a.quiet().await;
    }
}
