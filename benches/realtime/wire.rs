//! The bytes of a socket: the upgrade, WebSocket frames (RFC 6455), and what a message's text says.

use memchr::memmem::Finder;

/// The first byte of a whole text frame.
pub const TEXT: u8 = 0x81;
/// The first byte of a close frame.
pub const CLOSE: u8 = 0x88;
/// The first byte of a ping.
pub const PING: u8 = 0x89;
/// The first byte of a pong.
pub const PONG: u8 = 0x8a;

/// Digits of a message's number at the head of its text.
const ID_DIGITS: usize = 12;
/// Digits of the nanosecond at which it was due, behind the number.
const DUE_DIGITS: usize = 16;
/// No text is shorter.
pub const SHORTEST: usize = ID_DIGITS + DUE_DIGITS;

/// One frame of those that a buffer holds.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Its first byte: one of [`TEXT`], [`CLOSE`], [`PING`] and [`PONG`] from a server that does
    /// not fragment.
    pub kind: u8,
    /// What it says. Of a masked frame this is right only if the key is zero, as here it always is.
    pub payload: &'a [u8],
    /// Its length with the header, in bytes.
    pub length: usize,
}

/// The frame at the head of these bytes, if all of it is there.
pub fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (kind, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, header): (usize, usize) = match second & 0x7f {
        0x7e => {
            let length = bytes.get(2..4)?.try_into().ok()?;
            (usize::from(u16::from_be_bytes(length)), 4)
        }
        0x7f => {
            let length = bytes.get(2..10)?.try_into().ok()?;
            (usize::try_from(u64::from_be_bytes(length)).ok()?, 10)
        }
        short => (usize::from(short), 2),
    };
    let start = if second & 0x80 == 0 {
        header
    } else {
        header + 4
    };
    let end = start.checked_add(length)?;
    Some(Frame {
        kind,
        payload: bytes.get(start..end)?,
        length: end,
    })
}

/// Appends a frame. A client's is masked, with the key zero: the load generator's time is not spent
/// on it, the server's is.
pub fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8], from_client: bool) {
    let mask = if from_client { 0x80 } else { 0 };
    out.push(kind);
    if let Ok(short @ 0..0x7e) = u8::try_from(payload.len()) {
        out.push(mask | short);
    } else if let Ok(middle) = u16::try_from(payload.len()) {
        out.push(mask | 0x7e);
        out.extend_from_slice(&middle.to_be_bytes());
    } else {
        out.push(mask | 0x7f);
        out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    }
    if from_client {
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(payload);
}

/// The request that opens a socket.
pub fn upgrade(host: &str, room: &str, token: &str, after: Option<u64>) -> Vec<u8> {
    let after = after.map_or_else(String::new, |seq| format!("&after={seq}"));
    format!(
        "GET /ws/chat/{room}/?token={token}{after} HTTP/1.1\r\nHost: {host}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// The frame that says a message: its text is its number, the nanosecond at which it was due, and
/// as much behind as makes it `length` long.
pub fn put_message(out: &mut Vec<u8>, id: u64, due: u64, length: usize) {
    let text = text(id, due, length);
    let frame =
        format!(r#"{{"type":"message","message":"{text}","nonce":"{id:0ID_DIGITS$}","ref":{id}}}"#);
    put(out, TEXT, frame.as_bytes(), true);
}

/// A message's text, as in [`put_message`].
pub fn text(id: u64, due: u64, length: usize) -> String {
    let rest = length.saturating_sub(SHORTEST);
    format!("{id:0ID_DIGITS$}{due:0DUE_DIGITS$}{:x<rest$}", "")
}

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub seq: u64,
    pub id: u64,
    /// Nanoseconds since the load generator began.
    pub due: u64,
}

/// Finds the fields that count. It reads no JSON: a thousand readers on one core would wait for it.
#[derive(Debug)]
pub struct Scanner {
    seq: Finder<'static>,
    last_seq: Finder<'static>,
    message: Finder<'static>,
    reference: Finder<'static>,
    more: Finder<'static>,
}

impl Scanner {
    pub fn new() -> Self {
        Self {
            seq: Finder::new(br#""seq":"#),
            last_seq: Finder::new(br#""last_seq":"#),
            message: Finder::new(br#""message":""#),
            reference: Finder::new(br#""ref":"#),
            more: Finder::new(br#""has_more":true"#),
        }
    }

    /// A message from the head of these bytes, and what is behind it.
    pub fn said<'a>(&self, bytes: &'a [u8]) -> Option<(Said, &'a [u8])> {
        let bytes = behind(&self.seq, bytes)?;
        let seq = number(bytes, usize::MAX)?;
        let text = behind(&self.message, bytes)?;
        let id = number(text, ID_DIGITS)?;
        let due = number(text.get(ID_DIGITS..)?, DUE_DIGITS)?;
        Some((Said { seq, id, due }, text))
    }

    /// The text of a client's message, without quotes inside.
    pub fn text<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let text = behind(&self.message, bytes)?;
        text.get(..memchr::memchr(b'"', text)?)
    }

    /// The `seq` of an ack.
    pub fn seq(&self, bytes: &[u8]) -> Option<u64> {
        number(behind(&self.seq, bytes)?, usize::MAX)
    }

    /// The `ref` of an ack or a client's message.
    pub fn reference(&self, bytes: &[u8]) -> Option<u64> {
        number(behind(&self.reference, bytes)?, usize::MAX)
    }

    /// The `last_seq` of a page.
    pub fn last_seq(&self, bytes: &[u8]) -> Option<u64> {
        number(behind(&self.last_seq, bytes)?, usize::MAX)
    }

    /// Whether another page follows.
    pub fn has_more(&self, bytes: &[u8]) -> bool {
        self.more.find(bytes).is_some()
    }
}

fn behind<'a>(finder: &Finder<'_>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    bytes.get(finder.find(bytes)? + finder.needle().len()..)
}

/// The number at the head of these bytes, of at most so many digits.
fn number(bytes: &[u8], most: usize) -> Option<u64> {
    let digits = bytes
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_digit());
    let (count, value) = digits.fold((0, 0_u64), |(count, value), digit| {
        let value = value.wrapping_mul(10) + u64::from(digit - b'0');
        (count + 1, value)
    });
    (count > 0).then_some(value)
}
