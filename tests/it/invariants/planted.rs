//! Proves the checker: it finds nothing wrong with a clean history, and each planted fault.

use super::checker::{Answer, Attempt, History, Rule, Shown, Sight};

/// A change that breaks a promise, and the rule that has to notice.
type Plant = (Rule, &'static str, fn(&mut History));

const PLANTED: &[Plant] = &[
    (Rule::Lost, "an acked message is not stored", |history| {
        let last = history
            .stored
            .get_mut("a")
            .expect("a")
            .pop()
            .expect("a message");
        history
            .sights
            .iter_mut()
            .for_each(|sight| sight.shown.retain(|m| m.seq < last.seq));
    }),
    (
        Rule::Lost,
        "an acked message is stored with another text",
        |history| {
            "other".clone_into(&mut stored(history, 3).text);
        },
    ),
    (
        Rule::Lost,
        "an ack names a number that another message has",
        |history| {
            if let Answer::Acked { seq, .. } = &mut history.attempts[2].answer {
                *seq += 1;
            }
        },
    ),
    (
        Rule::StoredTwice,
        "a retry made a second message",
        |history| {
            "n2".clone_into(&mut stored(history, 5).nonce);
            stored(history, 5).user = 2;
        },
    ),
    (
        Rule::AcksDiffer,
        "a retry was acked as another message",
        |history| {
            let mut retry = history.attempts[2].clone();
            retry.answer = acked(99, 4, true);
            history.attempts.push(retry);
        },
    ),
    (Rule::Unmarked, "a retry was acked as new", |history| {
        let mut retry = history.attempts[2].clone();
        retry.answer = acked(99, 3, false);
        history.attempts.push(retry);
    }),
    (
        Rule::Unmarked,
        "a first attempt was acked as a retry",
        |history| {
            history.attempts[2].answer = acked(99, 3, true);
        },
    ),
    (
        Rule::Phantom,
        "something is stored that nobody said",
        |history| {
            history
                .stored
                .get_mut("a")
                .expect("a")
                .push(shown(7, 1, "invented"));
        },
    ),
    (
        Rule::Phantom,
        "something is shown that nobody said",
        |history| {
            history.sights[0].shown.push(shown(7, 1, "invented"));
        },
    ),
    (
        Rule::RefusedSeen,
        "something refused is stored",
        |history| {
            history.attempts[4].answer = Answer::Refused;
        },
    ),
    (Rule::RefusedSeen, "something refused is shown", |history| {
        history
            .attempts
            .push(attempt(90, 3, "refused", Answer::Refused));
        history.sights[0].shown.push(shown(7, 3, "refused"));
    }),
    (Rule::Gap, "a number is left out in the store", |history| {
        for message in history.stored.get_mut("a").expect("a").iter_mut().skip(3) {
            message.seq += 1;
        }
    }),
    (
        Rule::Gap,
        "the ids have a gap though the changes have none",
        |history| {
            stored(history, 6).id += 1;
        },
    ),
    (
        Rule::Gap,
        "a message is skipped on a connection",
        |history| {
            history.sights[0].shown.remove(3);
        },
    ),
    (
        Rule::Gap,
        "a resumed connection begins too late",
        |history| {
            history.sights[2].shown.remove(0);
        },
    ),
    (
        Rule::Order,
        "two messages are swapped on a connection",
        |history| {
            history.sights[0].shown.swap(2, 3);
        },
    ),
    (
        Rule::Order,
        "a resumed connection begins too early",
        |history| {
            history.sights[2].shown.insert(0, shown(2, 2, "n2"));
        },
    ),
    (Rule::Double, "a message comes twice in a row", |history| {
        let message = history.sights[0].shown[3].clone();
        history.sights[0].shown.insert(3, message);
    }),
    (Rule::Double, "a message comes again later", |history| {
        let message = history.sights[0].shown[1].clone();
        history.sights[0].shown.push(message);
    }),
    (
        Rule::Disagreement,
        "two observers were shown different orders",
        |history| {
            let shown = &mut history.sights[0].shown;
            shown.swap(2, 3);
            (shown[2].seq, shown[3].seq) = (3, 4);
            (shown[2].id, shown[3].id) = (3, 4);
        },
    ),
    (
        Rule::Overtaken,
        "what was said later came first",
        |history| {
            // The last was acked before the first was said.
            if let Answer::Acked { at, .. } = &mut history.attempts[5].answer {
                *at = 1;
            }
            history.attempts[0].sent = 2;
        },
    ),
    (
        Rule::Missing,
        "an observer lacks the last message",
        |history| {
            history.sights[0].shown.pop();
        },
    ),
    (
        Rule::Missing,
        "an observer lacks what was said while he was away",
        |history| {
            history.sights[2].shown.clear();
        },
    ),
];

fn shown(seq: i64, user: i64, nonce: &str) -> Shown {
    Shown {
        seq,
        id: seq,
        user,
        nonce: nonce.to_owned(),
        text: format!("text of {nonce}"),
    }
}

fn attempt(sent: u64, user: i64, nonce: &str, answer: Answer) -> Attempt {
    Attempt {
        room: "a".to_owned(),
        user,
        nonce: nonce.to_owned(),
        text: format!("text of {nonce}"),
        sent,
        answer,
    }
}

fn acked(at: u64, seq: i64, duplicate: bool) -> Answer {
    Answer::Acked {
        at,
        seq,
        id: seq,
        duplicate,
    }
}

fn sight(observer: &str, after: i64, shown: &[Shown]) -> Sight {
    Sight {
        observer: observer.to_owned(),
        room: "a".to_owned(),
        after,
        shown: shown.to_vec(),
    }
}

fn stored(history: &mut History, seq: usize) -> &mut Shown {
    &mut history.stored.get_mut("a").expect("a")[seq - 1]
}

/// Six messages of two users, one after the other; one observer who stayed, one who came back, and
/// one who came late.
fn clean() -> History {
    let users = [1, 2, 2, 1, 1, 2];
    let mut history = History::default();
    let mut all = Vec::new();
    for (seq, user) in (1..).zip(users) {
        let clock = 10 * u64::try_from(seq).expect("small");
        let message = shown(seq, user, &format!("n{seq}"));
        let answer = acked(clock + 5, seq, false);
        history
            .attempts
            .push(attempt(clock, user, &message.nonce, answer));
        all.push(message);
    }
    history.sights = vec![
        sight("stayed", 0, &all),
        sight("came back", 0, &all[..2]),
        sight("came back", 2, &all[2..]),
        sight("late", 4, &all[4..]),
    ];
    history.stored.insert("a".to_owned(), all);
    history
}

#[test]
fn a_clean_history_has_no_faults() {
    assert_eq!(clean().faults(), []);
    assert_eq!(History::default().faults(), []);
}

#[test]
fn what_may_happen_is_no_fault() {
    let mut history = clean();
    // Retries that were answered as such, one of them before the answer to the first attempt came,
    // and one of something whose first answer was lost.
    let retry = |of: usize, answer| Attempt {
        answer,
        sent: 100,
        ..history.attempts[of].clone()
    };
    let retries = [
        retry(2, acked(101, 3, true)),
        retry(2, acked(102, 3, true)),
        retry(4, acked(103, 5, true)),
        retry(5, Answer::Unknown),
    ];
    history.attempts[4].answer = Answer::Unknown;
    history.attempts.extend(retries);
    // Something refused, something of which nobody knows, and the same nonce of somebody else.
    history
        .attempts
        .push(attempt(110, 1, "refused", Answer::Refused));
    history
        .attempts
        .push(attempt(110, 1, "unknown", Answer::Unknown));
    history
        .attempts
        .push(attempt(110, 9, "n3", Answer::Refused));
    // Whoever hands in one after the other without waiting may be acked in any order.
    history.attempts[1].sent = 11;
    assert_eq!(history.faults(), []);
}

#[test]
fn each_planted_fault_is_found() {
    for (rule, what, plant) in PLANTED {
        let mut history = clean();
        plant(&mut history);
        let faults = history.faults();
        let found = faults.iter().any(|(found, _)| found == rule);
        assert!(found, "{what}: {rule:?} is not in {faults:?}");
    }
}
