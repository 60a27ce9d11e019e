//! A room as one socket hears it: what it was sent, and what it is to be sent next.
//!
//! A change that follows what the socket has goes out at once. Anything else, a gap, or a socket
//! that takes no more, has one cure: the seat remembers where it is, and reads on from there.

use bytes::Bytes;

use super::frame::Malformed;
use crate::model::message::PAGE_DEFAULT;
use crate::model::{Page, Point, Seq};

/// Messages in one step of catching up: what is held for a slow reader.
const STEP: u32 = 50;

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

/// What the client is to be sent of a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// The page, and then maybe a word on what was wrong with the question.
    Page(Option<Malformed>),
    /// Its messages, one by one, as if they happened now.
    Messages,
}

/// The seat.
#[derive(Debug)]
pub struct Seat {
    /// The newest change that this client has been sent.
    seq: Seq,
    /// The newest change that happened. It is in the store.
    head: Seq,
    feed: Feed,
    /// Acks of messages that this client has not been sent yet. They wait, so that every `seq` a
    /// client has seen is one that it can resume from.
    acks: Vec<(Seq, Bytes)>,
    /// Whether it waits for its turn to read; for whoever gives the turns.
    pub is_queued: bool,
}

impl Seat {
    /// On a room that has reached `head`, of a client that wants to begin there.
    pub fn new(start: Start, head: Seq) -> Self {
        let (seq, feed) = match start {
            Start::After(seq) => (seq, Feed::Resuming),
            Start::Newest => (Seq(0), Feed::Opening { sound: true }),
            Start::Unreadable => (Seq(0), Feed::Opening { sound: false }),
        };
        Self {
            seq,
            head,
            feed,
            acks: Vec::new(),
            is_queued: false,
        }
    }

    /// Of a client that knows all up to `seq`.
    pub fn live(seq: Seq) -> Self {
        Self {
            seq,
            head: seq,
            feed: Feed::Live,
            acks: Vec::new(),
            is_queued: false,
        }
    }

    /// The newest change that this client has been sent.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Whether there is something in the store that this client is to be sent.
    pub fn is_behind(&self) -> bool {
        self.feed != Feed::Live
    }

    /// Changes `first` to `last` happened. Returns how many of them the client has already, if the
    /// others are to be sent now; nothing is, if it is not their turn or the socket has no room.
    pub fn hear(&mut self, first: Seq, last: Seq, has_room: bool) -> Option<usize> {
        self.head = self.head.max(last);
        if self.is_behind() || last <= self.seq {
            return None;
        }
        let known = self.seq.0 + 1 - first.0;
        if known < 0 || !has_room {
            self.feed = Feed::CatchingUp;
            return None;
        }
        self.seq = last;
        usize::try_from(known).ok()
    }

    /// The room has changed up to here, by a way that told nobody.
    pub fn moved(&mut self, head: Seq) {
        self.head = self.head.max(head);
        if self.feed == Feed::Live && self.head > self.seq {
            self.feed = Feed::CatchingUp;
        }
    }

    /// The client wants everything since this change, again if it had it.
    pub fn sync(&mut self, after: Seq) {
        self.seq = after;
        self.feed = Feed::Resuming;
    }

    /// What to read next: from where, how much, and up to which change at least.
    pub fn wants(&self) -> Option<(Point, u32, Seq)> {
        let (point, limit) = match self.feed {
            Feed::Live => return None,
            Feed::Opening { .. } => (Point::Newest, PAGE_DEFAULT),
            Feed::Resuming | Feed::CatchingUp => (Point::Since(self.seq), STEP),
        };
        Some((point, limit, self.head))
    }

    /// This page was read, and is to be sent.
    pub fn take(&mut self, page: &Page) -> Sent {
        let (before, point) = (self.feed, self.wants().map(|(point, ..)| point));
        self.seq = page.last_seq;
        self.head = self.head.max(page.last_seq);
        if point == Some(Point::Newest) || !page.has_more {
            self.feed = Feed::Live;
            // What happened while the page was read was not for a client who was behind.
            self.moved(self.head);
        }
        match before {
            Feed::CatchingUp => Sent::Messages,
            Feed::Opening { sound: false } => Sent::Page(Some(Malformed::after())),
            _ => Sent::Page(None),
        }
    }

