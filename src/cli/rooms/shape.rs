//! Rooms, members and messages as the command line shows them: the REST API's names for programs.

use serde_json::{Value, json};

use crate::cli::output::moment;
use crate::model::time::iso;
use crate::model::{Member, Message, Room};

/// The columns of a list of rooms; `true` where a cell may be broken into lines.
pub const ROOMS: &[(&str, bool)] = &[
    ("ID", false),
    ("NAME", true),
    ("CREATED BY", true),
    ("CREATED (UTC)", false),
    ("MESSAGES", false),
];

/// The columns of a list of members.
pub const MEMBERS: &[(&str, bool)] = &[
    ("ID", false),
    ("USERNAME", true),
    ("EMAIL", true),
    ("ROLE", false),
    ("JOINED (UTC)", false),
];

/// The columns of a room's history.
pub const MESSAGES: &[(&str, bool)] = &[
    ("ID", false),
    ("TIME (UTC)", false),
    ("USER", true),
    ("MESSAGE", true),
];

/// A room for programs.
pub fn room(room: &Room) -> Value {
    let (id, username) = &room.created_by;
    json!({
        "room_id": room.id.to_string(),
        "room_name": room.name,
        "created_at": iso(room.created_at),
        "created_by": {"id": id.0, "username": username},
        "last_id": room.last_id.0,
        "last_seq": room.last_seq.0,
    })
}

/// A room that is gone, for programs.
pub fn deleted(room: &Room) -> Value {
    json!({"deleted_room": {"room_id": room.id.to_string(), "room_name": room.name}})
}

/// A room in the list for people.
pub fn room_row(room: &Room) -> Vec<String> {
    vec![
        room.id.to_string(),
        room.name.clone(),
        room.created_by.1.clone(),
        moment(room.created_at),
        room.last_id.to_string(),
    ]
}

/// A room by itself, for people.
pub fn room_properties(room: &Room, members: usize) -> Vec<(&'static str, String)> {
    vec![
        ("ID", room.id.to_string()),
        ("Name", room.name.clone()),
        ("Created by", room.created_by.1.clone()),
        ("Created (UTC)", moment(room.created_at)),
        ("Members", members.to_string()),
        ("Messages", room.last_id.to_string()),
        ("Last seq", room.last_seq.to_string()),
    ]
}

/// A member for programs.
pub fn member(member: &Member) -> Value {
    json!({
        "id": member.user.id.0,
        "username": member.user.username,
        "email": member.user.email,
        "role": member.role.as_str(),
        "joined_at": iso(member.joined_at),
    })
}

/// A member in the list for people.
pub fn member_row(member: &Member) -> Vec<String> {
    vec![
        member.user.id.to_string(),
        member.user.username.clone(),
        member.user.email.clone(),
        member.role.as_str().to_owned(),
        moment(member.joined_at),
    ]
}

/// A message in the list for people.
pub fn message_row(message: &Message) -> Vec<String> {
    vec![
        message.id.to_string(),
        moment(message.created_at),
        message.username.clone(),
        message.body.clone(),
    ]
}
