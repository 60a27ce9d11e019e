//! One connection's side of the protocol: it is given frames and events, and returns frames.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use super::close::Close;
use super::frame::{self, ClientFrame, Malformed, Received};
use crate::chat::{Attachment, Chat, Error, Frames, Pending};
use crate::model::message::PAGE_DEFAULT;
use crate::model::{
    Actor, Event, Identity, MessageId, Page, Point, Receipt, Room, RoomId, Seq, Signal,
};
use crate::web::json::Dialect;

/// A typing signal is passed on once in this time.
const TYPING_EVERY: Duration = Duration::from_secs(3);
/// Frames too fast that are forgiven, each with an error, before the socket is closed.
const STRIKES: u32 = 50;
/// Messages in one step of catching up: what is held for a slow reader.
const STEP: u32 = 50;

/// The state of one connection.
pub struct Session {
    chat: Chat,
    dialect: Dialect,
    who: Identity,
    room: Room,
    connection: u64,
    /// The newest change that this client has been sent.
    seq: Seq,
    feed: Feed,
    /// Acks of messages that this client has not been sent yet. They wait, so that every `seq` a
    /// client has seen is one that it can resume from.
    acks: Vec<(Seq, Bytes)>,
    frames: Frames,
    strikes: u32,
    typed_at: Option<Instant>,
}

/// Where a client wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the newest page.
    Newest,
    /// After the last change that it has seen.
    After(Seq),
    /// After something that is no number: the newest page, and an error.
    Unreadable,
}

/// How changes reach this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    /// The first frame is still to come: the newest page. What was asked for instead could not be
    /// read if this is not sound.
    Opening {
        /// Whether the client asked for it.
        sound: bool,
    },
    /// By pages of history, as the client asked for; then live.
    Resuming,
    /// By single messages, as something was missed; then live.
    CatchingUp,
    /// As they happen.
    Live,
}

/// What comes of a frame, an event or a step: frames for the client, and what else is to be done.
#[derive(Debug, Default)]
pub struct Turn {
    /// To be written, in this order.
    pub out: Vec<Bytes>,
    /// To be waited for; its receipt goes back to [`Session::settled`].
    pub pending: Option<(Option<Value>, Pending)>,
    /// The end of the connection, after what is to be written.
    pub close: Option<Close>,
}

impl Turn {
    fn frame(frame: Bytes) -> Self {
        Self {
            out: vec![frame],
            ..Self::default()
        }
    }

    fn close(close: Close) -> Self {
        Self {
            close: Some(close),
            ..Self::default()
        }
    }
}

impl Session {
    /// Begins to listen, then looks whether the user may, so that nothing falls in between.
    pub async fn open(
        chat: Chat,
        dialect: Dialect,
        who: Identity,
        room: &str,
        start: Start,
    ) -> Result<(Self, Attachment), Error> {
        let actor = Actor::User(&who.user);
        let room = chat.find_room(actor, room).await?;
        let attachment = chat.attach(&who, &room).await?;
        let room = chat.enter_room(actor, room.id).await?;
        let (seq, feed) = match start {
            Start::After(seq) => (seq, Feed::Resuming),
            Start::Newest => (Seq(0), Feed::Opening { sound: true }),
            Start::Unreadable => (Seq(0), Feed::Opening { sound: false }),
        };
        let session = Self {
            frames: chat.frame_limit(),
            connection: attachment.id,
            strikes: 0,
            typed_at: None,
            chat,
            dialect,
            who,
            room,
            seq,
            feed,
            acks: Vec::new(),
        };
        Ok((session, attachment))
    }

    /// Whose connection it is, and until when.
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// The room it listens to.
    pub fn room(&self) -> RoomId {
        self.room.id
    }

    /// Whether the client's dialect has no word for the server's going away: that page comes back
    /// only to a server that vanishes.
    pub fn leaves_silently(&self) -> bool {
        self.dialect.shh
    }

    /// Whether there is something in the store that this client is to be sent.
    pub fn is_behind(&self) -> bool {
        self.feed != Feed::Live
    }

    /// Sends the client one page of what it is behind. An error is to be tried again later, unless
    /// it ends the connection.
    pub async fn step(&mut self) -> Result<Turn, Error> {
        let (point, limit) = match self.feed {
            Feed::Live => return Ok(Turn::default()),
            Feed::Opening { .. } => (Point::Newest, PAGE_DEFAULT),
            Feed::Resuming | Feed::CatchingUp => (Point::Since(self.seq), STEP),
        };
        let page = match self.read(point, limit).await {
            Ok(page) => page,
            Err(e @ (Error::NotAMember | Error::RoomNotFound)) => {
                return Ok(Turn::close(Close::of(&e)));
            }
            Err(e) => return Err(e),
        };
        let mut out: Vec<Bytes> = if self.feed == Feed::CatchingUp {
            let messages = page.messages.iter();
            messages
                .map(|m| frame::new_message(m, self.dialect))
                .collect()
        } else {
            vec![frame::history(&page, self.dialect)]
        };
        if (self.feed == Feed::Opening { sound: false }) {
            out.push(frame::malformed(&Malformed::after(), None));
        }
        self.seq = page.last_seq;
        if point == Point::Newest || !page.has_more {
            self.feed = Feed::Live;
        }
        out.extend(self.due_acks());
        Ok(Turn {
            out,
            ..Turn::default()
        })
    }

