//! Pings and pongs (RFC 6455, 5.5.2 and 5.5.3).

use super::{alone, saying};
use crate::harness::wire::{CONTINUATION, FIN, PING, PONG, TEXT, Wire, frame};

#[tokio::test]
async fn a_ping_is_answered_at_once_with_what_it_brought() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    // No text: it need not be UTF-8.
    for payload in [&b""[..], b"?", b"\xff\0\xc3", &[b'x'; 125], &[0xed; 125]] {
        wire.send(&frame(FIN | PING, payload)).await;
        wire.ponged(payload).await;
        // In the middle of a message it does not wait for the rest.
        wire.send(&frame(TEXT, br#"{"message":"#)).await;
        wire.send(&frame(FIN | PING, payload)).await;
        wire.ponged(payload).await;
        wire.send(&frame(CONTINUATION, br#""in two "#)).await;
        wire.drip(&frame(FIN | PING, payload), 1).await;
        wire.ponged(payload).await;
        wire.send(&frame(FIN | CONTINUATION, br#"parts"}"#)).await;
        assert_eq!(wire.heard().await, "in two parts");
    }
    wire.quiet().await;
}

#[tokio::test]
async fn pings_in_a_row_are_answered_in_order() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    let pings: Vec<Vec<u8>> = (0..50)
        .map(|n| frame(FIN | PING, format!("ping {n}").as_bytes()))
        .collect();
    for apart in [true, false] {
        if apart {
            for ping in &pings {
                wire.send(ping).await;
            }
        } else {
            wire.send(&pings.concat()).await;
        }
        for n in 0..50 {
            wire.ponged(format!("ping {n}").as_bytes()).await;
        }
    }
    // Between the fragments of one message, all in one segment.
    let mut bytes = frame(TEXT, b"");
    for (byte, ping) in saying("between pings").iter().zip(&pings) {
        bytes.extend(frame(CONTINUATION, &[*byte]));
        bytes.extend(ping);
    }
    bytes.extend(frame(FIN | CONTINUATION, b""));
    wire.send(&bytes).await;
    for n in 0..saying("between pings").len() {
        wire.ponged(format!("ping {n}").as_bytes()).await;
    }
    assert_eq!(wire.heard().await, "between pings");
    wire.quiet().await;
}

#[tokio::test]
async fn a_pong_that_nobody_asked_for_is_ignored() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    for payload in [&b""[..], b"?", b"\xff\xfe", &[b'x'; 125]] {
        let pong = frame(FIN | PONG, payload);
        wire.send(&pong).await;
        wire.quiet().await;
        wire.send(&frame(TEXT, br#"{"message":"#)).await;
        wire.send(&pong).await;
        wire.send(&pong).await;
        wire.send(&frame(FIN | CONTINUATION, br#""whole"}"#)).await;
        assert_eq!(wire.heard().await, "whole");
    }
    wire.quiet().await;
}
