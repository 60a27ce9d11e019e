//! Texts that are UTF-8 and texts that are not (RFC 6455, 8.1; RFC 3629).

use super::{alone, saying, verdict};
use crate::harness::wire::{FIN, TEXT, Wire, fragments, frame};

const NONE: &[&[u8]] = &[
    // Bytes that never occur, one that only goes on, and starts that nothing goes on from.
    b"\xff",
    b"\xfe",
    b"\x80",
    b"\xbf",
    b"\xc3(",
    b"\xe2\x82(",
    b"\xf0\x9f\x91(",
    // Overlong.
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    // Surrogates, alone and in a pair.
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb1\x8b",
    // Above U+10FFFF, and sequences of five and six bytes.
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
];

/// Each byte in a fragment of its own.
fn in_bytes(payload: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = payload.chunks(1).collect();
    fragments(TEXT, &parts).concat()
}

#[tokio::test]
async fn a_text_that_is_not_utf_8_ends_the_socket_with_1007() {
    let (_app, ann, room) = alone().await;
    for bad in NONE {
        let payload = [br#"{"message":"a"#, *bad, br#"b"}"#].concat();
        let whole = frame(FIN | TEXT, &payload);
        assert_eq!(verdict(&ann, &room, &whole).await, 1007, "{bad:x?}");
        let cut = in_bytes(&payload);
        assert_eq!(verdict(&ann, &room, &cut).await, 1007, "{bad:x?} in pieces");
    }
    assert!(ann.history(&room).await.is_empty());
}

#[tokio::test]
async fn a_text_that_ends_within_a_character_ends_the_socket_with_1007() {
    let (_app, ann, room) = alone().await;
    for character in ["é", "€", "👋"] {
        for end in 1..character.len() {
            let payload = [b"text ", &character.as_bytes()[..end]].concat();
            let begun = &payload[5..];
            for bytes in [
                frame(FIN | TEXT, &payload),
                in_bytes(&payload),
                fragments(TEXT, &[&payload, b""]).concat(),
                fragments(TEXT, &[b"", b"text ", begun, b"", b""]).concat(),
                // Another message does not complete it.
                [
                    frame(FIN | TEXT, &payload),
                    frame(FIN | TEXT, &character.as_bytes()[end..]),
                ]
                .concat(),
            ] {
                assert_eq!(verdict(&ann, &room, &bytes).await, 1007, "{bytes:x?}");
            }
        }
    }
}

#[tokio::test]
async fn a_character_may_be_split_over_fragments() {
    let (_app, ann, room) = alone().await;
    let mut wire = Wire::open(&ann, &room).await;
    // The first and the last of each length, and the neighbours of the surrogates.
    for character in [
        "\u{7e}",
        "\u{a0}",
        "\u{7ff}",
        "\u{800}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{feff}",
        "\u{ffff}",
        "\u{10000}",
        "\u{10ffff}",
        "é",
        "€",
        "👋",
    ] {
        let text = format!("a{character}b");
        let payload = saying(&text);
        wire.send(&in_bytes(&payload)).await;
        assert_eq!(wire.heard().await, text);
        for at in 1..payload.len() {
            let (first, second) = payload.split_at(at);
            wire.send(&fragments(TEXT, &[first, b"", second]).concat())
                .await;
            assert_eq!(wire.heard().await, text, "cut at {at}");
        }
    }
    wire.quiet().await;
}
