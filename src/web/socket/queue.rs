//! What waits to be written to one socket, bounded in bytes and in frames.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::model::RoomId;

/// Bytes that may wait before live messages are no longer queued. On top comes the last that was
/// queued, a burst or a page, and an answer each for what the client has under way.
const BYTES_MAX: usize = 64 * 1024;
/// Pieces that may wait: the messages of a burst are one piece.
const PIECES_MAX: usize = 64;
/// As much as is written at once.
const WRITE_MAX: usize = 64 * 1024;

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    /// Each with the room that it tells of, if it tells of one.
    pieces: VecDeque<(Option<RoomId>, Bytes)>,
    bytes: usize,
}

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether live messages have to be read from the store later.
    pub fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX || self.pieces.len() >= PIECES_MAX
    }

    /// Puts it behind all that waits.
    pub fn push(&mut self, room: Option<RoomId>, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back((room, piece));
    }

    /// Puts them behind all that waits.
    pub fn extend(&mut self, room: Option<RoomId>, pieces: impl IntoIterator<Item = Bytes>) {
        for piece in pieces {
            self.push(room, piece);
        }
    }

    /// Puts back what could not be written.
    pub fn put_back(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_front((None, piece));
    }

    /// Takes out what tells of a room. What was put back may be a part of a frame, and stays.
    pub fn purge(&mut self, room: RoomId) {
        self.pieces.retain(|(of, _)| *of != Some(room));
        self.bytes = self.pieces.iter().map(|(_, piece)| piece.len()).sum();
    }

    /// Takes what is to be written next. Small pieces are put together: one write of many is cheaper
    /// than many, and than one that gathers.
    pub fn take(&mut self) -> Option<Bytes> {
        let (_, first) = self.pieces.pop_front()?;
        let next = self.pieces.front().map_or(WRITE_MAX, |(_, p)| p.len());
        let taken = if first.len() + next > WRITE_MAX {
            first
        } else {
            let mut together = Vec::with_capacity(WRITE_MAX.min(self.bytes));
            together.extend_from_slice(&first);
            while let Some((_, next)) = self.pieces.front()
                && together.len() + next.len() <= WRITE_MAX
            {
                together.extend_from_slice(next);
                self.pieces.pop_front();
            }
            together.into()
        };
        self.bytes -= taken.len();
        if self.pieces.is_empty() {
            // An idle socket holds no memory for this.
            self.pieces = VecDeque::new();
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_written_together_and_in_order() {
        let mut queue = Queue::default();
        for piece in ["a", "b", "c"] {
            queue.push(None, Bytes::from_static(piece.as_bytes()));
        }
        queue.push(None, vec![b'x'; WRITE_MAX].into());
        let first = queue.take().expect("bytes");
        assert_eq!(first[..], *b"abc");
        queue.put_back(first.slice(1..));
        assert_eq!(queue.bytes, WRITE_MAX + 2);
        assert!(queue.is_full());
        assert_eq!(queue.take().expect("bytes")[..], *b"bc");
        assert_eq!(queue.take().map(|bytes| bytes.len()), Some(WRITE_MAX));
        assert!(queue.take().is_none() && queue.is_empty());
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn many_small_pieces_fill_it_too() {
        let mut queue = Queue::default();
        for _ in 0..PIECES_MAX {
            assert!(!queue.is_full());
            queue.push(None, Bytes::from_static(b"x"));
        }
        assert!(queue.is_full());
    }

    #[test]
    fn what_tells_of_a_room_can_be_taken_out() {
        let (here, there) = (RoomId::random(), RoomId::random());
        let mut queue = Queue::default();
        for (room, piece) in [
            (Some(here), "a"),
            (None, "b"),
            (Some(there), "c"),
            (Some(here), "d"),
        ] {
            queue.push(room, Bytes::from_static(piece.as_bytes()));
        }
        queue.purge(here);
        assert_eq!(queue.bytes, 2);
        assert_eq!(queue.take().expect("bytes")[..], *b"bc");
        assert!(queue.is_empty());
    }
}
