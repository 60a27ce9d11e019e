//! Bodies that are not what they say they are.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::{is_refusal, lives};
use crate::harness::client::{answer, raw};
use crate::harness::{Answer, App, Db, User};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The paths that take a body, and where it matters what is in it.
const PATHS: &[&str] = &[
    "/register/",
    "/login/",
    "/refresh/",
    "/rooms/create/",
    "/room/join/",
    "/messages/general/send/",
];

async fn post(who: &User, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = who.request(Method::POST, path).header("content-type", kind);
    answer(request.body(body.into())).await
}

async fn ann(app: &App) -> User {
    let ann = app.user("ann").await;
    ann.room("general").await;
    ann
}

on_both! {
    async fn what_is_no_json_object_is_refused_everywhere(db) {
        let app = App::start(db).await;
        let ann = ann(&app).await;
        let deep = |open: &str, close: &str| {
            [open.repeat(10_000), "1".to_owned(), close.repeat(10_000)].concat().into_bytes()
        };
        let broken: Vec<(Vec<u8>, &str)> = vec![
            (b"{".into(), "JSON parse error: "),
            (b"}".into(), "JSON parse error: "),
            (b"hi".into(), "JSON parse error: "),
            (b"{\"message\":\"hi\"".into(), "JSON parse error: "),
            (b"{\"message\":\"hi\",}".into(), "JSON parse error: "),
            (b"{\"message\":\"hi\"} {}".into(), "JSON parse error: "),
            (b"{'message':'hi'}".into(), "JSON parse error: "),
            (b"{\"message\":NaN}".into(), "JSON parse error: "),
            (b"{\"message\":1e999}".into(), "JSON parse error: "),
            (b"{\"message\":\"a\nb\"}".into(), "JSON parse error: "),
            (b"{\"message\":\"a\0b\"}".into(), "JSON parse error: "),
            (b"\0".into(), "JSON parse error: "),
            (b"\xef\xbb\xbf{}".into(), "JSON parse error: "),
            (b"{\"message\":\"\\ud800\"}".into(), "JSON parse error: "),
            (b"{\"message\":\"\\udc00\\ud800\"}".into(), "JSON parse error: "),
            (b"{\"message\":\"\\u00\"}".into(), "JSON parse error: "),
            (b"{\"message\":\"\xff\xfe\"}".into(), "JSON parse error: "),
            (b"{\"message\":\"\xed\xa0\x80\"}".into(), "JSON parse error: "),
            (b"{\"message\":\"caf\xe9\"}".into(), "JSON parse error: "),
            (b"\xff".into(), "JSON parse error: "),
            (deep("[", "]"), "JSON parse error: "),
            (deep("{\"a\":", "}"), "JSON parse error: "),
            (b"[]".into(), "Invalid data: expected a JSON object."),
            (b"[{\"message\":\"hi\"}]".into(), "Invalid data: expected a JSON object."),
            (b"7".into(), "Invalid data: expected a JSON object."),
            (b"-1.5e3".into(), "Invalid data: expected a JSON object."),
            (b"\"message\"".into(), "Invalid data: expected a JSON object."),
            (b"true".into(), "Invalid data: expected a JSON object."),
            (b"null".into(), "Invalid data: expected a JSON object."),
        ];
        for path in PATHS {
            for (body, text) in &broken {
                let refused = post(&ann, path, JSON, body.clone()).await;
                let body = String::from_utf8_lossy(body);
                is_refusal(&refused, &format!("{path} {body:.40}"));
                let detail = refused.refused(400, "invalid_body")["detail"].clone();
                let detail = detail.as_str().expect("text");
                assert!(detail.starts_with(text), "{path} {body:.40}: {detail}");
            }
        }
        assert!(ann.history("general").await.is_empty());
        lives(&app).await;
    }

    async fn an_empty_body_is_a_form_without_fields(db) {
        let app = App::start(db).await;
        let ann = ann(&app).await;
        for kind in [JSON, FORM, "text/plain"] {
            for body in ["", "{}"] {
                if (body == "{}") != (kind == JSON) && !body.is_empty() {
                    continue;
                }
                let refused = post(&ann, "/register/", kind, body).await.refused(400, "invalid");
                let required = json!(["This field is required."]);
                assert_eq!(refused["email"], required, "{kind}");
                assert_eq!(refused["password"], required, "{kind}");
                let refused = post(&ann, "/login/", kind, body).await.refused(400, "invalid");
                assert_eq!(refused["username"], required, "{kind}");
                assert_eq!(refused["password"], required, "{kind}");
                for (path, text) in [
                    ("/refresh/", "No refresh token"),
                    ("/rooms/create/", "Chat room name is required"),
                    ("/room/join/", "Room ID is required"),
                    ("/messages/general/send/", "Message field is required"),
                ] {
                    let refused = post(&ann, path, kind, body).await;
                    is_refusal(&refused, path);
                    assert_eq!(refused.expect(400)["error"], text, "{kind} {body}");
                }
                let out = post(&app.stranger(), "/logout/", kind, body).await;
                assert_eq!(out.expect(200)["message"], "Logged out");
            }
        }
    }

    async fn of_two_fields_with_one_name_the_last_one_counts(db) {
        let app = App::start(db).await;
        let ann = ann(&app).await;
        let path = "/messages/general/send/";
        for (kind, body, text) in [
            (JSON, r#"{"message":"first","message":"last"}"#, "last"),
            (JSON, r#"{"message":7,"message":"last"}"#, "last"),
            (FORM, "message=first&message=last", "last"),
        ] {
            let sent = post(&ann, path, kind, body).await.expect(201);
            assert_eq!(sent["message"], text, "{body}");
        }
        let body = r#"{"message":"first","message":null}"#;
        post(&ann, path, JSON, body).await.refused(400, "empty_message");
    }

    async fn a_form_is_read_as_the_url_standard_says(db) {
        let app = App::start(db).await;
        let ann = ann(&app).await;
        let path = "/messages/general/send/";
        // No form is broken: what is no escape stands for itself, what is no UTF-8 is replaced.
        for (body, text) in [
            ("message=100%", "100%"),
            ("message=%zz", "%zz"),
            ("message=%4", "%4"),
            ("message=%ff%fe", "\u{fffd}\u{fffd}"),
            ("message=a%C3", "a\u{fffd}"),
            ("message=a=b", "a=b"),
            ("&&message=a+%2B&&", "a +"),
            ("m%65ssage=a", "a"),
        ] {
            let sent = post(&ann, path, FORM, body).await.expect(201);
            assert_eq!(sent["message"], text, "{body}");
        }
        let kind = "Application/X-WWW-Form-Urlencoded; charset=UTF-8";
        assert_eq!(post(&ann, path, kind, "message=hi").await.expect(201)["message"], "hi");
        for (body, code) in [
            ("message=a%00b", "message_invalid"),
            ("message", "empty_message"),
            ("message=", "empty_message"),
            ("=", "empty_message"),
            ("%", "empty_message"),
        ] {
            post(&ann, path, FORM, body).await.refused(400, code);
        }
        post(&ann, path, FORM, b"message=\xff").await.refused(400, "invalid_body");
        lives(&app).await;
    }

    async fn only_json_and_forms_are_read(db) {
        let app = App::start(db).await;
        let ann = ann(&app).await;
        let body = r#"{"message":"hi"}"#;
        for path in PATHS {
            for kind in [
                "text/plain",
                "text/html",
                "application/xml",
                "multipart/form-data; boundary=x",
                "application/octet-stream",
                "application/jsonx",
                "json",
                "*/*",
                "; charset=utf-8",
            ] {
                let refused = post(&ann, path, kind, body).await;
                let refused = refused.refused(415, "unsupported_media_type");
                let text = "Send application/json or application/x-www-form-urlencoded.";
                assert_eq!(refused["detail"], text, "{path} {kind}");
            }
        }
        for kind in [JSON, "Application/JSON;charset=utf-8", "application/vnd.api+json"] {
            post(&ann, "/messages/general/send/", kind, body).await.expect(201);
        }
        // Without a word about it, it is JSON.
        let request = ann.request(Method::POST, "/messages/general/send/").body(body);
        answer(request).await.expect(201);
    }

    async fn a_body_has_at_most_64_kib(db) {
        let app = App::start(db).await;
        let ann = ann(&app).await;
        let body = |length: usize| {
            let rest = length - r#"{"message":"hi","x":""}"#.len();
            format!(r#"{{"message":"hi","x":"{}"}}"#, "x".repeat(rest))
        };
        let text = "The body is too large: at most 65536 bytes.";
        let path = "/messages/general/send/";
        post(&ann, path, JSON, body(65536)).await.expect(201);
        for path in PATHS {
            for length in [65537, 65 * 1024, 100_000] {
                let refused = post(&ann, path, JSON, body(length)).await;
                let refused = refused.refused(413, "payload_too_large");
                assert_eq!(refused["detail"], text, "{path} {length}");
            }
        }
        // In chunks its length comes out later.
        for (length, status) in [(65536, 201), (65537, 413), (100_000, 413)] {
            let all = body(length);
            let mut chunks = String::new();
            for chunk in all.as_bytes().chunks(10_000) {
                let chunk = std::str::from_utf8(chunk).expect("text");
                write!(chunks, "{:x}\r\n{chunk}\r\n", chunk.len()).expect("to write");
            }
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
                 Connection: close\r\n\r\n{chunks}0\r\n\r\n",
                app.address, ann.token
            );
            let answer = raw(app.address, request.as_bytes()).await;
            assert_eq!(answer.status, status, "{length}: {}", answer.text);
            if status == 413 {
                assert_eq!(answer.refused(413, "payload_too_large")["detail"], text);
            }
        }
        lives(&app).await;
    }
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_comes() {
    let app = App::start(Db::Sqlite).await;
    let ann = ann(&app).await;
    for length in ["65537", "99999999999"] {
        let request = format!(
            "POST /messages/general/send/ HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{{",
            app.address, ann.token
        );
        raw(app.address, request.as_bytes())
            .await
            .refused(413, "payload_too_large");
    }
    lives(&app).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_does_nothing() {
    let app = App::start(Db::Sqlite).await;
    let ann = ann(&app).await;
    let head = format!(
        "POST /messages/general/send/ HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n",
        app.address, ann.token
    );
    for rest in [
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n",
    ] {
        let answer = raw(app.address, format!("{head}{rest}").as_bytes()).await;
        is_refusal(&answer, rest);
        assert_eq!(
            answer.refused(400, "invalid_body")["detail"],
            "The body could not be read."
        );
    }
    let half = format!("{head}Content-Length: 16\r\n\r\n{{\"message\":");
    let mut tcp = tokio::net::TcpStream::connect(app.address)
        .await
        .expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut tcp, half.as_bytes())
        .await
        .expect("to send");
    drop(tcp);
    lives(&app).await;
    assert_eq!(ann.history("general").await, Vec::<Value>::new());
}
