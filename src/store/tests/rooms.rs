//! Rooms and who is in them.

use tokio::task::JoinSet;

use super::{Database, at, on_both, room_name};
use crate::model::{MessageId, Role, Room, RoomId, Seq, SessionId, User, UserId};

async fn seen(db: &Database, room: RoomId, by: Option<&User>) -> Room {
    let room = db.store.room(room, by.map(|user| user.id)).await;
    room.expect("a select").expect("a room")
}

fn names(rooms: &[Room]) -> Vec<&str> {
    rooms.iter().map(|room| room.name.as_str()).collect()
}

on_both! {
    async fn a_new_room_is_its_owners_and_empty(db) {
        let ann = db.user("ann").await;
        let id = RoomId::random();
        let made = db.store.insert_room(id, &room_name("General ☕"), ann.id, at(7)).await;
        assert!(made.expect("an insert"));
        let room = Room {
            id,
            name: "General ☕".to_owned(),
            created_by: (ann.id, "ann".to_owned()),
            created_at: at(7),
            last_seq: Seq(0),
            last_id: MessageId(0),
            role: Some(Role::Owner),
        };
        assert_eq!(seen(&db, id, Some(&ann)).await, room);
        let by_name = db.store.room_by_name("general ☕", Some(ann.id)).await;
        assert_eq!(by_name.expect("a select"), Some(room));
    }

    async fn a_name_is_taken_in_every_spelling(db) {
        let ann = db.user("ann").await;
        db.room("General", &ann).await;
        for name in ["General", "GENERAL", "ｇｅｎｅｒａｌ", "gene\u{200b}ral"] {
            let name = room_name(name);
            let made = db.store.insert_room(RoomId::random(), &name, ann.id, at(0));
            assert!(!made.await.expect("an answer"), "{name:?}");
        }
        assert_eq!(db.rows().await[2..4], [1, 1], "a room and a member");
    }

    async fn of_twenty_who_want_one_name_at_once_one_gets_it(db) {
        let ann = db.user("ann").await;
        let elsewhere = db.open().await;
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let store = if n % 2 == 0 { &db.store } else { &elsewhere }.clone();
            let owner = ann.id;
            tasks.spawn(async move {
                let (id, name) = (RoomId::random(), room_name("general"));
                store.insert_room(id, &name, owner, at(0)).await.expect("an answer")
            });
        }
        let made = tasks.join_all().await;
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        assert_eq!(db.rows().await[2..4], [1, 1]);
    }

    async fn a_room_without_an_owner_is_not_made(db) {
        let name = room_name("x");
        let made = db.store.insert_room(RoomId::random(), &name, UserId(4711), at(0));
        made.await.expect_err("there is no such user");
        assert_eq!(db.rows().await[2..4], [0, 0]);
    }

    async fn everyone_sees_a_room_with_his_own_role(db) {
        let (ann, bob, eve) = (db.user("ann").await, db.user("bob").await, db.user("eve").await);
        let id = db.room("general", &ann).await;
        assert_eq!(db.store.join(id, bob.id, at(1)).await.expect("an insert"), Some(true));
        for (who, role) in [
            (Some(&ann), Some(Role::Owner)),
            (Some(&bob), Some(Role::Member)),
            (Some(&eve), None),
            (None, None),
        ] {
            assert_eq!(seen(&db, id, who).await.role, role);
            let by_name = db.store.room_by_name("general", who.map(|user| user.id)).await;
            assert_eq!(by_name.expect("a select").expect("a room").role, role);
        }
    }

    async fn a_room_that_is_not_there_is_not_found(db) {
        let ann = db.user("ann").await;
        db.room("General", &ann).await;
        let room = db.store.room(RoomId::random(), Some(ann.id)).await.expect("a select");
        assert_eq!(room, None);
        for key in ["General", "gener", ""] {
            assert_eq!(db.store.room_by_name(key, None).await.expect("a select"), None, "{key}");
        }
    }

    async fn a_user_joins_once_and_keeps_his_role(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let id = db.room("general", &ann).await;
        assert_eq!(db.store.join(id, bob.id, at(1)).await.expect("an insert"), Some(true));
        assert_eq!(db.store.join(id, bob.id, at(2)).await.expect("an insert"), Some(false));
        assert_eq!(db.store.join(id, ann.id, at(2)).await.expect("an insert"), Some(false));
        assert_eq!(seen(&db, id, Some(&ann)).await.role, Some(Role::Owner));
        let members = db.store.members_of(id, UserId(0), 10).await.expect("members");
        assert_eq!(members[1].joined_at, at(1), "joining again changes nothing");
        let gone = db.store.join(RoomId::random(), bob.id, at(1)).await.expect("an answer");
        assert_eq!(gone, None);
    }

    async fn of_twenty_joins_at_once_one_is_new(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let id = db.room("general", &ann).await;
        let elsewhere = db.open().await;
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let store = if n % 2 == 0 { &db.store } else { &elsewhere }.clone();
            let bob = bob.id;
            tasks.spawn(async move { store.join(id, bob, at(n)).await.expect("an answer") });
        }
        let answers = tasks.join_all().await;
        assert_eq!(answers.iter().filter(|answer| **answer == Some(true)).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Some(false)).count(), 19);
    }

    async fn the_rooms_of_a_user_come_in_the_order_he_joined_page_by_page(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let mut ids = Vec::new();
        for name in ["d", "b", "e", "a", "c"] {
            ids.push(db.room(name, &ann).await);
        }
        // The third and the fourth at the same moment: their ids decide.
        for (n, id) in ids.iter().enumerate() {
            let when = at([10, 20, 30, 30, 40][n]);
            db.store.join(*id, bob.id, when).await.expect("an insert");
        }
        let mut expected = ids.clone();
        expected[2..4].sort_unstable();
        let list = async |who: &User, after, limit| -> Vec<RoomId> {
            let rooms = db.store.rooms_of(who.id, after, limit).await.expect("rooms");
            rooms.iter().map(|room| room.id).collect()
        };
        assert_eq!(list(&bob, None, 10).await, expected);
        for n in 0..5 {
            let after = Some(expected[n]);
            assert_eq!(list(&bob, after, 10).await, expected[n + 1..], "after {n}");
        }
        assert_eq!(list(&bob, Some(expected[2]), 1).await, expected[3..4]);
        let rooms = db.store.rooms_of(bob.id, None, 10).await.expect("rooms");
        assert!(rooms.iter().all(|room| room.role == Some(Role::Member)));
        assert!(rooms.iter().all(|room| room.created_by == (ann.id, "ann".to_owned())));
        assert_eq!(list(&db.user("eve").await, None, 10).await, []);
        // Whoever is not in the room that he names as the last one gets nothing.
        assert_eq!(list(&bob, Some(RoomId::random()), 10).await, []);
    }

    async fn all_rooms_come_by_folded_name_page_by_page(db) {
        let ann = db.user("ann").await;
        for name in ["delta", "Bravo", "charlie", "ALPHA"] {
            db.room(name, &ann).await;
        }
        let rooms = db.store.all_rooms("", 10).await.expect("rooms");
        assert_eq!(names(&rooms), ["ALPHA", "Bravo", "charlie", "delta"]);
        assert!(rooms.iter().all(|room| room.role.is_none()));
        assert_eq!(names(&db.store.all_rooms("", 2).await.expect("rooms")), ["ALPHA", "Bravo"]);
        let rest = db.store.all_rooms("bravo", 10).await.expect("rooms");
        assert_eq!(names(&rest), ["charlie", "delta"]);
        assert_eq!(names(&db.store.all_rooms("delta", 10).await.expect("rooms")), [""; 0]);
    }

    async fn names_sort_in_the_same_order_on_both_databases(db) {
        let ann = db.user("ann").await;
        let expected = ["1", "a b", "a-b", "a_b", "ab", "é", "ж", "中", "🎉"];
        for name in ["🎉", "é", "a_b", "中", "ab", "1", "a-b", "ж", "a b"] {
            db.room(name, &ann).await;
        }
        let rooms = db.store.all_rooms("", 100).await.expect("rooms");
        assert_eq!(names(&rooms), expected);
        let rest = db.store.all_rooms("ab", 100).await.expect("rooms");
        assert_eq!(names(&rest), expected[5..]);
    }

    async fn a_deleted_room_leaves_nothing_behind(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let session = db.store.insert_session(SessionId::random(), ann.id, [1; 32], at(0), at(9));
        session.await.expect("a session");
        let kept = db.room("kept", &ann).await;
        db.say(kept, &ann, &["stays"]).await;
        let before = db.rows().await;

        let id = db.room("general", &ann).await;
        db.store.join(id, bob.id, at(1)).await.expect("an insert");
        db.say(id, &ann, &["one", "two"]).await;
        db.say(id, &bob, &["three"]).await;
        assert_ne!(db.rows().await, before);
        assert!(db.store.delete_room(id).await.expect("a delete"));
        assert_eq!(db.rows().await, before);
        assert_eq!(db.store.room(id, None).await.expect("a select"), None);
        assert_eq!(db.all(id).await, []);
        assert_eq!(db.all(kept).await.len(), 1);

        assert!(!db.store.delete_room(id).await.expect("a delete"));
        assert!(!db.store.delete_room(RoomId::random()).await.expect("a delete"));
        assert_eq!(db.rows().await, before);
        db.room("general", &bob).await;
    }

    async fn members_come_by_id_page_by_page(db) {
        let ann = db.user("ann").await;
        let id = db.room("general", &ann).await;
        let elsewhere = db.room("elsewhere", &ann).await;
        let mut users = vec![ann];
        for name in ["zoe", "bob", "mia"] {
            let user = db.user(name).await;
            db.store.join(id, user.id, at(5)).await.expect("an insert");
            users.push(user);
        }
        let eve = db.user("eve").await;
        db.store.join(elsewhere, eve.id, at(5)).await.expect("an insert");
        let members = db.store.members_of(id, UserId(0), 100).await.expect("members");
        let of: Vec<&User> = members.iter().map(|member| &member.user).collect();
        assert_eq!(of, users.iter().collect::<Vec<_>>());
        assert_eq!((members[0].role, members[0].joined_at), (Role::Owner, at(0)));
        assert_eq!((members[1].role, members[1].joined_at), (Role::Member, at(5)));
        let page = db.store.members_of(id, users[1].id, 1).await.expect("members");
        assert_eq!(page, members[2..3]);
        assert_eq!(db.store.members_of(id, users[3].id, 9).await.expect("members"), []);
        let nobody = db.store.members_of(RoomId::random(), UserId(0), 9).await;
        assert_eq!(nobody.expect("members"), []);
    }
}
