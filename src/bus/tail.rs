//! The newest messages of a room that somebody listens to, so that those who come back, or fall
//! behind a little, need not ask the store.
//!
//! It holds an unbroken run of changes up to the newest one known. It may know less than the
//! store, and says so: whoever asks names the change that an answer must reach.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Message, MessageId, Page, Point, RoomId, Seq};

/// Most messages that are held for a room.
pub const TAIL_MESSAGES: u32 = 256;
/// Most bytes that are held for a room.
const TAIL_BYTES: usize = 256 * 1024;
/// Most bytes that are held for all rooms; beyond it a room holds only what was told last.
pub const ALL_BYTES: usize = 64 * 1024 * 1024;
/// What a message takes beside its text.
const OVERHEAD: usize = 256;

/// The newest change and the newest message of a room.
pub type Head = (Seq, MessageId);

/// The run.
#[derive(Debug, Default)]
pub struct Tail {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// None while nothing is known.
    head: Option<Head>,
    /// Whether what the store said last was too much to be kept: then others need not wait for it.
    too_large: bool,
    /// The page that was asked for last: many ask for the same.
    page: Option<(Point, u32, Arc<Page>)>,
    /// The bytes of all tails together.
    all: Arc<AtomicUsize>,
}

/// What a message takes, about.
pub fn size(message: &Message) -> usize {
    message.body.len() + OVERHEAD
}

impl Tail {
    /// One whose bytes are counted with those of others.
    pub fn counted(all: Arc<AtomicUsize>) -> Self {
        let mut tail = Self::default();
        tail.all = all;
        tail
    }

