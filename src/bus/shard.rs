//! A part of a room's listeners, told by one task at a time.
//!
//! A room of few listeners has one shard; a large one has as many as the machine has cores, so
//! that all of them work on it. The task that tells a shard gives way after a handful of
//! listeners: other rooms, and what comes in, have their turn in between.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;

use super::Listener;
use super::tail::size;
use crate::model::{Event, Message, Signal};

/// Listeners that are told before the task gives way: at some 8 us a write, half a millisecond.
const TURN: usize = 64;
/// Events that wait for a shard that is being told. Beyond it the oldest are dropped, and the
/// listeners, who notice by the `seq` of what follows, read the store.
const WAITING: usize = 256;
/// Beyond this nobody is told who types: that carries no `seq`, and is not to push out what does.
const SIGNALS: usize = WAITING / 2;
/// Bytes of messages, about, that are told as one event, and so are one write for each listener.
pub const BURST: usize = 128 * 1024;

/// Listeners to be told one after the other.
type Round = Arc<[Arc<dyn Listener>]>;

/// The part.
#[derive(Debug, Default)]
pub struct Shard(Mutex<State>);

#[derive(Default)]
struct State {
    listeners: Slab<Arc<dyn Listener>>,
    /// The listeners as they were when somebody last told them, if none came or went since.
    round: Option<Round>,
    waiting: VecDeque<Arc<Event>>,
    /// Whether a task is telling.
    telling: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} listeners, {} waiting",
            self.listeners.len(),
            self.waiting.len()
        )
    }
}

impl Shard {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.state().listeners.len()
    }

    /// One more listener; returns its place.
    pub fn add(&self, listener: Arc<dyn Listener>) -> usize {
        let mut state = self.state();
        state.round = None;
        state.listeners.insert(listener)
    }

    /// The listener at this place goes.
    pub fn remove(&self, place: usize) {
        let mut state = self.state();
        state.round = None;
        state.listeners.try_remove(place);
        if state.listeners.is_empty() {
            state.listeners = Slab::new();
        }
    }

    /// All who listen.
    pub fn listeners(&self) -> Round {
        let mut state = self.state();
        let State {
            listeners, round, ..
        } = &mut *state;
        let collect = || listeners.iter().map(|(_, l)| l.clone()).collect();
        round.get_or_insert_with(collect).clone()
    }

    /// Tells an event to all who listen by now, after what was told before it.
    pub fn tell(self: &Arc<Self>, event: Arc<Event>) {
        let mut state = self.state();
        let is_signal = matches!(event.signal, Signal::Typing { .. });
        if state.listeners.is_empty() || is_signal && state.waiting.len() >= SIGNALS {
            return;
        }
        if state.waiting.len() >= WAITING {
            state.waiting.pop_front();
        }
        state.waiting.push_back(event);
        if !state.telling {
            state.telling = true;
            drop(state);
            tokio::spawn(self.clone().tell_all());
        }
    }

    async fn tell_all(self: Arc<Self>) {
        while let Some(event) = self.next() {
            // Whoever comes now reads what has been told before.
            for turn in self.listeners().chunks(TURN) {
                for listener in turn {
                    listener.hear(&event);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// The next event; messages that follow each other are one.
    fn next(&self) -> Option<Arc<Event>> {
        let mut state = self.state();
        let Some(first) = state.waiting.pop_front() else {
            state.telling = false;
            return None;
        };
        let Signal::Messages(messages) = &first.signal else {
            return Some(first);
        };
        let bytes = |messages: &[Arc<Message>]| messages.iter().map(|m| size(m)).sum::<usize>();
        let mut merged = Vec::new();
        let mut left = BURST.saturating_sub(bytes(messages));
        let mut last = messages[messages.len() - 1].seq.0;
        while let Some(next) = state.waiting.front()
            && let Signal::Messages(more) = &next.signal
            && more[0].seq.0 == last + 1
            && let Some(rest) = left.checked_sub(bytes(more))
        {
            left = rest;
            if merged.is_empty() {
                merged.clone_from(messages);
            }
            last = more[more.len() - 1].seq.0;
            merged.extend_from_slice(more);
            state.waiting.pop_front();
        }
        if merged.is_empty() {
            return Some(first);
        }
        Some(Event::new(first.room, Signal::Messages(merged)))
    }
}
