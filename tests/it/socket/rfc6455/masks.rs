//! Masks: what a client sends is unmasked right, whatever the mask and the length (RFC 6455, 5.3).

use super::{alone, saying};
use crate::harness::Random;
use crate::harness::wire::{FIN, PING, TEXT, Wire, masked};

/// Text of so many bytes in which no stretch is like the next.
fn varied(length: usize) -> String {
    let letter =
        |n: usize| char::from(b'a' + u8::try_from((n * n + n / 7) % 26).expect("a letter"));
    (0..length).map(letter).collect()
}

/// None, all, one of four each, one bit, and some that turn text into what looks like frames.
fn masks() -> Vec<[u8; 4]> {
    let mut random = Random::printed();
    let mut masks = vec![
        [0; 4],
        [0xff; 4],
        [0xff, 0, 0, 0],
        [0, 0, 0, 0xff],
        [0, 0x80, 0, 0],
        [1, 2, 3, 4],
        *b"{\"me",
        [0x88, 0x80, 0x89, 0x80],
    ];
    masks.extend([0; 4].map(|_| {
        let [a, b, c, d, ..] = random.next().to_be_bytes();
        [a, b, c, d]
    }));
    masks
}

#[tokio::test]
async fn a_text_of_any_length_is_unmasked_with_any_mask() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    let around = [64, 125, 126, 127, 128, 256, 4096, 16_384];
    let lengths = (15..=32).chain(around.into_iter().flat_map(|n| n - 1..=n + 1));
    let lengths: Vec<usize> = lengths.chain(65_533..=65_536).collect();
    let empty = saying("").len();
    for mask in masks() {
        for &length in &lengths {
            let text = varied((length - empty).min(16 * 1024));
            let mut payload = saying(&text);
            if payload.len() < length {
                // An unknown field before it, so that the text lies at the end.
                let field = format!(r#"{{"x":"","message":"{text}"}}"#);
                let padding = varied(length.saturating_sub(field.len()));
                payload = format!(r#"{{"x":"{padding}","message":"{text}"}}"#).into_bytes();
            }
            wire.send(&masked(FIN | TEXT, mask, &payload)).await;
            assert_eq!(wire.heard().await, text, "{length} bytes, {mask:x?}");
        }
    }
    wire.quiet().await;
}

#[tokio::test]
async fn the_shortest_payloads_are_unmasked_with_any_mask() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    for mask in masks() {
        for length in (0..=17).chain(120..=125) {
            let payload = varied(length).into_bytes();
            wire.send(&masked(FIN | PING, mask, &payload)).await;
            wire.ponged(&payload).await;
        }
        for length in 1..=17 {
            // A number: JSON down to its last byte, and no object.
            let payload = "7".repeat(length);
            wire.send(&masked(FIN | TEXT, mask, payload.as_bytes()))
                .await;
            let error = wire.json().await;
            assert_eq!(error["code"], "invalid_frame", "{length} bytes, {mask:x?}");
        }
    }
    wire.quiet().await;
}
