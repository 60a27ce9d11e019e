//! The rooms that one socket hears.

use std::collections::HashMap;

use crate::model::RoomId;
use crate::web::socket::seat::Seat;

/// The rooms that a socket hears.
#[derive(Debug, Default)]
pub enum Seats {
    #[default]
    None,
    /// Most sockets are for one room, and cost no map.
    One(RoomId, Seat),
    Many(HashMap<RoomId, Seat>),
}

impl Seats {
    pub fn get_mut(&mut self, room: &RoomId) -> Option<&mut Seat> {
        match self {
            Self::One(one, seat) if one == room => Some(seat),
            Self::Many(seats) => seats.get_mut(room),
            _ => None,
        }
    }

    pub fn insert(&mut self, room: RoomId, seat: Seat) {
        match self {
            Self::None => *self = Self::One(room, seat),
            Self::Many(seats) => {
                seats.insert(room, seat);
            }
            Self::One(..) => {
                if let Self::One(one, first) = std::mem::take(self) {
                    *self = Self::Many(HashMap::from([(one, first), (room, seat)]));
                }
            }
        }
    }

    pub fn remove(&mut self, room: &RoomId) -> Option<Seat> {
        match self {
            Self::Many(seats) => seats.remove(room),
            Self::One(one, _) if one == room => match std::mem::take(self) {
                Self::One(_, seat) => Some(seat),
                _ => None,
            },
            _ => None,
        }
    }
}
