//! What waits to be written to one socket, bounded in bytes and in frames.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes that may wait before live messages are no longer queued. What a client asked for comes on
/// top: an answer each for the frames that may be under way, or one page.
const BYTES_MAX: usize = 64 * 1024;
/// Pieces that may wait: the messages of a burst are one piece.
const PIECES_MAX: usize = 64;
/// As much as is written at once.
const WRITE_MAX: usize = 64 * 1024;

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    pieces: VecDeque<Bytes>,
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
    pub fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
    }

    /// Puts them behind all that waits.
    pub fn extend(&mut self, pieces: impl IntoIterator<Item = Bytes>) {
        for piece in pieces {
            self.push(piece);
        }
    }

    /// Puts back what could not be written.
    pub fn put_back(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_front(piece);
    }

    /// Takes what is to be written next. Small pieces are put together: one write of many is cheaper
    /// than many, and than one that gathers.
    pub fn take(&mut self) -> Option<Bytes> {
        let first = self.pieces.pop_front()?;
        let next = self.pieces.front().map_or(WRITE_MAX, Bytes::len);
        let taken = if first.len() + next > WRITE_MAX {
            first
        } else {
            let mut together = Vec::with_capacity(WRITE_MAX.min(self.bytes));
            together.extend_from_slice(&first);
            while let Some(next) = self.pieces.front()
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
            queue.push(Bytes::from_static(piece.as_bytes()));
        }
        queue.push(vec![b'x'; WRITE_MAX].into());
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
            queue.push(Bytes::from_static(b"x"));
        }
        assert!(queue.is_full());
    }
}
