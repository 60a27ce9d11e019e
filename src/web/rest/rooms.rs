//! `/rooms/`, `/rooms/create/`, `/room/join/` and `/room/delete/<room>/`.

use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Response;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::answer::{Created, Done, Failure, List, OwnForm, OwnRoom, RoomForm, next_link};
use super::input::Input;
use super::{Group, list_limit};
use crate::chat::Error;
use crate::model::time::iso;
use crate::model::{Actor, RoomId};
use crate::web::App;
use crate::web::identity::Caller;
use crate::web::json::{AccountBody, CreatorBody, RoomBody, creator};

pub struct Rooms;

/// The caller's rooms.
#[derive(Object)]
struct RoomList {
    /// In the order joined.
    rooms: Vec<RoomBody>,
    /// How many are in this answer.
    count: usize,
    /// `Rooms fetched successfully`, or `No rooms found`.
    message: String,
}

/// A room to be.
#[derive(Object)]
#[oai(example)]
struct RoomNameForm {
    /// 1 to 255 characters, unique without regard to case.
    #[oai(validator(min_length = 1, max_length = 255))]
    chat_room_name: String,
}

impl Example for RoomNameForm {
    fn example() -> Self {
        Self {
            chat_room_name: "general".to_owned(),
        }
    }
}

/// A new room.
#[derive(Object)]
struct RoomCreated {
    /// Its UUID. Whoever knows it can join.
    room_id: String,
    /// Its name.
    chat_room_name: String,
    /// Its name.
    room_name: String,
    /// The caller, who is its owner and first member.
    created_by: CreatorBody,
    /// Now: UTC, microseconds.
    created_at: String,
}

/// A room to join.
#[derive(Object)]
#[oai(example)]
struct JoinForm {
    /// Its UUID.
    room_id: String,
}

impl Example for JoinForm {
    fn example() -> Self {
        Self {
            room_id: "0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d".to_owned(),
        }
    }
}

/// A room that was joined.
#[derive(Object)]
struct RoomJoined {
    /// `Joined room general`, or `Already in room general`.
    message: String,
    /// The room.
    room: JoinedRoom,
    /// The caller.
    user: AccountBody,
}

/// The room that was joined.
#[derive(Object)]
struct JoinedRoom {
    /// Its UUID.
    room_id: String,
    /// Its name.
    room_name: String,
    /// When it was made: UTC, microseconds.
    created_at: String,
}

/// A room that was deleted.
#[derive(Object)]
struct RoomDeleted {
    /// `Room deleted successfully`.
    message: String,
    /// Which.
    deleted_room: DeletedRoom,
}

/// Which room was deleted.
#[derive(Object)]
struct DeletedRoom {
    /// Its UUID.
    room_id: String,
}

#[OpenApi]
impl Rooms {
    /// List my rooms
    ///
    /// The caller's rooms in the order joined. `Link: <…>; rel="next"` leads to the next page.
    #[oai(
        path = "/rooms",
        method = "get",
        operation_id = "listRooms",
        tag = "Group::Rooms"
    )]
    async fn list(
        &self,
        req: &Request,
        caller: Caller,
        /// How many, 1 to 1,000.
        #[oai(default = "list_limit")]
        limit: Query<u32>,
        /// Only rooms joined after this one, by its UUID.
        after: Query<Option<String>>,
    ) -> Result<Response<Done<RoomList>>, Failure<List>> {
        let app = App::of(req);
        let after = match after.0.as_deref().map(RoomId::parse) {
            Some(None) => return Err(Error::BadParameter("after: not a UUID".into()).into()),
            Some(id) => id,
            None => None,
        };
        let (rooms, more) = app.chat.rooms_of(&caller.0.user, after, limit.0).await?;
        let next = rooms.last().filter(|_| more).map(|last| {
            let query = [
                ("after", last.id.to_string()),
                ("limit", limit.0.to_string()),
            ];
            next_link("/rooms/", &query)
        });
        let message = if rooms.is_empty() {
            "No rooms found"
        } else {
            "Rooms fetched successfully"
        };
        let response = Response::new(Done(RoomList {
            count: rooms.len(),
            rooms: rooms.iter().map(RoomBody::from).collect(),
            message: message.to_owned(),
        }));
        Ok(match next {
            Some(link) => response.header("link", link),
            None => response,
        })
    }

    /// Create a room
    ///
    /// The caller becomes its owner and first member.
    #[oai(
        path = "/rooms/create",
        method = "post",
        operation_id = "createRoom",
        tag = "Group::Rooms"
    )]
    async fn create(
        &self,
        req: &Request,
        caller: Caller,
        mut form: Input<RoomNameForm>,
    ) -> Result<Created<RoomCreated>, Failure<OwnForm>> {
        let chat = &App::of(req).chat;
        let room = chat
            .create_room(&caller.0.user, form.take("chat_room_name"))
            .await?;
        Ok(Created(RoomCreated {
            room_id: room.id.to_string(),
            chat_room_name: room.name.clone(),
            created_by: creator(&room),
            created_at: iso(room.created_at),
            room_name: room.name,
        }))
    }

    /// Join a room
    ///
    /// Knowing the id of a room is enough to join it. Joining again changes nothing.
    #[oai(
        path = "/room/join",
        method = "post",
        operation_id = "joinRoom",
        tag = "Group::Rooms"
    )]
    async fn join(
        &self,
        req: &Request,
        caller: Caller,
        mut form: Input<JoinForm>,
    ) -> Result<Done<RoomJoined>, Failure<RoomForm>> {
        let user = &caller.0.user;
        let (room, joined) = App::of(req)
            .chat
            .join_room(user, form.take("room_id"))
            .await?;
        let verb = if joined { "Joined" } else { "Already in" };
        Ok(Done(RoomJoined {
            message: format!("{verb} room {}", room.name),
            room: JoinedRoom {
                room_id: room.id.to_string(),
                room_name: room.name,
                created_at: iso(room.created_at),
            },
            user: AccountBody::from(user),
        }))
    }

    /// Delete a room
    ///
    /// With its messages and memberships, at once and for ever. Its live sockets end with 4004.
    /// For its owner and superusers.
    #[oai(
        path = "/room/delete/:room_id",
        method = "delete",
        operation_id = "deleteRoom",
        tag = "Group::Rooms"
    )]
    async fn delete(
        &self,
        req: &Request,
        caller: Caller,
        /// The room's UUID or name.
        room_id: Path<String>,
    ) -> Result<Done<RoomDeleted>, Failure<OwnRoom>> {
        let chat = &App::of(req).chat;
        let who = Actor::User(&caller.0.user);
        let room = chat.find_room(who, &room_id.0).await?;
        chat.delete_room(who, &room).await?;
        Ok(Done(RoomDeleted {
            message: "Room deleted successfully".to_owned(),
            deleted_room: DeletedRoom {
                room_id: room.id.to_string(),
            },
        }))
    }
}
