//! Frames from and to bytes, however the bytes come.

use super::*;

/// A client's frame, with a mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).expect("short")),
        medium => {
            frame.push(0xfe);
            let medium = u16::try_from(medium).expect("up to 64 KiB");
            frame.extend(medium.to_be_bytes());
        }
    }
    frame.extend(mask);
    let mut masked = payload.to_vec();
    unmask(&mut masked, mask);
    frame.extend(masked);
    frame
}

/// The same bytes all at once, one by one, and in halves: always with the same result.
fn decode(bytes: &[u8]) -> (VecDeque<Incoming>, Result<(), Close>) {
    let in_pieces = |size: usize| {
        let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
        for piece in bytes.chunks(size.max(1)) {
            if let Err(close) = decoder.feed(&mut piece.to_vec(), &mut out) {
                return (out, Err(close));
            }
        }
        assert!(decoder.partial.is_empty() && decoder.message.is_none());
        (out, Ok(()))
    };
    let whole = in_pieces(bytes.len());
    assert_eq!(in_pieces(1), whole);
    assert_eq!(in_pieces(bytes.len().div_ceil(2)), whole);
    whole
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

#[test]
fn messages_are_whole_however_the_bytes_come() {
    let long = "ü".repeat(30_000);
    let euro = "€".as_bytes();
    let bytes = [
        frame(0x81, b"hi"),
        frame(0x81, b""),
        frame(0x82, b"\0"),
        frame(0x01, b"on"),
        frame(0x89, b"still there?"),
        frame(0x00, b""),
        frame(0x8a, b""),
        frame(0x80, b"e"),
        frame(0x01, &euro[..1]),
        frame(0x80, &euro[1..]),
        frame(0x81, long.as_bytes()),
    ]
    .concat();
    let (messages, end) = decode(&bytes);
    let messages = Vec::from(messages);
    assert_eq!(end, Ok(()));
    let ping = Incoming::Ping(b"still there?".to_vec());
    assert_eq!(messages[..3], [text("hi"), text(""), Incoming::Binary]);
    assert_eq!(messages[3..6], [ping, Incoming::Pong, text("one")]);
    assert_eq!(messages[6..], [text("€"), text(&long)]);
}

#[test]
fn what_comes_before_a_mistake_counts() {
    let bytes = [frame(0x81, b"hi"), frame(0x83, b"")].concat();
    let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
    let end = decoder.feed(&mut bytes.clone(), &mut out);
    assert_eq!((out, end), (vec![text("hi")].into(), Err(Close::Protocol)));
    // Payload is not taken for frames afterwards.
    let mut out = VecDeque::new();
    let end = decoder.feed(&mut frame(0x88, b""), &mut out);
    assert_eq!((out, end), (VecDeque::new(), Ok(())));
}

#[test]
fn each_mistake_has_its_code() {
    let big = vec![b'x'; 40_000];
    for (bytes, close) in [
        (frame(0xc1, b""), Close::Protocol),
        (frame(0x83, b""), Close::Protocol),
        (frame(0x80, b""), Close::Protocol),
        (frame(0x09, b""), Close::Protocol),
        (frame(0x89, &[0; 126]), Close::Protocol),
        (frame(0x88, b"x"), Close::Protocol),
        (frame(0x88, &[3, 0xec]), Close::Protocol),
        (frame(0x88, &[3, 0xe8, 0xff]), Close::NotUtf8),
        (vec![0x81, 0], Close::Protocol),
        (
            [frame(0x01, b""), frame(0x81, b"")].concat(),
            Close::Protocol,
        ),
        (frame(0x81, b"\xff"), Close::NotUtf8),
        (frame(0x01, b"\xed\xa0"), Close::NotUtf8),
        (
            [frame(0x01, b"\xe2"), frame(0x80, b"\x82")].concat(),
            Close::NotUtf8,
        ),
        (
            [frame(0x01, &big), frame(0x80, &big)].concat(),
            Close::TooBig,
        ),
        // Told by the header alone.
        (
            vec![0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4],
            Close::TooBig,
        ),
        (
            vec![0x81, 0xff, 0xff, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4],
            Close::TooBig,
        ),
    ] {
        assert_eq!(
            decode(&bytes).1,
            Err(close),
            "{:?}",
            &bytes[..bytes.len().min(20)]
        );
    }
}

#[test]
fn nothing_counts_after_the_close() {
    let bytes = [frame(0x88, &[3, 0xe8]), frame(0x81, b"hi")].concat();
    let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
    decoder.feed(&mut bytes.clone(), &mut out).expect("a close");
    assert_eq!(out, [Incoming::Close(Some(1000))]);
}

#[test]
fn headers_of_all_three_sizes_are_written() {
    for (length, header) in [
        (125, &[0x81, 125][..]),
        (126, &[0x81, 126, 0, 126]),
        (65_535, &[0x81, 126, 0xff, 0xff]),
        (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut out = vec![7];
        put_text(&mut out, |out| out.resize(out.len() + length, b'x'));
        assert_eq!(out.len(), 1 + header.len() + length);
        assert_eq!(out[1..=header.len()], *header);
    }
    assert_eq!(close(1000, "bye")[..], [0x88, 5, 3, 0xe8, b'b', b'y', b'e']);
    assert_eq!(pong(b"x")[..], [0x8a, 1, b'x']);
}
