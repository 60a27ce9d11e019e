//! What no client may send: each breach ends its socket with 1002 (RFC 6455, 5.1 to 5.5).

use super::{alone, saying, verdict};
use crate::harness::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Wire, fragments, frame, header,
};

/// Each of these is followed by a good message, and none of those is ever said.
async fn are_breaches(cases: Vec<Vec<u8>>) {
    let (_app, ann, room) = alone().await;
    let good = frame(FIN | TEXT, &saying("hi"));
    for bytes in cases {
        let all = [&bytes[..], &good].concat();
        assert_eq!(verdict(&ann, &room, &all).await, 1002, "{bytes:x?}");
    }
    assert!(ann.history(&room).await.is_empty());
    Wire::open(&ann, &room).await.quiet().await;
}

#[tokio::test]
async fn a_frame_without_a_mask_is_a_breach() {
    let payload = saying("unmasked");
    let length = payload.len() as u64;
    let mut cases = Vec::new();
    for first in [FIN | TEXT, FIN | BINARY, TEXT, FIN | PING, FIN | PONG] {
        cases.push([header(first, length, None), payload.clone()].concat());
        cases.push(header(first, 0, None));
    }
    cases.push([header(FIN | CLOSE, 2, None), vec![0x03, 0xe8]].concat());
    // Within a message whose first frame has one.
    let rest = [header(FIN | CONTINUATION, length, None), payload].concat();
    cases.push([frame(TEXT, b""), rest].concat());
    are_breaches(cases).await;
}

#[tokio::test]
async fn a_reserved_bit_is_a_breach() {
    let payload = saying("reserved");
    let mut cases = Vec::new();
    for bits in [0x40, 0x20, 0x10, 0x70] {
        for opcode in [TEXT, BINARY, PING, PONG] {
            cases.push(frame(FIN | bits | opcode, &payload));
        }
        cases.push(frame(bits | TEXT, &payload));
        cases.push(frame(FIN | bits | CLOSE, b"\x03\xe8"));
        for first in [bits | CONTINUATION, FIN | bits | CONTINUATION] {
            cases.push([frame(TEXT, b""), frame(first, &payload)].concat());
        }
    }
    are_breaches(cases).await;
}

#[tokio::test]
async fn an_opcode_that_is_not_given_out_is_a_breach() {
    let payload = saying("reserved");
    let mut cases = Vec::new();
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        cases.push(frame(FIN | opcode, &payload));
        cases.push(frame(FIN | opcode, b""));
        cases.push(frame(opcode, &payload));
        cases.push([frame(TEXT, b""), frame(FIN | opcode, b"")].concat());
    }
    are_breaches(cases).await;
}

#[tokio::test]
async fn a_fragment_out_of_order_is_a_breach() {
    let rest = frame(FIN | CONTINUATION, b"}");
    let mut cases = Vec::new();
    // Nothing has begun.
    for first in [CONTINUATION, FIN | CONTINUATION] {
        cases.push(frame(first, &saying("hi")));
        cases.push(frame(first, b""));
    }
    cases.push([frame(FIN | PONG, b""), rest.clone()].concat());
    // Something has begun.
    for begun in [frame(TEXT, b"{"), frame(BINARY, b"{"), frame(TEXT, b"")] {
        for first in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
            let next = frame(first, &saying("hi"));
            cases.push([&begun[..], &next].concat());
            let between = frame(CONTINUATION, b"");
            cases.push([&begun[..], &between, &next].concat());
        }
    }
    are_breaches(cases).await;
    // It is over when it is over.
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    wire.send(&fragments(TEXT, &[b"[", b"]"]).concat()).await;
    wire.send(&rest).await;
    assert_eq!(wire.json().await["code"], "invalid_frame");
    assert_eq!(wire.closed().await, Some(1002));
}

#[tokio::test]
async fn a_control_frame_in_fragments_or_of_over_125_bytes_is_a_breach() {
    let mut cases = Vec::new();
    for opcode in [PING, PONG, CLOSE] {
        let payload = b"\x03\xe8";
        cases.push(frame(opcode, payload));
        cases.push([frame(opcode, payload), frame(FIN | CONTINUATION, b"")].concat());
        cases.push([frame(TEXT, b""), frame(opcode, payload)].concat());
        for length in [126, 127, 1000, 65_535, 65_536] {
            let mut long = vec![b'x'; length];
            long[..2].copy_from_slice(payload);
            cases.push(frame(FIN | opcode, &long));
        }
    }
    are_breaches(cases).await;
}