    /// Something happened in the room.
    pub fn event(&mut self, event: &Arc<Event>) -> Turn {
        if self.is_behind() {
            // The store has it, and the step that comes next reads the store. Signals are lost,
            // which is what signals are for.
            return Turn::default();
        }
        match &event.signal {
            Signal::Message(message) if message.seq.0 == self.seq.0 + 1 => {
                self.seq = message.seq;
                let dialect = self.dialect;
                let wire = event
                    .wire
                    .get_or_init(|| frame::new_message(message, dialect));
                let mut turn = Turn::frame(wire.clone());
                turn.out.extend(self.due_acks());
                turn
            }
            Signal::Message(message) => {
                self.catch_up_to(message.seq);
                Turn::default()
            }
            Signal::Moved(seq) => {
                self.catch_up_to(*seq);
                Turn::default()
            }
            Signal::Typing { from, .. } if *from == self.connection => Turn::default(),
            Signal::Typing {
                username, email, ..
            } => {
                let wire = event.wire.get_or_init(|| {
                    frame::typing(self.room.id.to_string(), username, email, self.dialect)
                });
                Turn::frame(wire.clone())
            }
        }
    }

    fn catch_up_to(&mut self, seq: Seq) {
        if seq > self.seq {
            self.feed = Feed::CatchingUp;
        }
    }

    /// Events were missed; the store has what matters.
    pub fn lagged(&mut self) {
        if self.feed == Feed::Live {
            self.feed = Feed::CatchingUp;
        }
    }

    /// The client sent a frame that is not text.
    pub fn binary(&mut self) -> Turn {
        let refused = self.too_fast(None);
        refused.unwrap_or_else(|| Turn::frame(frame::malformed(&Malformed::empty(), None)))
    }

    /// The client sent a frame of text.
    pub async fn text(&mut self, text: &str) -> Turn {
        let Received { reference, frame } = frame::parse(text);
        if let Some(turn) = self.too_fast(reference.as_ref()) {
            return turn;
        }
        let done = match frame {
            Err(malformed) => {
                return Turn::frame(frame::malformed(&malformed, reference.as_ref()));
            }
            Ok(ClientFrame::Ping) => Ok(Turn::frame(frame::pong())),
            Ok(ClientFrame::Typing) => Ok(self.typing()),
            Ok(ClientFrame::Sync { after }) => Ok(self.sync(Seq(after))),
            Ok(ClientFrame::History { before, limit }) => self.history(before, limit).await,
            Ok(ClientFrame::Auth { token }) => self.renew(&token).await,
            Ok(ClientFrame::Message { body, nonce }) => {
                let said = self.chat.say(&self.who.user, self.room.id, body, nonce);
                said.await.map(|pending| Turn {
                    pending: Some((reference.clone(), pending)),
                    ..Turn::default()
                })
            }
        };
        done.unwrap_or_else(|e| refused(&e, reference.as_ref()))
    }

    /// What became of a message that was handed in.
    pub fn settled(&mut self, reference: Option<&Value>, receipt: Result<Receipt, Error>) -> Turn {
        match (receipt, reference) {
            (Ok(receipt), Some(reference)) => {
                let ack = frame::ack(reference, &receipt);
                self.acks.push((receipt.message.seq, ack));
                Turn {
                    out: self.due_acks(),
                    ..Turn::default()
                }
            }
            (Ok(_), None) => Turn::default(),
            (Err(e), reference) => refused(&e, reference),
        }
    }

    /// The acks of messages that this client has been sent.
    fn due_acks(&mut self) -> Vec<Bytes> {
        let seq = self.seq;
        let due = self.acks.extract_if(.., |(of, _)| *of <= seq);
        due.map(|(_, ack)| ack).collect()
    }

    fn too_fast(&mut self, reference: Option<&Value>) -> Option<Turn> {
        match self.frames.one_more() {
            Ok(()) => {
                self.strikes = self.strikes.saturating_sub(1);
                None
            }
            Err(e) => {
                self.strikes += 1;
                let mut turn = Turn::frame(frame::error(&e, reference));
                if self.strikes > STRIKES {
                    turn.close = Some(Close::TooFast);
                }
                Some(turn)
            }
        }
    }

    fn typing(&mut self) -> Turn {
        let lately = self.typed_at.is_some_and(|at| at.elapsed() < TYPING_EVERY);
        if !lately {
            self.typed_at = Some(Instant::now());
            let user = &self.who.user;
            self.chat.tell_typing(user, self.room.id, self.connection);
        }
        Turn::default()
    }

    fn sync(&mut self, after: Seq) -> Turn {
        self.seq = after;
        self.feed = Feed::Resuming;
        Turn::default()
    }

    async fn history(&self, before: Option<i64>, limit: Option<u32>) -> Result<Turn, Error> {
        let point = before.map_or(Point::Newest, |id| Point::Before(MessageId(id)));
        let page = self.read(point, limit.unwrap_or(PAGE_DEFAULT)).await?;
        // A page may show what is still on its way here. To resume from, a client takes what it
        // has been sent.
        let last_seq = page.last_seq.min(self.seq);
        let page = Page { last_seq, ..page };
        Ok(Turn::frame(frame::history(&page, self.dialect)))
    }

    async fn renew(&mut self, token: &str) -> Result<Turn, Error> {
        let who = self.chat.authenticate(token).await?;
        if who.user.id != self.who.user.id {
            return Err(Error::TokenInvalid);
        }
        if let Err(e) = self.chat.renew(self.connection, &who).await {
            return Ok(Turn::close(Close::of(&e)));
        }
        self.who = who;
        Ok(Turn::default())
    }

    async fn read(&self, point: Point, limit: u32) -> Result<Page, Error> {
        let who = Actor::User(&self.who.user);
        self.chat.read(who, self.room.id, point, limit).await
    }
}

/// An error, which ends the socket if there is nothing left to do on it.
fn refused(error: &Error, reference: Option<&Value>) -> Turn {
    let mut turn = Turn::frame(frame::error(error, reference));
    if matches!(error, Error::NotAMember | Error::RoomNotFound) {
        turn.close = Some(Close::of(error));
    }
    turn
}
