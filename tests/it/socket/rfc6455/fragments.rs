//! Messages in fragments, and frames however TCP cuts them (RFC 6455, 5.4).

use serde_json::json;

use super::{alone, saying};
use crate::harness::wire::{BINARY, CONTINUATION, FIN, TEXT, Wire, fragments, frame};
use crate::harness::{Db, Place, Process, User};

/// As a frame longer than a hundred bytes, with characters of one to four of them.
const LONG: &str = "It came in pieces: é ö ü, € and ‰, 👋 and 👩‍👩‍👧‍👦, which is enough of it.";

/// Cuts bytes into so many parts, which are as good as equal.
fn cut(bytes: &[u8], count: usize) -> Vec<&[u8]> {
    let at = |n: usize| n * bytes.len() / count;
    (0..count).map(|n| &bytes[at(n)..at(n + 1)]).collect()
}

#[tokio::test]
async fn a_message_in_fragments_arrives_as_one() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    let whole = saying(LONG);
    let (head, tail) = whole.split_at(20);
    for parts in [
        cut(&whole, 2),
        cut(&whole, 3),
        cut(&whole, 100),
        cut(&whole, whole.len()),
        vec![b"", &whole],
        vec![&whole, b""],
        vec![head, b"", tail],
        vec![b"", b"", head, b"", b"", tail, b"", b""],
    ] {
        let frames = fragments(TEXT, &parts);
        for frame in &frames {
            wire.send(frame).await;
        }
        assert_eq!(wire.heard().await, LONG, "{} parts", parts.len());
        wire.send(&frames.concat()).await;
        assert_eq!(wire.heard().await, LONG, "{} parts at once", parts.len());
        // In single bytes, unless that would take too long.
        let bytes = frames.concat();
        wire.drip(&bytes, bytes.len().div_ceil(400)).await;
        assert_eq!(wire.heard().await, LONG, "{} parts dripped", parts.len());
        wire.quiet().await;
    }
}

#[tokio::test]
async fn a_frame_arrives_whole_wherever_tcp_cuts_it() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    // With lengths of 7, of 16 and of 64 bits.
    for text in ["hi", &"é".repeat(100), &"x".repeat(16_000)] {
        let mut payload = saying(text);
        if text.len() > 10_000 {
            payload.resize(65_536, b' ');
        }
        let bytes = frame(FIN | TEXT, &payload);
        // In its head, just behind it, and in its last bytes.
        for at in (1..20).chain(bytes.len() - 4..bytes.len()) {
            let (first, second) = bytes.split_at(at);
            wire.drip(first, first.len()).await;
            wire.send(second).await;
            assert_eq!(wire.heard().await, text, "cut at {at}");
        }
        wire.drip(&bytes, bytes.len().div_ceil(100) | 1).await;
        assert_eq!(wire.heard().await, text);
        // The second is begun in the same segment as the end of the first.
        let two = [&bytes[..], &bytes].concat();
        let (first, second) = two.split_at(bytes.len() + 3);
        wire.drip(first, first.len()).await;
        wire.send(second).await;
        assert_eq!(wire.heard().await, text);
        assert_eq!(wire.heard().await, text);
    }
    wire.quiet().await;
}

#[tokio::test]
async fn many_frames_in_one_segment_are_many_messages_in_order() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    let mut bytes = Vec::new();
    for n in 0..100 {
        let payload = saying(&format!("number {n}"));
        if n % 3 == 0 {
            bytes.extend(fragments(TEXT, &cut(&payload, 4)).concat());
        } else {
            bytes.extend(frame(FIN | TEXT, &payload));
        }
    }
    wire.send(&bytes).await;
    for n in 0..100 {
        assert_eq!(wire.heard().await, format!("number {n}"));
    }
    wire.quiet().await;
}

#[tokio::test]
async fn a_binary_message_gets_an_error_and_the_socket_lives() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    let error = json!({
        "type": "error", "message": "Received empty message.", "code": "empty_frame",
    });
    let payload = saying("hi");
    for bytes in [
        frame(FIN | BINARY, b""),
        frame(FIN | BINARY, &payload),
        frame(FIN | BINARY, &[0xff; 1000]),
        fragments(BINARY, &cut(&payload, 3)).concat(),
        fragments(BINARY, &[b"\xc3", b"", b"\xff\xfe"]).concat(),
        fragments(BINARY, &[b"", b""]).concat(),
        // So does a text of nothing.
        frame(FIN | TEXT, b""),
        fragments(TEXT, &[b"", b"", b""]).concat(),
    ] {
        wire.send(&bytes).await;
        assert_eq!(wire.json().await, error, "{bytes:?}");
        wire.quiet().await;
    }
    wire.send(&frame(FIN | TEXT, &payload)).await;
    assert_eq!(wire.heard().await, "hi");
}

#[tokio::test]
async fn empty_fragments_without_end_take_no_memory() {
    let place = Place::new(Db::Sqlite);
    let process = Process::start(&place, &[]).await;
    let ann = User::register(process.address, "ann").await;
    let room = ann.room("general").await;
    let mut wire = Wire::open(&ann, &room).await;
    wire.send(&frame(TEXT, br#"{"message":"#)).await;
    let some = frame(CONTINUATION, b"").repeat(10_000);
    wire.send(&some).await;
    // All of them are behind it when it is answered.
    wire.quiet().await;
    let before = process.memory();
    for _ in 0..20 {
        wire.send(&some).await;
        wire.quiet().await;
    }
    if let (Some(before), Some(after)) = (before, process.memory()) {
        // Ten bytes of each would show.
        assert!(after < before + (2 << 20), "{after} after {before}");
    }
    wire.send(&frame(FIN | CONTINUATION, br#""hi"}"#)).await;
    assert_eq!(wire.heard().await, "hi");
    process.stop().await;
}
