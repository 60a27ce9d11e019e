//! What a client's frames do: each is read, done by the chat, and answered on the line.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::close::Close;
use super::codec;
use super::frame::{self, About, ClientFrame, Malformed, Received};
use super::line::{Ending, Line};
use super::seat::Seat;
use crate::chat::{Answer, Chat, Connection, Error, Frames};
use crate::model::message::PAGE_DEFAULT;
use crate::model::time::now;
use crate::model::{Actor, Field, Identity, MessageId, Point, RoomId, Seq, UserId};
use crate::web::json::Dialect;

/// A typing signal is passed on once in this time.
const TYPING_EVERY: Duration = Duration::from_secs(3);
/// Frames too fast that are forgiven, each with an error, before the socket is closed.
const STRIKES: u32 = 50;
/// How long to wait before reading the store again after it failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The client of one connection.
pub struct Session {
    chat: Chat,
    dialect: Dialect,
    who: Identity,
    /// Its place among those who are told what happens.
    connection: Connection,
    /// The room of a socket for one.
    room: Option<RoomId>,
    line: Arc<Line>,
    frames: Frames,
    strikes: u32,
    /// When the user last typed, by room.
    typed_at: HashMap<RoomId, Instant>,
}

impl Session {
    /// Of someone who is connected and may be.
    pub fn new(
        chat: &Chat,
        dialect: Dialect,
        who: Identity,
        connection: Connection,
        room: Option<RoomId>,
        line: Arc<Line>,
    ) -> Self {
        Self {
            frames: chat.frame_limit(),
            chat: chat.clone(),
            dialect,
            who,
            connection,
            room,
            line,
            strikes: 0,
            typed_at: HashMap::new(),
        }
    }

    /// Whose connection it is.
    pub fn user(&self) -> UserId {
        self.who.user.id
    }

    /// The room of a socket for one.
    pub fn room_id(&self) -> Option<RoomId> {
        self.room
    }

    /// Whether the client's dialect has no word for the server's going away: that page comes back
    /// only to a server that vanishes.
    pub fn leaves_silently(&self) -> bool {
        self.dialect.shh
    }

    /// Sends the client one page of what it is behind.
    pub async fn step(&self) {
        let Some((room, (point, limit, at_least))) = self.line.step() else {
            return;
        };
        match self.chat.replay(room, point, limit, at_least).await {
            Ok(page) => self.line.send_page(room, &page),
            Err(Error::Unavailable) => {
                let at = tokio::time::Instant::now() + RETRY_AFTER;
                self.line.retry(room, at);
            }
            // Whoever deleted it says so to the line.
            Err(Error::RoomNotFound) => {}
            Err(error) => self.line.end(Ending::Close(Close::of(&error))),
        }
    }

    /// The user has come into a room, on a socket for all of them.
    pub async fn gain(&self, room: RoomId) {
        if self.line.with_seat(room, |_| {}) {
            // It was told twice: by whoever joined, and when the socket was opened.
            return;
        }
        self.line.expect(room);
        let entered = self.chat.enter_new(&self.connection, &self.who, room);
        match entered.await {
            Ok(room) => {
                let seat = (room.id, Seat::live(room.last_seq));
                self.line.sit_down([seat], Some(&frame::room_joined(&room)));
                self.line.catch_up(room.id, self.chat.told(room.id));
            }
            // It is over already.
            Err(Error::NotAMember | Error::RoomNotFound) => {}
            Err(error) => self.line.end(Ending::Close(Close::of(&error))),
        }
    }

    /// The user is in a room no more; or is again, if he was quick: then nobody told so, since the
    /// socket was still listening.
    pub async fn lose(&mut self, room: RoomId) {
        self.connection.leave(room);
        self.typed_at.remove(&room);
        self.gain(room).await;
    }

    /// The client sent a ping of RFC 6455. Those that come too fast are not answered.
    pub fn ping(&mut self, payload: &[u8]) {
        if self.frames.one_more().is_ok() {
            self.line.send(&codec::pong(payload));
        } else {
            self.strike();
        }
    }

    /// The client sent a frame that is not text.
    pub fn binary(&mut self) {
        let about = About::default();
        if self.in_time(&about) {
            self.line
                .send(&frame::malformed(&Malformed::empty(), &about));
        }
    }

    /// The client sent a frame of text.
    pub async fn text(&mut self, text: &str) {
        let many = self.room.is_none();
        let Received {
            reference,
            room,
            frame,
        } = frame::parse(text, many);
        let about = About { reference, room };
        if !self.in_time(&about) {
            return;
        }
        let done = match frame {
            Err(malformed) => {
                self.line.send(&frame::malformed(&malformed, &about));
                return;
            }
            Ok(ClientFrame::Ping) => {
                self.line.send(&frame::pong());
                return;
            }
            Ok(ClientFrame::Typing { room }) => self.typing(room),
            Ok(ClientFrame::Sync { rooms }) => {
                self.sync(rooms, &about);
                return;
            }
            Ok(ClientFrame::History {
                room,
                before,
                limit,
            }) => self.history(room, before, limit).await,
            Ok(ClientFrame::Auth { token }) => self.renew(&token).await,
            Ok(ClientFrame::Message { room, body, nonce }) => {
                self.say(room, body, nonce, &about).await
            }
        };
        if let Err(error) = done {
            self.refuse(&error, &about);
        }
    }

