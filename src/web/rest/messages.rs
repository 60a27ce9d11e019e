//! `/messages/<room>/` and `/messages/<room>/send/`.

use poem::Request;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::Group;
use super::answer::{Done, Failure, RoomRead, RoomWrite};
use super::input::Input;
use crate::chat::Error;
use crate::model::message::PAGE_DEFAULT;
use crate::model::{Actor, Field, MessageId, Point};
use crate::web::App;
use crate::web::identity::Caller;
use crate::web::json::{HistoryBody, MessageBody};

pub struct Messages;

/// A message to be.
#[derive(Object)]
#[oai(example)]
struct SendForm {
    /// The text: not blank, at most 16 KiB, no control characters but newlines and tabs.
    #[oai(validator(min_length = 1, max_length = 16384))]
    message: String,
    /// The sender's own name for the message, 1 to 128 bytes: sending it again makes no second one.
    #[oai(validator(min_length = 1, max_length = 128))]
    nonce: Option<String>,
}

impl Example for SendForm {
    fn example() -> Self {
        Self {
            message: "hi".to_owned(),
            nonce: Some("5f6f6f0e-1c1f-4b43-9b8e-0c8f7f3f7d11".to_owned()),
        }
    }
}

/// What became of a send.
#[derive(ApiResponse)]
enum Sent {
    /// The message is on disk, and on its way to every socket of the room.
    #[oai(status = 201)]
    Stored(Json<MessageBody>),
    /// It had been sent before with this nonce; this is the first one.
    #[oai(status = 200)]
    Repeated(Json<MessageBody>),
}

#[OpenApi]
impl Messages {
    /// Read messages
    ///
    /// The newest, or those before or after one. For members.
    #[oai(
        path = "/messages/:room",
        method = "get",
        operation_id = "listMessages",
        tag = "Group::Messages"
    )]
    async fn list(
        &self,
        req: &Request,
        caller: Caller,
        /// The room's UUID or name.
        room: Path<String>,
        /// How many, 1 to 200.
        #[oai(default = "default_limit")]
        limit: Query<u32>,
        /// Only messages with smaller ids.
        before: Query<Option<i64>>,
        /// Only messages with greater ids.
        after: Query<Option<i64>>,
    ) -> Result<Done<HistoryBody>, Failure<RoomRead>> {
        let point = match (before.0, after.0) {
            (None, None) => Point::Newest,
            (Some(id), None) => Point::Before(MessageId(id)),
            (None, Some(id)) => Point::After(MessageId(id)),
            (Some(_), Some(_)) => {
                let text = "Send one of `before` and `after`, not both.";
                return Err(Error::BadParameter(text.into()).into());
            }
        };
        let app = App::of(req);
        let who = Actor::User(&caller.0.user);
        let page = app.chat.read(who, &room.0, point, limit.0).await?;
        Ok(Done(HistoryBody::new(&page, app.dialect)))
    }

    /// Send a message
    ///
    /// Answers when the message is on disk. With a nonce, in the body or as `Idempotency-Key`, it
    /// can be sent again after a lost answer: the same nonce of the same user in the same room
    /// never makes a second message. For members.
    #[oai(
        path = "/messages/:room/send",
        method = "post",
        operation_id = "sendMessage",
        tag = "Group::Messages"
    )]
    async fn send(
        &self,
        req: &Request,
        caller: Caller,
        /// The room's UUID or name.
        room: Path<String>,
        /// The nonce, for those who would rather send it as a header.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        mut form: Input<SendForm>,
    ) -> Result<Sent, Failure<RoomWrite>> {
        let app = App::of(req);
        let user = &caller.0.user;
        let nonce = match form.take("nonce") {
            Field::Missing | Field::Null => header_nonce(req, key.0),
            sent => sent,
        };
        let room = app.chat.enter_room(Actor::User(user), &room.0).await?;
        let receipt = app
            .chat
            .say_and_wait(user, room.id, form.take("message"), nonce)
            .await?;
        let body = Json(MessageBody::new(&receipt.message, app.dialect));
        Ok(if receipt.duplicate {
            Sent::Repeated(body)
        } else {
            Sent::Stored(body)
        })
    }
}

/// The header's nonce. One that cannot be read is wrong, not absent: its sender relies on it.
fn header_nonce(req: &Request, read: Option<String>) -> Field {
    match read {
        Some(key) => Field::Text(key),
        None if req.headers().contains_key("idempotency-key") => Field::Other,
        None => Field::Missing,
    }
}

fn default_limit() -> u32 {
    PAGE_DEFAULT
}
