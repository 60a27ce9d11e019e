//! Lengths: up to 64 KiB, and nothing is waited for or kept of what claims more.

use std::time::Duration;

use tokio::time::timeout;

use super::{alone, saying, verdict};
use crate::harness::wire::{BINARY, CONTINUATION, FIN, MASK, TEXT, Wire, fragments, frame, header};

const MOST: usize = 64 * 1024;

/// A message that has so many bytes as a frame.
fn filled(length: usize) -> Vec<u8> {
    let mut payload = saying("hi");
    payload.resize(length, b' ');
    payload
}

#[tokio::test]
async fn a_message_of_64_kib_passes_whole_and_in_fragments() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    let payload = filled(MOST);
    wire.send(&frame(FIN | TEXT, &payload)).await;
    assert_eq!(wire.heard().await, "hi");
    for size in [1, 1000, 1024, 32 * 1024, MOST - 1] {
        let mut parts: Vec<&[u8]> = payload.chunks(size).collect();
        parts.extend([&b""[..]; 3]);
        wire.send(&fragments(TEXT, &parts).concat()).await;
        assert_eq!(wire.heard().await, "hi", "in pieces of {size}");
    }
    wire.quiet().await;
}

#[tokio::test]
async fn a_message_of_a_byte_more_ends_the_socket_with_1009() {
    let (_app, ann, room) = alone().await;
    for payload in [filled(MOST + 1), filled(2 * MOST)] {
        for opcode in [TEXT, BINARY] {
            let whole = frame(FIN | opcode, &payload);
            assert_eq!(verdict(&ann, &room, &whole).await, 1009);
            for size in [1000, 32 * 1024, MOST, MOST + 1] {
                let parts: Vec<&[u8]> = payload.chunks(size).collect();
                let bytes = fragments(opcode, &parts).concat();
                assert_eq!(verdict(&ann, &room, &bytes).await, 1009, "{size}");
            }
        }
    }
    assert!(ann.history(&room).await.is_empty());
}

#[tokio::test]
async fn a_head_that_claims_too_much_is_refused_before_its_bytes_come() {
    let (_app, ann, room) = alone().await;
    let begun = frame(TEXT, b"{");
    for (length, first) in [
        (1 << 30, FIN | TEXT),
        (1 << 30, TEXT),
        (1 << 30, FIN | BINARY),
        (MOST as u64 + 1, FIN | TEXT),
        (u64::from(u32::MAX), FIN | TEXT),
        (1 << 32, FIN | TEXT),
        (i64::MAX.cast_unsigned(), FIN | TEXT),
        (1 << 30, FIN | CONTINUATION),
        (i64::MAX.cast_unsigned(), FIN | CONTINUATION),
    ] {
        let mut bytes = header(first, length, Some(MASK));
        if first & 0x0f == CONTINUATION {
            bytes = [&begun[..], &bytes].concat();
        }
        let code = timeout(Duration::from_secs(5), verdict(&ann, &room, &bytes));
        assert_eq!(code.await.expect("no waiting"), 1009, "{length}");
    }
}

#[tokio::test]
async fn a_length_with_the_top_bit_set_harms_nobody() {
    let (_app, ann, room) = alone().await;
    for length in [1 << 63, (1 << 63) | 1, u64::MAX, u64::MAX - 13] {
        for first in [FIN | TEXT, TEXT, FIN | BINARY] {
            let bytes = header(first, length, Some(MASK));
            // That it is no length is as true as that it is too long.
            let code = timeout(Duration::from_secs(5), verdict(&ann, &room, &bytes));
            let code = code.await.expect("no waiting");
            assert!([1002, 1009].contains(&code), "{code} for {length:#x}");
        }
    }
    let mut wire = Wire::open(&ann, &room).await;
    wire.send(&frame(FIN | TEXT, &saying("alive"))).await;
    assert_eq!(wire.heard().await, "alive");
}
