//! Rooms: making, finding, joining, listing and deleting them.

use super::error::{Error, Result};
use super::{Chat, LIST_MAX};
use crate::model::text::{fold, is_blank};
use crate::model::time::now;
use crate::model::{
    Actor, Field, Member, MessageId, Role, Room, RoomId, RoomKey, RoomName, Seq, User, UserId,
};

impl Chat {
    /// Makes a room that belongs to `owner`.
    pub async fn create_room(&self, owner: &User, name: Field) -> Result<Room> {
        let name = match name {
            Field::Text(text) if !is_blank(&text) => text,
            Field::Other => {
                return Err(Error::RoomNameRefused(
                    "Chat room name must be a string".into(),
                ));
            }
            _ => return Err(Error::RoomNameRequired),
        };
        let name = RoomName::parse(&name).map_err(Error::RoomNameRefused)?;
        let (id, created_at) = (RoomId::random(), now());
        if !self
            .0
            .store
            .insert_room(id, &name, owner.id, created_at)
            .await?
        {
            return Err(Error::RoomNameTaken);
        }
        self.0.hub.begin_membership(id, owner.id);
        Ok(Room {
            id,
            name: name.as_str().to_owned(),
            created_by: (owner.id, owner.username.clone()),
            created_at,
            last_seq: Seq(0),
            last_id: MessageId(0),
            role: Some(Role::Owner),
        })
    }

    /// The room that a path or an argument names: by its id, or else by its name.
    pub async fn find_room(&self, who: Actor<'_>, key: impl Into<RoomKey<'_>>) -> Result<Room> {
        let (store, seen_by) = (&self.0.store, seen_by(who));
        let text = match key.into() {
            RoomKey::Id(id) => return store.room(id, seen_by).await?.ok_or(Error::RoomNotFound),
            RoomKey::Text(text) => text,
        };
        if let Some(id) = RoomId::parse(text)
            && let Some(room) = store.room(id, seen_by).await?
        {
            return Ok(room);
        }
        let name = RoomName::parse(text).map_err(|_| Error::RoomNotFound)?;
        let found = store.room_by_name(&name.key(), seen_by).await?;
        found.ok_or(Error::RoomNotFound)
    }

    /// The same, for those who are in it, and the operator.
    pub async fn enter_room(&self, who: Actor<'_>, key: impl Into<RoomKey<'_>>) -> Result<Room> {
        let room = self.find_room(who, key).await?;
        permit_member(who, &room)?;
        Ok(room)
    }

    /// Makes the user a member of a room by its id; the flag says whether they are new there.
    pub async fn join_room(&self, who: &User, id: Field) -> Result<(Room, bool)> {
        let id = match id {
            Field::Text(text) if !text.trim().is_empty() => text,
            Field::Other => return Err(Error::RoomNotFound),
            _ => return Err(Error::RoomIdRequired),
        };
        let id = RoomId::parse(id.trim()).ok_or(Error::RoomNotFound)?;
        let joined = self.0.store.join(id, who.id, now()).await?;
        let joined = joined.ok_or(Error::RoomNotFound)?;
        if joined {
            self.0.hub.begin_membership(id, who.id);
        }
        let room = self.0.store.room(id, Some(who.id)).await?;
        Ok((room.ok_or(Error::RoomNotFound)?, joined))
    }

    /// Up to `limit` (at most 1,000) of the user's rooms in the order joined, those after the room
    /// `after`; the flag says whether there are more.
    pub async fn rooms_of(
        &self,
        who: &User,
        after: Option<RoomId>,
        limit: u32,
    ) -> Result<(Vec<Room>, bool)> {
        let limit = limit.clamp(1, LIST_MAX);
        let mut rooms = self.0.store.rooms_of(who.id, after, limit + 1).await?;
        let more = rooms.len() > limit as usize;
        rooms.truncate(limit as usize);
        Ok((rooms, more))
    }

    /// Up to 1,000 of all rooms, by name, those after the room called `after`. The command line
    /// shows them; no other door leads here.
    pub async fn all_rooms(&self, after: &str) -> Result<Vec<Room>> {
        Ok(self.0.store.all_rooms(&fold(after), LIST_MAX).await?)
    }

    /// Up to 1,000 members of a room, by user id, those after `after`. For members and the operator.
    pub async fn members_of(
        &self,
        who: Actor<'_>,
        room: &Room,
        after: UserId,
    ) -> Result<Vec<Member>> {
        permit_member(who, room)?;
        Ok(self.0.store.members_of(room.id, after, LIST_MAX).await?)
    }

    /// Deletes a room with all that is in it, and ends the connections that listen to it. For its
    /// owner, superusers and the operator.
    pub async fn delete_room(&self, who: Actor<'_>, room: &Room) -> Result<()> {
        if !who.is_superuser() && room.role != Some(Role::Owner) {
            return Err(Error::NotTheOwner);
        }
        if !self.0.store.delete_room(room.id).await? {
            return Err(Error::RoomNotFound);
        }
        self.0.hub.end_room(room.id);
        tracing::info!(room = %room.id, "room deleted");
        Ok(())
    }
}

fn seen_by(who: Actor<'_>) -> Option<UserId> {
    match who {
        Actor::Operator => None,
        Actor::User(user) => Some(user.id),
    }
}

/// What is said in a room is for its members. The operator has the database at hand anyway.
fn permit_member(who: Actor<'_>, room: &Room) -> Result<()> {
    match who {
        Actor::Operator => Ok(()),
        Actor::User(_) if room.role.is_some() => Ok(()),
        Actor::User(_) => Err(Error::NotAMember),
    }
}
