//! Reading messages: each point, its limit, and the head that bounds it.

use super::{Database, at, on_both, room_name};
use crate::model::{Message, MessageId, Point, RoomId, Seq, User};

/// A room whose messages 1 to 10 were said with other rooms' in between.
async fn ten(db: &Database) -> (User, RoomId) {
    let ann = db.user("ann").await;
    let room = db.room("general", &ann).await;
    let other = db.room("other", &ann).await;
    for n in 1..=10 {
        db.say(other, &ann, &["elsewhere"]).await;
        db.say(room, &ann, &[&n.to_string()]).await;
    }
    (ann, room)
}

async fn page(db: &Database, room: RoomId, point: Point, head: i64, limit: u32) -> Vec<i64> {
    let messages = db
        .store
        .messages(room, point, Seq(head), limit)
        .await
        .expect("messages");
    assert!(
        messages
            .iter()
            .all(|m| m.room_id == room && m.body == m.id.to_string())
    );
    messages.iter().map(|message| message.id.0).collect()
}

on_both! {
    async fn a_message_is_read_as_it_was_stored(db) {
        let ann = db.user("Ann").await;
        let room = db.room("general", &ann).await;
        let stored = db.say(room, &ann, &["hi 👋🏽"]).await;
        let expected = Message {
            room_id: room,
            id: MessageId(1),
            seq: Seq(1),
            user_id: ann.id,
            username: "Ann".to_owned(),
            email: "Ann@example.org".to_owned(),
            body: "hi 👋🏽".to_owned(),
            nonce: None,
            created_at: at(0),
        };
        assert_eq!(stored, [expected]);
        assert_eq!(db.all(room).await, stored);
    }

    async fn the_newest_come_oldest_first(db) {
        let (_, room) = ten(&db).await;
        assert_eq!(page(&db, room, Point::Newest, 10, 3).await, [8, 9, 10]);
        assert_eq!(page(&db, room, Point::Newest, 10, 100).await, (1..=10).collect::<Vec<_>>());
        assert_eq!(page(&db, room, Point::Newest, 7, 3).await, [5, 6, 7]);
        assert_eq!(page(&db, room, Point::Newest, 0, 3).await, [0; 0]);
    }

    async fn those_before_a_message_are_the_nearest_to_it(db) {
        let (_, room) = ten(&db).await;
        let before = |id| Point::Before(MessageId(id));
        assert_eq!(page(&db, room, before(5), 10, 3).await, [2, 3, 4]);
        assert_eq!(page(&db, room, before(3), 10, 3).await, [1, 2]);
        assert_eq!(page(&db, room, before(1), 10, 3).await, [0; 0]);
        assert_eq!(page(&db, room, before(99), 10, 2).await, [9, 10]);
        assert_eq!(page(&db, room, before(9), 4, 3).await, [2, 3, 4]);
        assert_eq!(page(&db, room, before(-1), 10, 3).await, [0; 0]);
    }

    async fn those_after_a_message_are_the_nearest_to_it(db) {
        let (_, room) = ten(&db).await;
        let after = |id| Point::After(MessageId(id));
        assert_eq!(page(&db, room, after(5), 10, 3).await, [6, 7, 8]);
        assert_eq!(page(&db, room, after(9), 10, 3).await, [10]);
        assert_eq!(page(&db, room, after(10), 10, 3).await, [0; 0]);
        assert_eq!(page(&db, room, after(5), 7, 3).await, [6, 7]);
        assert_eq!(page(&db, room, after(-5), 10, 2).await, [1, 2]);
        assert_eq!(page(&db, room, after(i64::MAX), 10, 2).await, [0; 0]);
    }

    async fn those_since_a_change_are_the_nearest_to_it(db) {
        let (_, room) = ten(&db).await;
        // The changes of a room and its messages need not have the same numbers.
        db.sql("update messages set seq = seq + 1000").await;
        let since = |seq| Point::Since(Seq(seq));
        assert_eq!(page(&db, room, since(0), 1010, 3).await, [1, 2, 3]);
        assert_eq!(page(&db, room, since(1005), 1010, 3).await, [6, 7, 8]);
        assert_eq!(page(&db, room, since(1005), 1007, 3).await, [6, 7]);
        assert_eq!(page(&db, room, since(1010), 1010, 3).await, [0; 0]);
        assert_eq!(page(&db, room, Point::After(MessageId(8)), 1009, 3).await, [9]);
    }

    async fn a_room_without_messages_has_none(db) {
        let (ann, _) = ten(&db).await;
        let empty = RoomId::random();
        let made = db.store.insert_room(empty, &room_name("empty"), ann.id, at(0)).await;
        assert!(made.expect("an insert"));
        for room in [empty, RoomId::random()] {
            for point in [Point::Newest, Point::Since(Seq(0)), Point::After(MessageId(0))] {
                assert_eq!(page(&db, room, point, i64::MAX, 10).await, [0; 0]);
            }
        }
    }
}
