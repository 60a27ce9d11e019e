//! The protocol's frames: every one that a client may send, and every one that it gets.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chat::Error;
use crate::model::time::iso;
use crate::model::{Field, Message, Page, Receipt};
use crate::web::json::{Dialect, HistoryBody, MessageBody};

/// Longest `ref` that is echoed, in bytes.
const REF_MAX: usize = 128;

/// What a client sends.
#[derive(Debug, PartialEq)]
pub enum ClientFrame {
    /// Something to say.
    Message {
        /// The text.
        body: Field,
        /// The sender's own name for it.
        nonce: Field,
    },
    /// The user is typing.
    Typing,
    /// Older messages, please.
    History {
        /// Only messages with smaller ids.
        before: Option<i64>,
        /// How many.
        limit: Option<u32>,
    },
    /// Everything changed since then, please.
    Sync {
        /// The last change that the client has seen.
        after: i64,
    },
    /// A newer access token.
    Auth {
        /// The token.
        token: String,
    },
    /// Is anybody there?
    Ping,
}

/// Why a frame is none: a code for programs and a sentence for people.
#[derive(Debug, PartialEq)]
pub struct Malformed {
    /// Stable over versions.
    pub code: &'static str,
    /// What is wrong.
    pub text: String,
}

impl Malformed {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    fn frame(text: impl Into<String>) -> Self {
        Self::new("invalid_frame", text)
    }

    /// An empty or a binary frame.
    pub fn empty() -> Self {
        Self::new("empty_frame", "Received empty message.")
    }

    /// An `?after=` that is no number.
    pub fn after() -> Self {
        let text = "after must be a whole number from 0; this is the newest page instead.";
        Self::new("invalid_parameter", text)
    }
}

/// A text frame, read: its `ref`, which answers carry back, and what it is.
#[derive(Debug, PartialEq)]
pub struct Received {
    /// A number or a short string.
    pub reference: Option<Value>,
    /// What it is, or why it is nothing.
    pub frame: Result<ClientFrame, Malformed>,
}

/// Reads a text frame.
pub fn parse(text: &str) -> Received {
    let nothing = |malformed| Received {
        reference: None,
        frame: Err(malformed),
    };
    if text.trim().is_empty() {
        return nothing(Malformed::empty());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(mut fields)) => match fields.remove("ref").filter(|r| !r.is_null()) {
            Some(other) if !is_reference(&other) => nothing(Malformed::frame(format!(
                "ref must be a number or a string of up to {REF_MAX} bytes."
            ))),
            reference => Received {
                reference,
                frame: parse_fields(fields),
            },
        },
        Ok(_) => nothing(Malformed::frame("A frame must be a JSON object.")),
        Err(_) => nothing(Malformed::new("invalid_json", "Invalid JSON format.")),
    }
}

fn parse_fields(mut fields: Map<String, Value>) -> Result<ClientFrame, Malformed> {
    let kind = match fields.remove("type") {
        None => None,
        Some(Value::String(kind)) => Some(kind),
        Some(_) => return Err(Malformed::frame("type must be a string.")),
    };
    match kind.as_deref() {
        None | Some("message") => {
            let body = field(&mut fields, "message");
            if kind.is_none() && body == Field::from("typing") {
                return Ok(ClientFrame::Typing);
            }
            let nonce = field(&mut fields, "nonce");
            Ok(ClientFrame::Message { body, nonce })
        }
        Some("typing") => Ok(ClientFrame::Typing),
        Some("history") => {
            let limit = number(&fields, "limit")?;
            Ok(ClientFrame::History {
                before: number(&fields, "before")?,
                limit: limit.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            })
        }
        Some("sync") => match number(&fields, "after")? {
            Some(after) => Ok(ClientFrame::Sync { after }),
            None => Err(Malformed::frame("after is required.")),
        },
        Some("auth") => match field(&mut fields, "token") {
            Field::Text(token) => Ok(ClientFrame::Auth { token }),
            _ => Err(Malformed::frame("token must be a string.")),
        },
        Some("ping") => Ok(ClientFrame::Ping),
        Some(other) => {
            let short: String = other.chars().take(40).collect();
            Err(Malformed::new(
                "unknown_type",
                format!("Unknown frame type: {short}"),
            ))
        }
    }
}

fn is_reference(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => text.len() <= REF_MAX,
        _ => false,
    }
}

fn field(fields: &mut Map<String, Value>, name: &str) -> Field {
    match fields.remove(name) {
        None => Field::Missing,
        Some(Value::Null) => Field::Null,
        Some(Value::String(text)) => Field::Text(text),
        Some(_) => Field::Other,
    }
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<i64>, Malformed> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64().filter(|n| *n >= 0) {
            Some(n) => Ok(Some(n)),
            None => Err(Malformed::frame(format!(
                "{name} must be a whole number from 0."
            ))),
        },
    }
}

