//! RFC 6455 frames, from and to bytes. A connection that is idle holds no buffer.
//!
//! The headers are tungstenite's; the rest is here, since what a broadcast writes to thousands of
//! sockets is made once, and what a client sends is read into a buffer that all connections share.

use std::collections::VecDeque;
use std::io::Cursor;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::close::Close;

/// Longest frame and message from a client, in bytes: a message of 16 KiB fits however its text is
/// escaped in practice.
pub const FRAME_MAX: usize = 64 * 1024;
/// Longest payload of a control frame (RFC 6455, 5.5).
const CONTROL_MAX: u64 = 125;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message of text.
    Text(String),
    /// A whole message of bytes, which are of no use here.
    Binary,
    /// To be answered with the same bytes.
    Ping(Vec<u8>),
    /// The answer to a ping, asked for or not.
    Pong,
    /// The end, with its code if there is one.
    Close(Option<u16>),
}

/// Makes messages of the bytes as they come.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a frame whose end is still to come.
    partial: Vec<u8>,
    /// A message whose last fragment is still to come.
    message: Option<Fragments>,
    /// After a mistake, or the close, nothing means anything any more.
    over: bool,
}

#[derive(Debug)]
struct Fragments {
    is_text: bool,
    bytes: Vec<u8>,
    /// How much of it is known to be UTF-8.
    checked: usize,
}

impl Decoder {
    /// Takes what was read and gives what is whole by now, up to a mistake, which ends the
    /// connection. What came before the mistake counts.
    pub fn feed(&mut self, read: &mut [u8], out: &mut VecDeque<Incoming>) -> Result<(), Close> {
        if self.over {
            return Ok(());
        }
        let fed = self.feed_more(read, out);
        self.over |= fed.is_err();
        fed
    }

    fn feed_more(&mut self, read: &mut [u8], out: &mut VecDeque<Incoming>) -> Result<(), Close> {
        if self.partial.is_empty() {
            let taken = self.take(read, out)?;
            self.partial.extend_from_slice(&read[taken..]);
        } else {
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.extend_from_slice(read);
            let taken = self.take(&mut bytes, out)?;
            bytes.drain(..taken);
            if !bytes.is_empty() {
                self.partial = bytes;
            }
        }
        Ok(())
    }

    /// Takes whole frames from the beginning; returns how many bytes they were.
    fn take(&mut self, bytes: &mut [u8], out: &mut VecDeque<Incoming>) -> Result<usize, Close> {
        let mut taken = 0;
        loop {
            let mut cursor = Cursor::new(&bytes[taken..]);
            let Some((header, length)) =
                FrameHeader::parse(&mut cursor).map_err(|_| Close::Protocol)?
            else {
                return Ok(taken);
            };
            let mask = self.check(&header, length)?;
            let begin = taken + usize::try_from(cursor.position()).map_err(|_| Close::TooBig)?;
            let end = begin + usize::try_from(length).map_err(|_| Close::TooBig)?;
            let Some(payload) = bytes.get_mut(begin..end) else {
                return Ok(taken);
            };
            unmask(payload, mask);
            taken = end;
            if let Some(whole) = self.frame(&header, payload)? {
                self.over = matches!(whole, Incoming::Close(_));
                out.push_back(whole);
                if self.over {
                    // Whatever follows is nothing (RFC 6455, 1.4).
                    return Ok(bytes.len());
                }
            }
        }
    }

    /// Refuses what can be refused by its header, before the payload is waited for.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<[u8; 4], Close> {
        let mask = header.mask.ok_or(Close::Protocol)?;
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Close::Protocol);
        }
        let before = match (header.opcode, &self.message) {
            (OpCode::Control(_), _) if !header.is_final || length > CONTROL_MAX => {
                return Err(Close::Protocol);
            }
            (OpCode::Control(_), _) | (OpCode::Data(Data::Text | Data::Binary), None) => 0,
            (OpCode::Data(Data::Continue), Some(message)) => message.bytes.len(),
            (OpCode::Data(_), _) => return Err(Close::Protocol),
        };
        if length > (FRAME_MAX - before) as u64 {
            return Err(Close::TooBig);
        }
        Ok(mask)
    }

    fn frame(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Option<Incoming>, Close> {
        Ok(match header.opcode {
            OpCode::Control(Control::Ping) => Some(Incoming::Ping(payload.to_vec())),
            OpCode::Control(Control::Pong) => Some(Incoming::Pong),
            OpCode::Control(_) => Some(Incoming::Close(close_code(payload)?)),
            OpCode::Data(Data::Text) if header.is_final => {
                let text = std::str::from_utf8(payload).map_err(|_| Close::NotUtf8)?;
                Some(Incoming::Text(text.to_owned()))
            }
            OpCode::Data(Data::Binary) if header.is_final => Some(Incoming::Binary),
            OpCode::Data(kind) => {
                let mut message = self.message.take().unwrap_or(Fragments {
                    is_text: kind == Data::Text,
                    bytes: Vec::new(),
                    checked: 0,
                });
                message.bytes.extend_from_slice(payload);
                if header.is_final {
                    Some(message.whole()?)
                } else {
                    message.check()?;
                    self.message = Some(message);
                    None
                }
            }
        })
    }
}

impl Fragments {
    /// Refuses what cannot become UTF-8 any more. A character may be cut by the fragment's end.
    fn check(&mut self) -> Result<(), Close> {
        if !self.is_text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Close::NotUtf8),
        }
        Ok(())
    }

    fn whole(self) -> Result<Incoming, Close> {
        if !self.is_text {
            return Ok(Incoming::Binary);
        }
        let text = String::from_utf8(self.bytes).map_err(|_| Close::NotUtf8)?;
        Ok(Incoming::Text(text))
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Close> {
    match payload {
        [] => Ok(None),
        [_] => Err(Close::Protocol),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(Close::Protocol);
            }
            std::str::from_utf8(reason).map_err(|_| Close::NotUtf8)?;
            Ok(Some(code))
        }
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for chunk in payload.chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

/// Puts a frame of text behind what is in `out`: its header, and what `write` writes.
pub fn put_text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    // Most frames have 126 to 65,535 bytes, and a header of 4.
    out.extend_from_slice(&[0x81, 126, 0, 0]);
    let payload = out.len();
    write(out);
    let length = out.len() - payload;
    if let (Ok(length), true) = (u8::try_from(length), length < 126) {
        out[begin + 1] = length;
        out.drain(begin + 2..payload);
    } else if let Ok(length) = u16::try_from(length) {
        out[begin + 2..payload].copy_from_slice(&length.to_be_bytes());
    } else {
        out[begin + 1] = 127;
        out.splice(begin + 2..payload, (length as u64).to_be_bytes());
    }
}

/// A control frame; what is too long for one is cut.
fn control(first: u8, payload: &[u8]) -> Bytes {
    let length = u8::try_from(payload.len().min(125)).unwrap_or(125);
    let mut frame = vec![first, length];
    frame.extend_from_slice(&payload[..usize::from(length)]);
    frame.into()
}

/// A ping.
pub fn ping() -> Bytes {
    Bytes::from_static(&[0x89, 0])
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    control(0x8a, payload)
}

/// The end, with a code and a reason.
pub fn close(code: u16, reason: &str) -> Bytes {
    control(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The end, without a code.
pub fn close_without_code() -> Bytes {
    control(0x88, &[])
}

#[cfg(test)]
mod tests;
