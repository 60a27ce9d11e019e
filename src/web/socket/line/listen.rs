//! What happens in a room, as it comes to the line from whatever task tells it.

use super::{Line, State};
use crate::chat::Listener;
use crate::model::{End, Event, RoomId, Signal};
use crate::web::socket::close::Close;
use crate::web::socket::frame;

impl Listener for Line {
    fn hear(&self, event: &Event) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        let State { queue, seats, .. } = &mut *state;
        let Some(seat) = seats.get_mut(&event.room) else {
            return;
        };
        match &event.signal {
            Signal::Messages(messages) => {
                let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
                    return;
                };
                let Some(known) = seat.hear(first.seq, last.seq, !queue.is_full()) else {
                    self.fall_behind(&mut state, event.room);
                    return;
                };
                let unknown;
                let wire = if known == 0 {
                    let all = || frame::new_messages(messages, self.dialect);
                    event.wire.get_or_init(all)
                } else {
                    unknown = frame::new_messages(&messages[known..], self.dialect);
                    &unknown
                };
                let acks = seat.due();
                if acks.is_empty() {
                    self.write(state, Some((Some(event.room), wire)), None);
                    return;
                }
                state.held -= acks.len();
                state.queue.push(Some(event.room), wire.clone());
                state.queue.extend(None, acks);
                self.settled(&mut state);
                self.write(state, None, None);
            }
            Signal::Moved(head) => {
                seat.moved(*head);
                self.fall_behind(&mut state, event.room);
            }
            Signal::Typing {
                username,
                email,
                from,
                ..
            } => {
                // The first thing to be left out for those who are slow.
                let slow = seat.is_behind() || state.stuck.is_some();
                if slow || self.id.get() == Some(from) {
                    return;
                }
                let wire = event
                    .wire
                    .get_or_init(|| frame::typing(event.room, username, email, self.dialect));
                self.write(state, Some((Some(event.room), wire)), None);
            }
        }
    }

    fn lose(&self, end: End) {
        match end {
            End::Session => {
                self.state().revoke(Close::Revoked);
                self.waker.wake();
            }
            End::Membership(room) => self.lose_room(end, room, Close::NotAMember, "removed"),
            End::Room(room) => self.lose_room(end, room, Close::NoRoom, "deleted"),
        }
    }

    fn gain(&self, room: RoomId) {
        let mut state = self.state();
        if !state.gained.contains(&room) {
            state.gained.push_back(room);
        }
        self.waker.wake();
    }
}

impl Line {
    /// The room's seat may be behind: then it is the task's turn.
    fn fall_behind(&self, state: &mut State, room: RoomId) {
        let before = state.behind.len();
        state.queue_up(room);
        self.waker_if(state.behind.len() > before);
    }

    /// The connection does not listen to the room any more.
    fn lose_room(&self, end: End, room: RoomId, close: Close, reason: &str) {
        let mut state = self.state();
        let Some(seat) = state.seats.remove(&room) else {
            if state.end.is_none() && !state.lost_early.contains(&end) {
                state.lost_early.push(end);
            }
            return;
        };
        let acks = seat.into_acks();
        state.held -= acks.len();
        if !self.many || state.stuck.is_some() {
            // Of what waits a part may have been written, and the rest be of that room.
            state.revoke(close);
        } else if state.end.is_none() {
            state.doubt = Some(close).filter(|_| state.writing);
            state.queue.purge(room);
            state.lost.push_back(room);
            state.behind.retain(|behind| *behind != room);
            // What the client said is on disk, whoever is to hear of it.
            state.queue.extend(None, acks);
            state.queue.push(None, frame::room_left(room, reason));
            self.write(state, None, None);
        }
        self.waker.wake();
    }
}
