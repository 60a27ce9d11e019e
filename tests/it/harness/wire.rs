//! A WebSocket of which the test writes and reads every byte itself.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::User;

/// The bit in a frame's first byte that says that it is the last of its message.
pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

/// The mask of frames whose mask is not the subject; the one in RFC 6455, 5.7.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// No answer takes this long, unless there is none.
const PATIENCE: Duration = Duration::from_secs(20);

/// The head of a frame: its first byte (FIN, RSV and opcode), the length in its shortest form, and
/// the mask, if it has one.
pub fn header(first: u8, length: u64, mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => bytes.push(bit + short),
        (_, Ok(middle)) => {
            bytes.push(bit + 126);
            bytes.extend(middle.to_be_bytes());
        }
        _ => {
            bytes.push(bit + 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(mask.into_iter().flatten());
    bytes
}

/// A frame as a client sends it, with this first byte and this mask.
pub fn masked(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, Some(mask));
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

/// The same, where the mask is not the subject.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, MASK, payload)
}

/// A message in as many frames as there are parts, each with a mask of its own.
pub fn fragments(opcode: u8, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let (mut first, mut mask) = (opcode, u32::from_be_bytes(MASK));
    for (number, part) in (1..).zip(parts) {
        if number == parts.len() {
            first |= FIN;
        }
        frames.push(masked(first, mask.to_be_bytes(), part));
        first = CONTINUATION;
        mask = mask.wrapping_mul(0x9e37_79b9);
    }
    frames
}

/// What the server sent: a control frame, or a message, put together if it came in fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Received {
    /// The code of a close frame; none if it is empty.
    pub fn code(&self) -> Option<u16> {
        assert_eq!(self.opcode, CLOSE, "not a close frame: {self:?}");
        if self.payload.is_empty() {
            return None;
        }
        let (code, reason) = self.payload.split_at_checked(2).expect("a whole code");
        assert!(str::from_utf8(reason).is_ok(), "{self:?}");
        Some(u16::from_be_bytes([code[0], code[1]]))
    }
}

/// A client's socket.
pub struct Wire {
    tcp: BufReader<TcpStream>,
    /// What has come of a message in fragments.
    begun: Option<Received>,
}

impl Wire {
    /// Opens the room's socket, and reads the history that comes first.
    pub async fn open(who: &User, room: &str) -> Self {
        let (_, mut wire) = Self::shake(who, room, "", b"").await;
        assert_eq!(wire.json().await["type"], "message_history");
        wire
    }

    /// Sends the handshake, with the sample key of RFC 6455, these lines as further headers, and
    /// these bytes in the same segment; returns the head of the answer, which must be 101.
    pub async fn shake(who: &User, room: &str, headers: &str, and: &[u8]) -> (String, Self) {
        let mut tcp = TcpStream::connect(who.address).await.expect("a connection");
        tcp.set_nodelay(true).expect("no delay");
        let request = format!(
            "GET /ws/chat/{room}/?token={} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            who.token, who.address
        );
        let bytes = [request.as_bytes(), and].concat();
        tcp.write_all(&bytes).await.expect("to send");
        let mut tcp = BufReader::new(tcp);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let line = timeout(PATIENCE, tcp.read_line(&mut head)).await;
            let length = line.expect("a line in time").expect("a line");
            assert!(length > 0, "ended after {head:?}");
        }
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (head, Self { tcp, begun: None })
    }

    /// Sends these bytes at once.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.expect("to send");
    }

    /// Sends these bytes so many at a time, with a moment after each, in which the server sees
    /// only what there is.
    pub async fn drip(&mut self, bytes: &[u8], at_a_time: usize) {
        for some in bytes.chunks(at_a_time) {
            self.send(some).await;
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// The next message or control frame; none if the connection has ended. Pings are not
    /// answered.
    pub async fn next(&mut self) -> Option<Received> {
        let next = async {
            loop {
                let (fin, frame) = self.read_frame().await?;
                if frame.opcode >= CLOSE {
                    return Some(frame);
                }
                let begun = match (self.begun.take(), frame.opcode) {
                    (None, TEXT | BINARY) => frame,
                    (Some(mut begun), CONTINUATION) => {
                        begun.payload.extend(frame.payload);
                        begun
                    }
                    (begun, _) => panic!("{frame:?} after {begun:?}"),
                };
                if fin {
                    return Some(begun);
                }
                self.begun = Some(begun);
            }
        };
        timeout(PATIENCE, next)
            .await
            .expect("a frame, or the end, in time")
    }

    /// Reads a frame, which must be as RFC 6455 wants it of a server; whether it is a last one.
    async fn read_frame(&mut self) -> Option<(bool, Received)> {
        let first = match self.tcp.read_u8().await {
            Ok(byte) => byte,
            Err(e)
                if [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&e.kind()) =>
            {
                return None;
            }
            Err(e) => panic!("{e}"),
        };
        let (fin, opcode) = (first & FIN != 0, first & 0x0f);
        assert_eq!(first & 0x70, 0, "reserved bits: {first:#x}");
        assert!([0, 1, 2, 8, 9, 10].contains(&opcode), "{first:#x}");
        let tcp = &mut self.tcp;
        let second = tcp.read_u8().await.expect("a length");
        assert!(second < 0x80, "a server masks nothing: {second:#x}");
        let length = match second {
            126 => u64::from(tcp.read_u16().await.expect("a length of 16 bits")),
            127 => tcp.read_u64().await.expect("a length of 64 bits"),
            short => u64::from(short),
        };
        let shortest = match length {
            0..=125 => second < 126,
            126..=0xffff => second == 126,
            _ => second == 127,
        };
        assert!(shortest, "{length} in a field of {second}");
        if opcode >= CLOSE {
            assert!(fin && length <= 125, "{opcode:#x} of {length}, {fin}");
        }
        let mut payload = vec![0; usize::try_from(length).expect("64 bits")];
        tcp.read_exact(&mut payload).await.expect("a payload");
        Some((fin, Received { opcode, payload }))
    }

    /// The next frame, which must be a text of JSON.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Received {
                opcode: TEXT,
                payload,
            }) => serde_json::from_slice(&payload).expect("JSON"),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// The text of the message that must come next.
    pub async fn heard(&mut self) -> String {
        let frame = self.json().await;
        assert_eq!(frame["type"], "chat_message", "{frame}");
        frame["message"].as_str().expect("a text").to_owned()
    }

    /// Proves that nothing else was on its way, and that it lives: a ping is answered with the
    /// very next frame.
    pub async fn quiet(&mut self) {
        self.send(&frame(FIN | PING, b"quiet?")).await;
        self.ponged(b"quiet?").await;
    }

    /// The frame that must come next: a pong with this payload.
    pub async fn ponged(&mut self, payload: &[u8]) {
        let pong = Received {
            opcode: PONG,
            payload: payload.to_vec(),
        };
        assert_eq!(self.next().await, Some(pong));
    }

    /// The code of the close frame that must come next. It is answered, and then the connection
    /// must end with nothing more said.
    pub async fn closed(&mut self) -> Option<u16> {
        let close = self.next().await.expect("a close frame");
        let code = close.code();
        // Where the server has hung up already, nobody waits for it.
        let _ = self
            .tcp
            .write_all(&frame(FIN | CLOSE, &close.payload))
            .await;
        assert_eq!(self.next().await, None, "after the close frame");
        code
    }

    /// Waits until the server ends the connection, which must be in order: nothing more, no reset.
    pub async fn ended(&mut self) {
        let rest = timeout(PATIENCE, self.tcp.read_u8());
        let error = rest.await.expect("an end in time").expect_err("no more");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