    /// An ack for this change, to go out when the change has.
    pub fn hold(&mut self, of: Seq, ack: Bytes) {
        self.acks.push((of, ack));
    }

    /// The acks that wait.
    pub fn into_acks(self) -> Vec<Bytes> {
        self.acks.into_iter().map(|(_, ack)| ack).collect()
    }

    /// The acks of messages that this client has been sent.
    pub fn due(&mut self) -> Vec<Bytes> {
        if self.acks.is_empty() {
            return Vec::new();
        }
        let seq = self.seq;
        let due = self.acks.extract_if(.., |(of, _)| *of <= seq);
        let due = due.map(|(_, ack)| ack).collect();
        if self.acks.is_empty() {
            self.acks = Vec::new();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::model::{MessageId, RoomId};

    fn page(last: i64, has_more: bool) -> Page {
        Page {
            room_id: RoomId::random(),
            messages: Vec::new(),
            has_more,
            last_id: MessageId(last),
            last_seq: Seq(last),
            wire: OnceLock::new(),
        }
    }

    #[test]
    fn what_follows_is_sent_and_what_is_known_is_not() {
        let mut seat = Seat::live(Seq(5));
        assert_eq!(seat.hear(Seq(6), Seq(8), true), Some(0));
        assert_eq!(seat.hear(Seq(7), Seq(8), true), None);
        assert_eq!(seat.hear(Seq(8), Seq(10), true), Some(1));
        assert_eq!((seat.seq(), seat.is_behind()), (Seq(10), false));
    }

    #[test]
    fn a_gap_or_a_full_socket_is_read_up() {
        for (first, has_room) in [(7, true), (6, false)] {
            let mut seat = Seat::live(Seq(5));
            assert_eq!(seat.hear(Seq(first), Seq(8), has_room), None);
            assert_eq!(seat.wants(), Some((Point::Since(Seq(5)), STEP, Seq(8))));
            // Nothing is sent out of turn.
            assert_eq!(seat.hear(Seq(9), Seq(9), true), None);
            assert_eq!(seat.take(&page(8, false)), Sent::Messages);
            // The page did not have what happened meanwhile.
            assert_eq!(seat.wants(), Some((Point::Since(Seq(8)), STEP, Seq(9))));
            assert_eq!(seat.take(&page(9, false)), Sent::Messages);
            assert_eq!(seat.hear(Seq(10), Seq(10), true), Some(0));
        }
    }

    #[test]
    fn a_client_that_resumes_gets_pages_until_it_is_live() {
        let mut seat = Seat::new(Start::After(Seq(10)), Seq(100));
        assert_eq!(seat.take(&page(60, true)), Sent::Page(None));
        assert_eq!(seat.take(&page(100, false)), Sent::Page(None));
        assert!(!seat.is_behind());
        seat.sync(Seq(3));
        assert_eq!(seat.wants(), Some((Point::Since(Seq(3)), STEP, Seq(100))));
        let mut seat = Seat::new(Start::Unreadable, Seq(7));
        assert_eq!(seat.wants(), Some((Point::Newest, PAGE_DEFAULT, Seq(7))));
        assert_eq!(
            seat.take(&page(7, true)),
            Sent::Page(Some(Malformed::after()))
        );
        assert!(!seat.is_behind());
    }

    #[test]
    fn an_ack_waits_for_its_message() {
        let mut seat = Seat::live(Seq(5));
        seat.hold(Seq(7), Bytes::from_static(b"b"));
        seat.hold(Seq(6), Bytes::from_static(b"a"));
        assert!(seat.due().is_empty());
        seat.hear(Seq(6), Seq(6), true);
        assert_eq!(seat.due(), [Bytes::from_static(b"a")]);
        seat.hear(Seq(7), Seq(7), true);
        assert_eq!(seat.due(), [Bytes::from_static(b"b")]);
    }

    #[test]
    fn a_room_that_moved_unheard_is_read_up() {
        let mut seat = Seat::live(Seq(5));
        seat.moved(Seq(5));
        assert!(!seat.is_behind());
        seat.moved(Seq(6));
        assert!(seat.is_behind());
    }
}
