//! What other processes did: heads, memberships, and SQLite's version.

use super::{at, on_both, room_name};
use crate::model::{MessageId, RoomId, Seq, UserId};

on_both! {
    async fn the_heads_of_rooms_are_their_newest_changes(db) {
        let ann = db.user("ann").await;
        let (one, two, gone) =
            (db.room("one", &ann).await, db.room("two", &ann).await, db.room("gone", &ann).await);
        db.say(one, &ann, &["a", "b"]).await;
        assert!(db.store.delete_room(gone).await.expect("a delete"));
        let asked = [two, gone, one, RoomId::random()];
        let mut heads = db.store.heads(&asked).await.expect("heads");
        heads.sort_by_key(|(_, seq)| *seq);
        assert_eq!(heads, [(two, Seq(0)), (one, Seq(2))]);
        assert_eq!(db.store.heads(&[]).await.expect("heads"), []);
    }

    async fn another_process_sees_the_same_heads(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let elsewhere = db.open().await;
        for n in 1..=5 {
            db.say(room, &ann, &["x"]).await;
            assert_eq!(elsewhere.heads(&[room]).await.expect("heads"), [(room, Seq(n))]);
        }
    }

    async fn of_many_memberships_those_that_are_left_are_told(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let (one, two) = (db.room("one", &ann).await, db.room("two", &bob).await);
        db.store.join(one, bob.id, at(0)).await.expect("an insert");
        let asked = [
            (two, ann.id),
            (one, bob.id),
            (RoomId::random(), ann.id),
            (one, UserId(4711)),
            (one, ann.id),
        ];
        let mut left = db.store.memberships(&asked).await.expect("a select");
        left.sort_unstable();
        let mut expected = [(one, ann.id), (one, bob.id)];
        expected.sort_unstable();
        assert_eq!(left, expected);

        db.sql(&format!("delete from members where user_id = {}", bob.id)).await;
        let left = db.store.memberships(&asked).await.expect("a select");
        assert_eq!(left, [(one, ann.id)]);
        assert_eq!(db.store.memberships(&[]).await.expect("a select"), []);
    }

    async fn the_rooms_of_many_users_come_in_the_order_joined(db) {
        let (ann, bob, eve) = (db.user("ann").await, db.user("bob").await, db.user("eve").await);
        let (one, two) = (db.room("one", &ann).await, db.room("two", &bob).await);
        db.store.join(two, ann.id, at(5)).await.expect("an insert");
        db.store.join(one, bob.id, at(-5)).await.expect("an insert");
        let of = async |users: &[UserId]| db.store.rooms_of_all(users).await.expect("a select");
        let expected = [(one, ann.id), (two, ann.id), (one, bob.id), (two, bob.id)];
        assert_eq!(of(&[bob.id, eve.id, UserId(4711), ann.id]).await, expected);
        assert_eq!(of(&[eve.id]).await, []);
        assert_eq!(of(&[]).await, []);
    }

    async fn the_head_of_a_room_is_its_newest_change_and_message(db) {
        let ann = db.user("ann").await;
        let room = db.room("one", &ann).await;
        let head = async |room| db.store.head(room).await.expect("a select");
        assert_eq!(head(room).await, Some((Seq(0), MessageId(0))));
        db.say(room, &ann, &["a", "b"]).await;
        assert_eq!(head(room).await, Some((Seq(2), MessageId(2))));
        assert_eq!(head(RoomId::random()).await, None);
    }

    async fn five_thousand_rooms_and_members_fit_into_one_question(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let mut rooms: Vec<_> = (0..5000).map(|_| RoomId::random()).collect();
        rooms[2345] = room;
        assert_eq!(db.store.heads(&rooms).await.expect("heads"), [(room, Seq(0))]);
        let pairs: Vec<_> = rooms.iter().map(|room| (*room, ann.id)).collect();
        assert_eq!(db.store.memberships(&pairs).await.expect("a select"), [(room, ann.id)]);
    }

    async fn the_version_changes_with_every_write_and_with_nothing_else(db) {
        let version = async || db.store.version().await.expect("a version");
        if db.store.is_shared() {
            assert_eq!(version().await, None, "PostgreSQL has no such number");
            return;
        }
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let elsewhere = db.open().await;
        let quiet = version().await;
        assert!(quiet.is_some());
        // Reading, here or there, and asking again.
        db.all(room).await;
        db.store.heads(&[room]).await.expect("heads");
        elsewhere.heads(&[room]).await.expect("heads");
        elsewhere.ping().await.expect("an answer");
        assert_eq!(version().await, quiet);
        // A write that changes nothing, and one that is rolled back.
        db.store.append(&[], at(0)).await.expect("an append");
        let name = room_name("general");
        let taken = db.store.insert_room(RoomId::random(), &name, ann.id, at(0));
        assert!(!taken.await.expect("an answer"));
        assert_eq!(version().await, quiet);

        db.say(room, &ann, &["here"]).await;
        let here = version().await;
        assert_ne!(here, quiet, "the writer is another connection than the watcher");
        elsewhere.delete_room(room).await.expect("a delete");
        assert_ne!(version().await, here);
    }
}
