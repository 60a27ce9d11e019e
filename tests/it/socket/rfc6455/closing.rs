//! The closing handshake (RFC 6455, 5.5.1 and 7).

use super::{alone, saying, verdict};
use crate::harness::wire::{CLOSE, FIN, PING, TEXT, Wire, frame};

/// A close frame with this code and reason.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_then_the_connection_ends() {
    let (_app, ann, room) = alone().await;
    let codes = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ];
    for code in codes {
        for reason in ["", "bye", "auf Wiederhören 👋", &"x".repeat(123)] {
            let mut wire = Wire::open(&ann, &room).await;
            wire.send(&close(code, reason.as_bytes())).await;
            let answer = wire.next().await.expect("an answer");
            assert_eq!(answer.code(), Some(code), "{reason}");
            // It is the server that ends it, without waiting for the client.
            wire.ended().await;
        }
    }
}

#[tokio::test]
async fn a_close_without_a_code_is_answered() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    wire.drip(&frame(FIN | CLOSE, b""), 1).await;
    let answer = wire.next().await.expect("an answer");
    assert!([None, Some(1000)].contains(&answer.code()), "{answer:?}");
    wire.ended().await;
}

#[tokio::test]
async fn a_close_with_half_a_code_or_one_that_nobody_may_send_is_a_breach() {
    let (_app, ann, room) = alone().await;
    for half in [0, 3, 0xff] {
        let bytes = frame(FIN | CLOSE, &[half]);
        assert_eq!(verdict(&ann, &room, &bytes).await, 1002, "{half}");
    }
    for code in [
        0,
        1,
        999,
        1004,
        1005,
        1006,
        1015,
        1016,
        1100,
        2000,
        2999,
        5000,
        9999,
        u16::MAX,
    ] {
        for reason in ["", "bye"] {
            let bytes = close(code, reason.as_bytes());
            assert_eq!(verdict(&ann, &room, &bytes).await, 1002, "{code} {reason}");
        }
    }
}

#[tokio::test]
async fn a_reason_that_is_not_utf_8_is_answered_with_1007() {
    let (_app, ann, room) = alone().await;
    for reason in [
        &b"\xff"[..],
        b"bye \xc3",
        b"\xf0\x9f\x91",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
    ] {
        let bytes = close(1000, reason);
        assert_eq!(verdict(&ann, &room, &bytes).await, 1007, "{reason:x?}");
    }
}

#[tokio::test]
async fn whatever_follows_the_clients_close_is_ignored() {
    let (_app, ann, room) = alone().await;
    let good = frame(FIN | TEXT, &saying("hi"));
    let ping = frame(FIN | PING, b"?");
    for after in [
        &good[..],
        &ping,
        &close(1001, b""),
        b"\xff\xff\xff",
        b"\x81",
    ] {
        for before in [&b""[..], &frame(TEXT, br#"{"message":"#)] {
            let mut wire = Wire::open(&ann, &room).await;
            wire.send(&[before, &close(1000, b""), after].concat())
                .await;
            assert_eq!(wire.closed().await, Some(1000), "{after:x?}");
        }
    }
    assert!(ann.history(&room).await.is_empty());
}

#[tokio::test]
async fn nothing_is_done_that_comes_after_the_servers_close() {
    let (app, ann, room) = alone().await;
    let good = frame(FIN | TEXT, &saying("too late"));
    let mut broken = Wire::open(&ann, &room).await;
    broken.send(&frame(0x0f, b"")).await;
    let mut idle = Wire::open(&ann, &room).await;
    app.begin_to_stop();
    for (wire, code) in [(&mut broken, 1002), (&mut idle, 1001)] {
        let close = wire.next().await.expect("a close frame");
        assert_eq!(close.code(), Some(code));
        let answer = frame(FIN | CLOSE, &close.payload);
        wire.send(&[&good[..], &answer, &good].concat()).await;
        assert_eq!(wire.next().await, None);
    }
    drop((broken, idle));
    let place = app.stop().await;
    assert_eq!(place.count("select count(*) from messages").await, 0);
}
