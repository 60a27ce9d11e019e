//! Checks a recorded history against the promises about messages, I1 to I6 and the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

/// The promises, each as the fault that breaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// I1: what was acked is not stored, or not as it was acked.
    Lost,
    /// I2: a nonce made two messages.
    StoredTwice,
    /// I2: two acks of a nonce name different messages.
    AcksDiffer,
    /// I2: of the acks of a nonce not exactly one calls the message new.
    Unmarked,
    /// I3: nobody said what is there.
    Phantom,
    /// I3: what was refused is there.
    RefusedSeen,
    /// I4, I5: a number is left out.
    Gap,
    /// I5: on one connection, a message comes after a later one.
    Order,
    /// I5: on one connection, a message comes twice.
    Double,
    /// I4: somebody was shown something else than is stored under that number.
    Disagreement,
    /// I6: what was said after an ack got a smaller number than what was acked.
    Overtaken,
    /// The end: an observer never got what is stored.
    Missing,
}

/// A message as somebody was shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub seq: i64,
    pub id: i64,
    pub user: i64,
    pub nonce: String,
    pub text: String,
}

impl Shown {
    /// Reads a message as the server writes it everywhere.
    pub fn read(message: &Value) -> Self {
        let number = |name: &str| message[name].as_i64().expect("a number");
        let text = |name: &str| message[name].as_str().expect("a text").to_owned();
        Self {
            seq: number("seq"),
            id: number("id"),
            user: number("user_id"),
            nonce: text("nonce"),
            text: text("message"),
        }
    }
}

/// What became of an attempt to say something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is stored, under these numbers.
    Acked {
        /// The recorder's clock when the answer had come.
        at: u64,
        seq: i64,
        id: i64,
        duplicate: bool,
    },
    /// It is not stored and never will be.
    Refused,
    /// Nobody knows: the answer did not come, or said to try again.
    Unknown,
}

/// One attempt to say something.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub room: String,
    pub user: i64,
    pub nonce: String,
    pub text: String,
    /// The recorder's clock before it was sent.
    pub sent: u64,
    pub answer: Answer,
}

/// What one connection was shown, in the order in which it came.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Whose it was; an observer who comes back has several.
    pub observer: String,
    pub room: String,
    /// The last change that it had seen before.
    pub after: i64,
    pub shown: Vec<Shown>,
}

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub attempts: Vec<Attempt>,
    pub sights: Vec<Sight>,
    /// What each room holds in the end, as REST tells it.
    pub stored: BTreeMap<String, Vec<Shown>>,
}

/// A broken promise, and the case.
pub type Fault = (Rule, String);

/// What names a message before it has a number: room, user and nonce.
type Key<'a> = (&'a str, i64, &'a str);

impl History {
    /// All that is wrong.
    pub fn faults(&self) -> Vec<Fault> {
        let mut attempts: HashMap<Key<'_>, Vec<&Attempt>> = HashMap::new();
        for attempt in &self.attempts {
            attempts.entry(key(attempt)).or_default().push(attempt);
        }
        let mut faults = Vec::new();
        for attempts in attempts.values() {
            self.check_acks(attempts, &mut faults);
        }
        for (room, stored) in &self.stored {
            check_stored(room, stored, &attempts, &mut faults);
            self.check_overtaking(room, stored, &attempts, &mut faults);
        }
        for sight in &self.sights {
            self.check_sight(sight, &attempts, &mut faults);
        }
        self.check_end(&mut faults);
        faults
    }

    fn stored(&self, room: &str) -> &[Shown] {
        self.stored.get(room).map_or(&[], Vec::as_slice)
    }

    /// I1 and I2, for the attempts with one nonce.
    fn check_acks(&self, attempts: &[&Attempt], faults: &mut Vec<Fault>) {
        let (room, user, nonce) = key(attempts[0]);
        let stored: Vec<_> = self.stored(room).iter().collect();
        let stored = stored
            .into_iter()
            .find(|m| (m.user, m.nonce.as_str()) == (user, nonce));
        let (mut numbers, mut new) = (BTreeSet::new(), 0);
        for attempt in attempts {
            if let Answer::Acked {
                seq, id, duplicate, ..
            } = attempt.answer
            {
                numbers.insert((seq, id));
                new += i32::from(!duplicate);
                let kept =
                    stored.is_some_and(|m| (m.seq, m.id, &m.text) == (seq, id, &attempt.text));
                if !kept {
                    faults.push((Rule::Lost, format!("{attempt:?}, stored as {stored:?}")));
                }
            }
        }
        if numbers.len() > 1 {
            faults.push((Rule::AcksDiffer, format!("{nonce}: {numbers:?}")));
        }
        // The answer that called it new may be one that did not come.
        let all_known = attempts
            .iter()
            .all(|attempt| attempt.answer != Answer::Unknown);
        if new > 1 || (new == 0 && all_known && !numbers.is_empty()) {
            faults.push((Rule::Unmarked, format!("{nonce}: new in {new} acks")));
        }
    }

