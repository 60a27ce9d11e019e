//! The opening handshake, and what comes with it (RFC 6455, 4.2.2).

use super::{alone, saying};
use crate::harness::wire::{CLOSE, FIN, PING, Received, TEXT, Wire, frame};

#[tokio::test]
async fn no_extension_and_no_subprotocol_is_ever_agreed_on() {
    let (_app, ann, room) = alone().await;
    for offer in [
        "",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: bbf-usp-protocol\r\n",
        "Sec-WebSocket-Protocol: chat\r\n",
        "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: graphql-ws\r\n",
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
    ] {
        let (head, mut wire) = Wire::shake(&ann, &room, offer, b"").await;
        let head = head.to_lowercase();
        // RFC 6455, 1.3.
        let accept = "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
        assert!(head.contains(accept), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
        assert!(!head.contains("sec-websocket-protocol"), "{head}");
        // Nothing comes compressed, not even what would gain by it; reading looks at the bits.
        assert_eq!(wire.json().await["type"], "message_history");
        let text = "x".repeat(5000);
        wire.send(&frame(FIN | TEXT, &saying(&text))).await;
        assert_eq!(wire.heard().await, text);
        // And nothing may be sent so.
        wire.send(&frame(FIN | 0x40 | TEXT, b"\xca\x48\xcd\xc9\xc9\x07\x00"))
            .await;
        assert_eq!(wire.closed().await, Some(1002));
    }
}

#[tokio::test]
async fn what_comes_in_one_segment_with_the_handshake_is_not_lost() {
    let (_app, ann, room) = alone().await;
    let mut bytes = Vec::new();
    for n in 0..3 {
        bytes.extend(frame(FIN | TEXT, &saying(&format!("early {n}"))));
    }
    let half = bytes.len() / 2;
    // All of it, none, and all that lies between.
    for at in [bytes.len(), 0, 1, 2, 5, 6, 7, half, bytes.len() - 1] {
        let (with, after) = bytes.split_at(at);
        let (_, mut wire) = Wire::shake(&ann, &room, "", with).await;
        assert_eq!(wire.json().await["type"], "message_history");
        wire.send(after).await;
        for n in 0..3 {
            assert_eq!(wire.heard().await, format!("early {n}"), "cut at {at}");
        }
        wire.quiet().await;
    }
}

#[tokio::test]
async fn a_breach_or_a_close_may_come_with_the_handshake() {
    let (_app, ann, room) = alone().await;
    for (bytes, code) in [
        (b"\x81\x02hi".to_vec(), 1002),
        (frame(FIN | TEXT, b"\xff"), 1007),
        (frame(FIN | CLOSE, b"\x03\xe8"), 1000),
    ] {
        let (_, mut wire) = Wire::shake(&ann, &room, "", &bytes).await;
        // The history may or may not be on its way by then.
        let close = loop {
            match wire.next().await {
                Some(frame) if frame.opcode == TEXT => {}
                other => break other.expect("a close frame"),
            }
        };
        assert_eq!(close.code(), Some(code), "{bytes:x?}");
    }
    let (_, mut wire) = Wire::shake(&ann, &room, "", &frame(FIN | PING, b"early")).await;
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.push(wire.next().await.expect("an answer"));
    }
    let is_pong = |frame: &Received| frame.payload == b"early";
    assert_eq!(answers.iter().filter(|frame| is_pong(frame)).count(), 1);
    wire.quiet().await;
}
