//! Storing messages from many tasks and two processes' worth of connections at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{at, message, on_both, with_nonce};
use crate::model::{Message, RoomId};
use crate::store::Appended;

fn check_numbers(messages: &[Message], count: i64) {
    let seqs: Vec<_> = messages.iter().map(|message| message.seq.0).collect();
    let ids: Vec<_> = messages.iter().map(|message| message.id.0).collect();
    let expected: Vec<_> = (1..=count).collect();
    assert_eq!(seqs, expected);
    assert_eq!(ids, expected);
}

on_both! {
    async fn eight_tasks_that_write_to_three_rooms_leave_no_gap_and_no_double(db) {
        let ann = db.user("ann").await;
        let rooms = [db.room("a", &ann).await, db.room("b", &ann).await, db.room("c", &ann).await];
        let stores = [db.store.clone(), db.open().await];
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let (store, ann) = (stores[task % 2].clone(), ann.clone());
            tasks.spawn(async move {
                let mut told = Vec::new();
                for step in 0..10 {
                    // Each task names the rooms in another order.
                    let batch: Vec<_> = (0..6)
                        .map(|n| (rooms[(n + task) % 3], format!("{task} {step} {n}")))
                        .map(|(room, text)| with_nonce(room, &ann, &text, &text))
                        .collect();
                    told.extend(store.append(&batch, at(0)).await.expect("an append"));
                }
                told
            });
        }
        let mut told: BTreeMap<RoomId, Vec<Message>> = BTreeMap::new();
        for answer in tasks.join_all().await.into_iter().flatten() {
            let Appended::Stored(message) = answer else { panic!("{answer:?}") };
            told.entry(message.room_id).or_default().push(Arc::unwrap_or_clone(message));
        }
        for room in rooms {
            let mut told = told.remove(&room).expect("messages");
            told.sort_unstable_by_key(|message| message.seq);
            check_numbers(&told, 160);
            assert_eq!(db.all(room).await, told, "what was answered is what is stored");
        }
    }

    async fn a_nonce_makes_one_message_however_many_bring_it_at_once(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let stores = [db.store.clone(), db.open().await];
        let mut tasks = JoinSet::new();
        for task in 0..16 {
            let (store, ann) = (stores[task % 2].clone(), ann.clone());
            tasks.spawn(async move {
                let batch: Vec<_> = (0..5)
                    .map(|n| with_nonce(room, &ann, &format!("{task}"), &n.to_string()))
                    .collect();
                store.append(&batch, at(0)).await.expect("an append")
            });
        }
        let (mut new, mut answered) = (0, BTreeSet::new());
        for answer in tasks.join_all().await.into_iter().flatten() {
            let message = match answer {
                Appended::Stored(message) => {
                    new += 1;
                    message
                }
                Appended::Repeated(message) => message,
                refused => panic!("{refused:?}"),
            };
            let message = Arc::unwrap_or_clone(message);
            answered.insert((message.nonce, message.id, message.seq, message.body));
        }
        assert_eq!((new, answered.len()), (5, 5));
        check_numbers(&db.all(room).await, 5);
    }

    async fn a_room_that_is_deleted_meanwhile_keeps_no_message(db) {
        let ann = db.user("ann").await;
        let before = db.rows().await;
        let stores = [db.store.clone(), db.open().await];
        for round in 0..10 {
            let room = db.room("general", &ann).await;
            let mut tasks = JoinSet::new();
            for task in 0..4 {
                let (store, ann) = (stores[task % 2].clone(), ann.clone());
                tasks.spawn(async move {
                    // Until the room is gone.
                    for count in 0.. {
                        let batch = [message(room, &ann, "x"), message(room, &ann, "y")];
                        match &store.append(&batch, at(0)).await.expect("an append")[..] {
                            [Appended::Stored(_), Appended::Stored(_)] => {}
                            [Appended::NoRoom, Appended::NoRoom] => return count,
                            other => panic!("{other:?}"),
                        }
                    }
                    unreachable!("it counts for ever");
                });
            }
            while db.store.heads(&[room]).await.expect("heads")[0].1.0 < round {}
            assert!(stores[1].delete_room(room).await.expect("a delete"));
            tasks.join_all().await;
            assert_eq!(db.rows().await, before, "round {round}");
        }
    }

    async fn a_room_that_is_joined_while_it_is_deleted_keeps_no_member(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let before = db.rows().await;
        let elsewhere = db.open().await;
        for _ in 0..10 {
            let room = db.room("general", &ann).await;
            let joining = {
                let store = elsewhere.clone();
                tokio::spawn(async move { store.join(room, bob.id, at(0)).await })
            };
            assert!(db.store.delete_room(room).await.expect("a delete"));
            let joined = joining.await.expect("no panic").expect("an answer");
            assert_ne!(joined, Some(false));
            assert_eq!(db.rows().await, before);
        }
    }
}