    /// I6: whoever was acked before another began to say something comes first.
    fn check_overtaking(
        &self,
        room: &str,
        stored: &[Shown],
        attempts: &HashMap<Key<'_>, Vec<&Attempt>>,
        faults: &mut Vec<Fault>,
    ) {
        let mut acks: Vec<(u64, i64)> = self
            .attempts
            .iter()
            .filter(|a| a.room == room)
            .filter_map(|attempt| match attempt.answer {
                Answer::Acked { at, seq, .. } => Some((at, seq)),
                _ => None,
            })
            .collect();
        acks.sort_unstable();
        let mut said: Vec<(u64, &Shown)> = stored
            .iter()
            .filter_map(|message| {
                let attempts = attempts.get(&(room, message.user, message.nonce.as_str()))?;
                Some((attempts.iter().map(|attempt| attempt.sent).min()?, message))
            })
            .collect();
        said.sort_unstable_by_key(|(sent, _)| *sent);
        let (mut acks, mut highest) = (acks.into_iter().peekable(), 0);
        for (sent, message) in said {
            while let Some((_, seq)) = acks.next_if(|(at, _)| *at < sent) {
                highest = highest.max(seq);
            }
            if message.seq <= highest {
                faults.push((
                    Rule::Overtaken,
                    format!("{highest} was acked before {message:?}"),
                ));
            }
        }
    }

    /// I3, I4 and I5, on one connection.
    fn check_sight(
        &self,
        sight: &Sight,
        attempts: &HashMap<Key<'_>, Vec<&Attempt>>,
        faults: &mut Vec<Fault>,
    ) {
        let (mut last, mut seen) = (sight.after, BTreeSet::new());
        for message in &sight.shown {
            let before = last;
            let case = || format!("{} after {before}: {message:?}", sight.observer);
            if !seen.insert(message.seq) {
                faults.push((Rule::Double, case()));
            } else if message.seq <= last {
                faults.push((Rule::Order, case()));
            } else if message.seq > last + 1 {
                faults.push((Rule::Gap, case()));
            }
            last = last.max(message.seq);
            let stored = self
                .stored(&sight.room)
                .iter()
                .find(|m| m.seq == message.seq);
            if stored != Some(message) {
                let rule = unfounded(&sight.room, message, attempts).unwrap_or(Rule::Disagreement);
                faults.push((rule, format!("{}, stored is {stored:?}", case())));
            }
        }
    }

    /// Every observer has everything that came after he came.
    fn check_end(&self, faults: &mut Vec<Fault>) {
        let mut observers: BTreeMap<(&str, &str), (i64, BTreeSet<i64>)> = BTreeMap::new();
        for sight in &self.sights {
            let (from, seen) = observers
                .entry((&sight.observer, &sight.room))
                .or_insert((i64::MAX, BTreeSet::new()));
            *from = sight.after.min(*from);
            seen.extend(sight.shown.iter().map(|message| message.seq));
        }
        for ((observer, room), (from, seen)) in observers {
            let stored = self.stored(room).iter().map(|message| message.seq);
            let missing: Vec<_> = stored
                .filter(|seq| *seq > from && !seen.contains(seq))
                .collect();
            if !missing.is_empty() {
                faults.push((Rule::Missing, format!("{observer} lacks {missing:?}")));
            }
        }
    }
}

fn key(attempt: &Attempt) -> Key<'_> {
    (&attempt.room, attempt.user, &attempt.nonce)
}

/// Why this message should not be there at all, if it should not.
fn unfounded(
    room: &str,
    message: &Shown,
    attempts: &HashMap<Key<'_>, Vec<&Attempt>>,
) -> Option<Rule> {
    let Some(attempts) = attempts.get(&(room, message.user, message.nonce.as_str())) else {
        return Some(Rule::Phantom);
    };
    let mut said = attempts
        .iter()
        .filter(|attempt| attempt.text == message.text)
        .peekable();
    if said.peek().is_none() {
        return Some(Rule::Phantom);
    }
    said.all(|attempt| attempt.answer == Answer::Refused)
        .then_some(Rule::RefusedSeen)
}

/// I2, I3 and I4, in the store.
fn check_stored(
    room: &str,
    stored: &[Shown],
    attempts: &HashMap<Key<'_>, Vec<&Attempt>>,
    faults: &mut Vec<Fault>,
) {
    let mut nonces = BTreeSet::new();
    for (number, message) in (1..).zip(stored) {
        if (message.seq, message.id) != (number, number) {
            faults.push((Rule::Gap, format!("{number} is stored as {message:?}")));
        }
        if !nonces.insert((message.user, &message.nonce)) {
            faults.push((Rule::StoredTwice, format!("{message:?}")));
        }
        if let Some(rule) = unfounded(room, message, attempts) {
            faults.push((rule, format!("stored: {message:?}")));
        }
    }
}