/// What a client gets.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerFrame<'a> {
    Typing {
        room_id: String,
        user: String,
        username: &'a str,
    },
    Ack {
        r#ref: &'a Value,
        id: i64,
        seq: i64,
        timestamp: String,
        duplicate: bool,
    },
    Error {
        message: &'a str,
        code: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'a Value>,
    },
    Pong,
}

/// A new message; its type depends on the dialect.
#[derive(Debug, Serialize)]
struct NewMessage {
    r#type: &'static str,
    #[serde(flatten)]
    message: MessageBody,
}

fn encode(frame: &impl Serialize) -> Bytes {
    // The frames have string keys only, so writing them cannot fail.
    serde_json::to_vec(frame).unwrap_or_default().into()
}

/// A new message.
pub fn new_message(message: &Message, dialect: Dialect) -> Bytes {
    encode(&NewMessage {
        r#type: dialect.message_type(),
        message: MessageBody::new(message, dialect),
    })
}

/// A page of messages.
pub fn history(page: &Page, dialect: Dialect) -> Bytes {
    encode(&HistoryBody::new(page, dialect))
}

/// Someone is typing.
pub fn typing(room_id: String, username: &str, email: &str, dialect: Dialect) -> Bytes {
    encode(&ServerFrame::Typing {
        room_id,
        user: dialect.user(username, email),
        username,
    })
}

/// The message is durable.
pub fn ack(reference: &Value, receipt: &Receipt) -> Bytes {
    encode(&ServerFrame::Ack {
        r#ref: reference,
        id: receipt.message.id.0,
        seq: receipt.message.seq.0,
        timestamp: iso(receipt.message.created_at),
        duplicate: receipt.duplicate,
    })
}

/// The frame was no frame.
pub fn malformed(malformed: &Malformed, reference: Option<&Value>) -> Bytes {
    encode(&ServerFrame::Error {
        message: &malformed.text,
        code: malformed.code,
        r#ref: reference,
    })
}

/// Something was not done.
pub fn error(error: &Error, reference: Option<&Value>) -> Bytes {
    encode(&ServerFrame::Error {
        message: &error.to_string(),
        code: error.code(),
        r#ref: reference,
    })
}

/// The answer to a ping.
pub fn pong() -> Bytes {
    encode(&ServerFrame::Pong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(body: &str) -> ClientFrame {
        ClientFrame::Message {
            body: body.into(),
            nonce: Field::Missing,
        }
    }

    #[test]
    fn typing_is_a_signal_unless_the_type_says_message() {
        for signal in [r#"{"message":"typing"}"#, r#"{"type":"typing"}"#] {
            assert_eq!(parse(signal).frame, Ok(ClientFrame::Typing));
        }
        let message = r#"{"type":"message","message":"typing"}"#;
        assert_eq!(parse(message).frame, Ok(said("typing")));
    }

    #[test]
    fn unknown_fields_are_ignored_and_the_ref_is_kept() {
        let received = parse(r#"{"message":"hi","ref":7,"color":{"a":[1]}}"#);
        assert_eq!(received.frame, Ok(said("hi")));
        assert_eq!(received.reference, Some(json!(7)));
        let received = parse(r#"{"message":"hi","ref":null}"#);
        assert_eq!(received.frame, Ok(said("hi")));
        assert_eq!(received.reference, None);
    }

    #[test]
    fn what_is_no_frame_is_told_apart() {
        for (text, code) in [
            ("", "empty_frame"),
            ("  ", "empty_frame"),
            ("{", "invalid_json"),
            ("\u{0}", "invalid_json"),
            (r#"{"message":"\ud800"}"#, "invalid_json"),
            ("[]", "invalid_frame"),
            ("\"typing\"", "invalid_frame"),
            (r#"{"type":7}"#, "invalid_frame"),
            (r#"{"message":"hi","ref":[1]}"#, "invalid_frame"),
            (r#"{"type":"dance","ref":1}"#, "unknown_type"),
            (r#"{"type":"sync"}"#, "invalid_frame"),
            (r#"{"type":"sync","after":-1}"#, "invalid_frame"),
            (r#"{"type":"history","before":"x"}"#, "invalid_frame"),
            (r#"{"type":"auth"}"#, "invalid_frame"),
        ] {
            let malformed = parse(text).frame.expect_err(text);
            assert_eq!(malformed.code, code, "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            parse(&deep).frame.expect_err("too deep").code,
            "invalid_json"
        );
    }
}
