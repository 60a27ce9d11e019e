//! The frames that a client may send.

use serde_json::{Map, Value};

use crate::model::{Field, RoomId};

/// Longest `ref` that is echoed, in bytes.
const REF_MAX: usize = 128;

/// What a client sends.
#[derive(Debug, PartialEq)]
pub enum ClientFrame {
    /// Something to say.
    Message {
        /// Where; on a socket of one room it is that room. So below.
        room: Option<RoomId>,
        /// The text.
        body: Field,
        /// The sender's own name for it.
        nonce: Field,
    },
    /// The user is typing.
    Typing {
        /// Where.
        room: Option<RoomId>,
    },
    /// Older messages, please.
    History {
        /// Where.
        room: Option<RoomId>,
        /// Only messages with smaller ids.
        before: Option<i64>,
        /// How many.
        limit: Option<u32>,
    },
    /// Everything changed since then, please.
    Sync {
        /// Where, and the last change that the client has seen there.
        rooms: Vec<(Option<RoomId>, i64)>,
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
#[derive(Debug, PartialEq, Eq)]
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

/// A text frame, read: its `ref` and room, which answers carry back, and what it is.
#[derive(Debug, PartialEq)]
pub struct Received {
    /// A number or a short string.
    pub reference: Option<Value>,
    /// The room that it names, on a socket of many rooms.
    pub room: Option<RoomId>,
    /// What it is, or why it is nothing.
    pub frame: Result<ClientFrame, Malformed>,
}

/// Reads a text frame. On a socket of many rooms it says which it is about.
pub fn parse(text: &str, many: bool) -> Received {
    let nothing = |malformed| Received {
        reference: None,
        room: None,
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
            reference => {
                let named = if many { room_id(&fields) } else { Ok(None) };
                Received {
                    reference,
                    room: *named.as_ref().unwrap_or(&None),
                    frame: parse_fields(fields, named, many),
                }
            }
        },
        Ok(_) => nothing(Malformed::frame("A frame must be a JSON object.")),
        Err(_) => nothing(Malformed::new("invalid_json", "Invalid JSON format.")),
    }
}

fn parse_fields(
    mut fields: Map<String, Value>,
    named: Result<Option<RoomId>, Malformed>,
    many: bool,
) -> Result<ClientFrame, Malformed> {
    let kind = match fields.remove("type") {
        None => None,
        Some(Value::String(kind)) => Some(kind),
        Some(_) => return Err(Malformed::frame("type must be a string.")),
    };
    let room = || match named {
        Ok(None) if many => Err(Malformed::frame("room_id is required.")),
        room => room,
    };
    match kind.as_deref() {
        None | Some("message") => {
            let body = field(&mut fields, "message");
            if kind.is_none() && body == Field::from("typing") {
                return Ok(ClientFrame::Typing { room: room()? });
            }
            Ok(ClientFrame::Message {
                room: room()?,
                body,
                nonce: field(&mut fields, "nonce"),
            })
        }
        Some("typing") => Ok(ClientFrame::Typing { room: room()? }),
        Some("history") => {
            let limit = number(&fields, "limit")?;
            Ok(ClientFrame::History {
                room: room()?,
                before: number(&fields, "before")?,
                limit: limit.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            })
        }
        Some("sync") if many => Ok(ClientFrame::Sync {
            rooms: sync_rooms(&fields)?,
        }),
        Some("sync") => match number(&fields, "after")? {
            Some(after) => Ok(ClientFrame::Sync {
                rooms: vec![(None, after)],
            }),
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

fn room_id(fields: &Map<String, Value>) -> Result<Option<RoomId>, Malformed> {
    match fields.get("room_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => match RoomId::parse(text) {
            Some(room) => Ok(Some(room)),
            None => Err(Malformed::frame("room_id must be a UUID.")),
        },
        Some(_) => Err(Malformed::frame("room_id must be a string.")),
    }
}

/// The rooms of a `sync`, each with the last change that the client has seen.
fn sync_rooms(fields: &Map<String, Value>) -> Result<Vec<(Option<RoomId>, i64)>, Malformed> {
    let Some(Value::Object(rooms)) = fields.get("rooms") else {
        let text = "rooms must be an object: room ids, and the last seq seen in each.";
        return Err(Malformed::frame(text));
    };
    let pairs = rooms.iter().map(|(room, after)| {
        let after = after.as_i64().filter(|after| *after >= 0)?;
        Some((Some(RoomId::parse(room)?), after))
    });
    pairs.collect::<Option<_>>().ok_or_else(|| {
        Malformed::frame("rooms must have UUIDs for names and whole numbers from 0 for values.")
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(body: &str) -> ClientFrame {
        ClientFrame::Message {
            room: None,
            body: body.into(),
            nonce: Field::Missing,
        }
    }

    #[test]
    fn typing_is_a_signal_unless_the_type_says_message() {
        for signal in [r#"{"message":"typing"}"#, r#"{"type":"typing"}"#] {
            assert_eq!(
                parse(signal, false).frame,
                Ok(ClientFrame::Typing { room: None })
            );
        }
        let message = r#"{"type":"message","message":"typing"}"#;
        assert_eq!(parse(message, false).frame, Ok(said("typing")));
    }

    #[test]
    fn unknown_fields_are_ignored_and_the_ref_is_kept() {
        let received = parse(r#"{"message":"hi","ref":7,"color":{"a":[1]}}"#, false);
        assert_eq!(received.frame, Ok(said("hi")));
        assert_eq!(received.reference, Some(json!(7)));
        let received = parse(r#"{"message":"hi","ref":null}"#, false);
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
            let malformed = parse(text, false).frame.expect_err(text);
            assert_eq!(malformed.code, code, "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            parse(&deep, false).frame.expect_err("too deep").code,
            "invalid_json"
        );
    }

    #[test]
    fn a_frame_for_one_of_many_rooms_says_which() {
        let room = RoomId::random();
        let text = format!(r#"{{"message":"hi","room_id":"{room}","ref":1}}"#);
        let received = parse(&text, true);
        assert_eq!(received.room, Some(room));
        let expected = ClientFrame::Message {
            room: Some(room),
            body: "hi".into(),
            nonce: Field::Missing,
        };
        assert_eq!(received.frame, Ok(expected));
        let text = format!(r#"{{"type":"sync","rooms":{{"{room}":30}}}}"#);
        let expected = ClientFrame::Sync {
            rooms: vec![(Some(room), 30)],
        };
        assert_eq!(parse(&text, true).frame, Ok(expected));
        for text in [
            r#"{"message":"hi"}"#,
            r#"{"type":"typing","room_id":7}"#,
            r#"{"type":"history","room_id":"general"}"#,
            r#"{"type":"sync","after":1}"#,
            r#"{"type":"sync","rooms":["a"]}"#,
            r#"{"type":"sync","rooms":{"general":1}}"#,
            r#"{"type":"sync","rooms":{"0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d":-1}}"#,
        ] {
            let malformed = parse(text, true).frame.expect_err(text);
            assert_eq!(malformed.code, "invalid_frame", "{text}");
        }
        assert_eq!(
            parse(r#"{"type":"ping"}"#, true).frame,
            Ok(ClientFrame::Ping)
        );
    }
}
