//! The words that the rest of the program is written in; a value that exists is a valid one.

pub mod event;
pub mod field;
pub mod id;
pub mod message;
pub mod room;
pub mod text;
pub mod time;
pub mod user;

pub use event::{End, Event, Signal};
pub use field::{Field, Problems, Refusal};
pub use id::{MessageId, RoomId, Seq, SessionId, UserId};
pub use message::{Body, Message, Nonce, Page, Point, Receipt};
pub use room::{Member, Role, Room, RoomKey, RoomName};
pub use time::Instant;
pub use user::{Actor, Email, Identity, PersonName, User, Username};
