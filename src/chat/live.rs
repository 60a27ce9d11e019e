//! Live connections: who may be connected, and listen to which rooms.
//!
//! Whoever connects is told of what ends from that moment on, and looks only then whether he may:
//! what ends in between is told, and what ended before is seen. The other order would lose a logout
//! that happens between the two.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::{Error, Result};
use super::sessions::Claim;
use super::{Chat, LIST_MAX};
use crate::bus::{Connection, Listener, ROOMS_MAX};
use crate::model::time::now;
use crate::model::{Actor, Identity, Room, RoomId, RoomKey, Seq};

impl Chat {
    /// Begins a connection for whoever makes the claim, which still has to be looked into by
    /// [`Self::enter`] or [`Self::enter_all`]. One that `follows` is told of the rooms that its
    /// user comes into.
    pub fn connect(&self, claim: &Claim, follows: bool, listener: Arc<dyn Listener>) -> Connection {
        let (user, session) = (claim.user, claim.session);
        self.0.hub.connect(user, session, follows, listener)
    }

    /// Listens to the room that a path names, for its members; returns who it is, and the room's id
    /// and newest change. Where the path says the id, as most do, one question answers everything.
    pub async fn enter(
        &self,
        connection: &Connection,
        claim: &Claim,
        room: &str,
    ) -> Result<(Identity, RoomId, Seq)> {
        if let Some(id) = RoomId::parse(room) {
            match self.enter_id(connection, claim, id).await {
                // A room may be called like the id of another.
                Err(Error::RoomNotFound) => {}
                entered => return entered,
            }
        }
        let who = self.identify(claim).await?;
        let named = self.find_room(Actor::User(&who.user), RoomKey::Text(room));
        self.enter_id(connection, claim, named.await?.id).await
    }

    async fn enter_id(
        &self,
        connection: &Connection,
        claim: &Claim,
        room: RoomId,
    ) -> Result<(Identity, RoomId, Seq)> {
        connection.enter(room);
        let entered = self.look_in(claim, room).await;
        if entered.is_err() {
            connection.leave(room);
        }
        entered.map(|(who, seq)| (who, room, seq))
    }

    async fn look_in(&self, claim: &Claim, room: RoomId) -> Result<(Identity, Seq)> {
        let standing = self.0.store.standing(claim.session, room, now()).await?;
        let (user, place) = standing.unzip();
        let identity = claim.by(user)?;
        let place = place.flatten().ok_or(Error::RoomNotFound)?;
        if place.role.is_none() {
            return Err(Error::NotAMember);
        }
        Ok((identity, place.last_seq))
    }

    /// Listens to all rooms of the user, up to 10,000, in the order joined; the flag says whether
    /// that was all.
    pub async fn enter_all(
        &self,
        connection: &Connection,
        claim: &Claim,
    ) -> Result<(Identity, Vec<Room>, bool)> {
        let who = self.identify(claim).await?;
        let mut ids = self.0.store.rooms_of_all(&[who.user.id]).await?;
        let whole = ids.len() <= ROOMS_MAX;
        ids.truncate(ROOMS_MAX);
        let mut entered: HashSet<_> = ids.into_iter().map(|(room, _)| room).collect();
        connection.enter_all(entered.iter().copied());
        // Only now, as with the connection itself: what changes from here on is heard.
        let mut rooms: Vec<Room> = Vec::new();
        loop {
            let after = rooms.last().map(|room| room.id);
            let (some, more) = self.rooms_of(&who.user, after, LIST_MAX).await?;
            let stuck = some.is_empty();
            rooms.extend(some);
            if !more || stuck || rooms.len() >= ROOMS_MAX {
                break;
            }
        }
        // Those that were joined in between are told as new ones.
        rooms.retain(|room| entered.remove(&room.id));
        for left in entered {
            connection.leave(left);
        }
        Ok((who, rooms, whole))
    }

    /// The newest change that a room's listeners were told of; -1 when there was none.
    pub fn told(&self, room: RoomId) -> Seq {
        let channel = self.0.hub.channel(room);
        channel.map_or(Seq(-1), |channel| channel.told())
    }

    /// Listens to a room that the user has come into; returns the room.
    pub async fn enter_new(
        &self,
        connection: &Connection,
        who: &Identity,
        room: RoomId,
    ) -> Result<Room> {
        connection.enter(room);
        let entered = self.enter_room(Actor::User(&who.user), room).await;
        if entered.is_err() {
            connection.leave(room);
        }
        entered
    }

    /// The connection lives by another login of the same user from now on. A wrong token changes
    /// nothing; the inner error says that the connection has to end.
    pub async fn renew(
        &self,
        connection: &Connection,
        who: &Identity,
        token: &str,
    ) -> Result<Result<Identity>> {
        let claim = self.claim(token)?;
        let next = self.identify(&claim).await?;
        if next.user.id != who.user.id {
            return Err(Error::TokenInvalid);
        }
        connection.renew(claim.session);
        Ok(self.identify(&claim).await)
    }
}