    /// An error, which ends a socket for one room if there is nothing left to do on it.
    fn refuse(&self, error: &Error, about: &About) {
        self.line.send(&frame::error(error, about));
        if self.room.is_some() && matches!(error, Error::NotAMember | Error::RoomNotFound) {
            self.line.end(Ending::Close(Close::of(error)));
        }
    }

    /// The room that a frame is about: the only one, or the one that it names.
    fn room(&self, named: Option<RoomId>) -> Result<RoomId, Error> {
        self.room.or(named).ok_or(Error::RoomNotFound)
    }

    async fn say(
        &self,
        room: Option<RoomId>,
        body: Field,
        nonce: Field,
        about: &About,
    ) -> Result<(), Error> {
        let room = self.room(room)?;
        let ticket = self.line.hand_in(about.clone());
        // Not to keep the connection open for an answer that nobody waits for.
        let line = Arc::downgrade(&self.line);
        let answer: Answer = Box::new(move |receipt| {
            if let Some(line) = line.upgrade() {
                line.settle(ticket, receipt);
            }
        });
        let said = self.chat.say(&self.who.user, room, body, nonce, answer);
        if let Err(error) = said.await {
            self.line.settle(ticket, Err(error));
        }
        Ok(())
    }

    /// Whether the frame is not too fast; it is answered if it is.
    fn in_time(&mut self, about: &About) -> bool {
        match self.frames.one_more() {
            Ok(()) => {
                self.strikes = self.strikes.saturating_sub(1);
                true
            }
            Err(error) => {
                self.line.send(&frame::error(&error, about));
                self.strike();
                false
            }
        }
    }

    fn strike(&mut self) {
        self.strikes += 1;
        if self.strikes > STRIKES {
            self.line.end(Ending::Close(Close::TooFast));
        }
    }

    fn typing(&mut self, room: Option<RoomId>) -> Result<(), Error> {
        let room = self.room(room)?;
        if !self.line.with_seat(room, |_| {}) {
            return Err(Error::NotAMember);
        }
        let typed_at = self.typed_at.get(&room);
        if typed_at.is_none_or(|at| at.elapsed() >= TYPING_EVERY) {
            self.typed_at.insert(room, Instant::now());
            let from = self.connection.id();
            self.chat.tell_typing(&self.who.user, room, from);
        }
        Ok(())
    }

    fn sync(&self, rooms: Vec<(Option<RoomId>, i64)>, about: &About) {
        for (room, after) in rooms {
            let known = self.room.or(room).filter(|room| {
                let sync = |seat: &mut Seat| seat.sync(Seq(after));
                self.line.with_seat(*room, sync)
            });
            if known.is_none() {
                let about = About {
                    room,
                    ..about.clone()
                };
                self.line.send(&frame::error(&Error::NotAMember, &about));
            }
        }
    }

    async fn history(
        &self,
        room: Option<RoomId>,
        before: Option<i64>,
        limit: Option<u32>,
    ) -> Result<(), Error> {
        let room = self.room(room)?;
        let point = before.map_or(Point::Newest, |id| Point::Before(MessageId(id)));
        let who = Actor::User(&self.who.user);
        let limit = limit.unwrap_or(PAGE_DEFAULT);
        let page = self.chat.read(who, room, point, limit).await?;
        let mut seq = Seq(0);
        self.line.with_seat(room, |seat| seq = seat.seq());
        // A page may show what is still on its way here. To resume from, a client takes what it
        // has been sent.
        let seq = page.last_seq.min(seq);
        let frame = frame::history(&page, seq, self.dialect);
        if self.line.send_in(room, &frame) {
            Ok(())
        } else {
            Err(Error::NotAMember)
        }
    }

    async fn renew(&mut self, token: &str) -> Result<(), Error> {
        let renewed = self.chat.renew(&self.connection, &self.who, token).await?;
        match renewed {
            Ok(who) => {
                self.line.expire_at(instant(&who));
                self.who = who;
            }
            Err(error) => self.line.end(Ending::Close(Close::of(&error))),
        }
        Ok(())
    }
}

/// When the token of that identity ends, by the clock that never jumps.
pub fn instant(who: &Identity) -> tokio::time::Instant {
    let left = (who.expires_at - now()).to_std().unwrap_or_default();
    tokio::time::Instant::now() + left
}