    /// Messages were stored that follow each other.
    pub fn push(&mut self, run: &[Arc<Message>]) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return;
        };
        let follows = self.head.is_some_and(|(seq, _)| first.seq.0 <= seq.0 + 1);
        if !follows || self.all.load(Ordering::Relaxed) > ALL_BYTES {
            self.clear();
        }
        let known = self.head.map_or(Seq(-1), |(seq, _)| seq);
        if last.seq <= known {
            return;
        }
        for message in run.iter().filter(|m| m.seq > known) {
            self.count(size(message));
            self.messages.push_back(message.clone());
        }
        self.head = Some((last.seq, last.id));
        self.shorten();
        // Those that were too large may be gone by now.
        self.too_large &= self.messages.len() < TAIL_MESSAGES as usize;
    }

    /// The store's answer: all messages of some time up to `head`, which follow each other; maybe
    /// none.
    pub fn fill(&mut self, block: &[Arc<Message>], head: Head) {
        let bytes: usize = block.iter().map(|message| size(message)).sum();
        self.too_large = bytes > TAIL_BYTES || self.all.load(Ordering::Relaxed) > ALL_BYTES;
        if self.too_large && self.head.is_some() {
            return;
        }
        let Some((known, _)) = self.head else {
            self.replace(block, head);
            return;
        };
        if head.0 >= known {
            // Simpler than to weave them, and seldom.
            if block.len() > self.messages.len() || head.0 > known {
                self.replace(block, head);
            }
            return;
        }
        let Some(first) = self.messages.front().map(|m| m.seq) else {
            return;
        };
        if head.0.0 + 1 >= first.0 {
            for message in block.iter().rev().filter(|m| m.seq < first) {
                self.count(size(message));
                self.messages.push_front(message.clone());
            }
            self.page = None;
            self.shorten();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
        self.messages = VecDeque::new();
        self.head = None;
        self.page = None;
    }

    /// Whether the newest page, or all since this change, is worth waiting for whoever reads it.
    pub fn may_hold(&self, after: Option<Seq>) -> bool {
        let far = match (self.head, after) {
            (Some((seq, _)), Some(after)) => seq.0.saturating_sub(after.0),
            _ => 0,
        };
        !self.too_large && far <= i64::from(TAIL_MESSAGES)
    }

    /// The page, if all of it is here and it reaches `at_least`.
    pub fn page(
        &mut self,
        room_id: RoomId,
        point: Point,
        limit: u32,
        at_least: Seq,
    ) -> Option<Arc<Page>> {
        let head = self.head.filter(|(seq, _)| *seq >= at_least)?;
        if let Some((of, most, page)) = &self.page
            && (*of, *most) == (point, limit)
        {
            return Some(page.clone());
        }
        let count = self.messages.len();
        let limit_ = limit as usize;
        let oldest = self.messages.front().map_or(head.1.0 + 1, |m| m.id.0);
        let from_start = oldest == 1;
        let (from, to) = match point {
            Point::Newest if count >= limit_ || from_start => (count.saturating_sub(limit_), count),
            Point::Since(after) if after >= head.0 => (count, count),
            Point::Since(after) if self.messages.front()?.seq.0 <= after.0 + 1 => {
                let from = self.messages.partition_point(|m| m.seq <= after);
                (from, count.min(from + limit_))
            }
            _ => return None,
        };
        let messages: Vec<_> = self.messages.range(from..to).cloned().collect();
        let has_more = match point {
            Point::Newest => messages.first().is_some_and(|m| m.id.0 > 1),
            _ => to < count,
        };
        let reached = messages.last().filter(|_| to < count);
        let (last_seq, last_id) = reached.map_or(head, |m| (m.seq, m.id));
        let page = Arc::new(Page {
            room_id,
            messages,
            has_more,
            last_id,
            last_seq,
            wire: std::sync::OnceLock::new(),
        });
        self.page = Some((point, limit, page.clone()));
        Some(page)
    }

    fn replace(&mut self, block: &[Arc<Message>], head: Head) {
        self.clear();
        self.messages = block.iter().cloned().collect();
        self.count(block.iter().map(|m| size(m)).sum());
        self.head = Some(head);
        self.shorten();
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.all.fetch_add(bytes, Ordering::Relaxed);
    }

    fn shorten(&mut self) {
        self.page = None;
        while self.messages.len() > TAIL_MESSAGES as usize || self.bytes > TAIL_BYTES {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            let bytes = size(&oldest);
            self.bytes -= bytes;
            self.all.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserId;
    use crate::model::time::now;

    fn run(room: RoomId, seqs: std::ops::RangeInclusive<i64>) -> Vec<Arc<Message>> {
        let message = |n| {
            Arc::new(Message {
                room_id: room,
                id: MessageId(n),
                seq: Seq(n),
                user_id: UserId(1),
                username: "ann".to_owned(),
                email: "ann@example.org".to_owned(),
                body: n.to_string(),
                nonce: None,
                created_at: now(),
            })
        };
        seqs.map(message).collect()
    }

    fn seqs(page: &Page) -> Vec<i64> {
        page.messages.iter().map(|m| m.seq.0).collect()
    }

    #[test]
    fn what_is_not_all_there_is_not_answered() {
        let room = RoomId::random();
        let mut tail = Tail::default();
        assert!(tail.page(room, Point::Newest, 50, Seq(0)).is_none());
        tail.push(&run(room, 10..=19));
        assert!(tail.page(room, Point::Newest, 50, Seq(19)).is_none());
        assert!(tail.page(room, Point::Since(Seq(8)), 50, Seq(19)).is_none());
        assert!(tail.page(room, Point::Since(Seq(9)), 50, Seq(20)).is_none());
        let page = tail
            .page(room, Point::Since(Seq(9)), 4, Seq(19))
            .expect("a page");
        assert_eq!(seqs(&page), [10, 11, 12, 13]);
        assert_eq!((page.has_more, page.last_seq), (true, Seq(13)));
        let page = tail
            .page(room, Point::Since(Seq(15)), 4, Seq(19))
            .expect("a page");
        assert_eq!(seqs(&page), [16, 17, 18, 19]);
        assert_eq!((page.has_more, page.last_seq), (false, Seq(19)));
        let page = tail
            .page(room, Point::Since(Seq(19)), 4, Seq(19))
            .expect("a page");
        assert_eq!((seqs(&page), page.last_seq), (vec![], Seq(19)));
        let page = tail.page(room, Point::Newest, 3, Seq(19)).expect("a page");
        assert_eq!((seqs(&page), page.has_more), (vec![17, 18, 19], true));
    }

    #[test]
    fn a_gap_begins_a_new_run_and_repeats_are_left_out() {
        let room = RoomId::random();
        let mut tail = Tail::default();
        tail.fill(&[], (Seq(0), MessageId(0)));
        tail.push(&run(room, 1..=3));
        tail.push(&run(room, 2..=5));
        let page = tail.page(room, Point::Newest, 50, Seq(5)).expect("a page");
        assert_eq!((seqs(&page), page.has_more), (vec![1, 2, 3, 4, 5], false));
        tail.push(&run(room, 8..=9));
        assert!(tail.page(room, Point::Since(Seq(5)), 50, Seq(9)).is_none());
        tail.fill(&run(room, 3..=7), (Seq(7), MessageId(7)));
        let page = tail
            .page(room, Point::Since(Seq(5)), 50, Seq(9))
            .expect("a page");
        assert_eq!(seqs(&page), [6, 7, 8, 9]);
        // An answer that is older than what was told meanwhile, and has a hole before it.
        tail.push(&run(room, 20..=21));
        tail.fill(&run(room, 3..=7), (Seq(7), MessageId(7)));
        assert!(tail.page(room, Point::Since(Seq(6)), 50, Seq(9)).is_none());
    }

    #[test]
    fn a_tail_is_bounded_and_its_bytes_are_counted() {
        let room = RoomId::random();
        let all = Arc::new(AtomicUsize::new(0));
        let mut tail = Tail::counted(all.clone());
        for n in 0..10 {
            tail.push(&run(room, n * 100 + 1..=n * 100 + 100));
        }
        assert_eq!(tail.messages.len(), TAIL_MESSAGES as usize);
        assert_eq!(all.load(Ordering::Relaxed), tail.bytes);
        all.fetch_add(ALL_BYTES, Ordering::Relaxed);
        tail.push(&run(room, 1001..=1002));
        assert_eq!(tail.messages.len(), 2);
        all.fetch_sub(ALL_BYTES, Ordering::Relaxed);
        drop(tail);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
