//! Storing messages: how they are numbered, and which are refused or were said before.

use super::{at, message, on_both, stored, with_nonce};
use crate::model::{Message, MessageId, Nonce, RoomId, Seq};
use crate::store::Appended;

/// The numbers of messages: seq and id.
fn numbers(messages: &[Message]) -> Vec<(i64, i64)> {
    messages
        .iter()
        .map(|message| (message.seq.0, message.id.0))
        .collect()
}

on_both! {
    async fn messages_are_numbered_in_the_order_they_are_handed_in(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let room = db.room("general", &ann).await;
        db.store.join(room, bob.id, at(0)).await.expect("an insert");
        let mut told = db.say(room, &ann, &["a", "b"]).await;
        told.extend(db.say(room, &bob, &["c"]).await);
        told.extend(db.say(room, &ann, &["d", "e", "f"]).await);
        assert_eq!(numbers(&told), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)]);
        assert_eq!(db.all(room).await, told);
        let row = db.store.room(room, None).await.expect("a select").expect("a room");
        assert_eq!((row.last_seq, row.last_id), (Seq(6), MessageId(6)));
    }

    async fn seq_and_id_count_on_from_where_each_of_them_is(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        db.sql("update rooms set last_seq = 40, last_id = 7").await;
        let told = db.say(room, &ann, &["a", "b"]).await;
        assert_eq!(numbers(&told), [(41, 8), (42, 9)]);
    }

    async fn each_room_of_a_batch_counts_by_itself(db) {
        let ann = db.user("ann").await;
        let (one, two, three) =
            (db.room("one", &ann).await, db.room("two", &ann).await, db.room("three", &ann).await);
        db.say(two, &ann, &["earlier"]).await;
        let batch = [
            message(one, &ann, "1"),
            message(two, &ann, "2"),
            message(one, &ann, "3"),
            message(three, &ann, "4"),
            message(two, &ann, "5"),
        ];
        let answers = db.store.append(&batch, at(3)).await.expect("an append");
        let told: Vec<_> = answers.into_iter().map(stored).collect();
        assert_eq!(numbers(&told), [(1, 1), (2, 2), (2, 2), (1, 1), (3, 3)]);
        for (new, told) in batch.iter().zip(&told) {
            assert_eq!((told.room_id, told.body.as_str()), (new.room_id, new.body.as_str()));
            assert_eq!(told.created_at, at(3));
        }
        assert_eq!(numbers(&db.all(one).await), [(1, 1), (2, 2)]);
        assert_eq!(numbers(&db.all(two).await), [(1, 1), (2, 2), (3, 3)]);
    }

    async fn what_is_refused_uses_no_number(db) {
        let (ann, eve) = (db.user("ann").await, db.user("eve").await);
        let (room, hers) = (db.room("general", &ann).await, db.room("hers", &eve).await);
        let batch = [
            message(room, &ann, "1"),
            with_nonce(room, &eve, "a stranger", "n"),
            message(RoomId::random(), &ann, "nowhere"),
            message(hers, &eve, "2"),
            message(hers, &ann, "a stranger there"),
            message(room, &ann, "3"),
        ];
        let answers = db.store.append(&batch, at(0)).await.expect("an append");
        assert_eq!(answers[1], Appended::NotAMember);
        assert_eq!(answers[2], Appended::NoRoom);
        assert_eq!(answers[4], Appended::NotAMember);
        let told: Vec<_> = [0, 3, 5].map(|n| stored(answers[n].clone())).into();
        assert_eq!(numbers(&told), [(1, 1), (1, 1), (2, 2)]);
        assert_eq!(db.rows().await[4], 3);

        // Once she is in, the nonce of the refused attempt is still good.
        db.store.join(room, eve.id, at(0)).await.expect("an insert");
        let again = db.store.append(&batch[1..2], at(0)).await.expect("an append");
        assert_eq!(stored(again[0].clone()).seq, Seq(3));
    }

    async fn a_batch_of_refusals_writes_nothing(db) {
        let (ann, eve) = (db.user("ann").await, db.user("eve").await);
        let room = db.room("general", &ann).await;
        let batch = [message(room, &eve, "x"), message(RoomId::random(), &ann, "x")];
        let answers = db.store.append(&batch, at(0)).await.expect("an append");
        assert_eq!(answers, [Appended::NotAMember, Appended::NoRoom]);
        assert_eq!(db.store.append(&[], at(0)).await.expect("an append"), []);
        assert_eq!(db.rows().await[4], 0);
        assert_eq!(db.store.heads(&[room]).await.expect("heads"), [(room, Seq(0))]);
    }

    async fn a_nonce_makes_one_message_within_a_batch(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let batch = [
            with_nonce(room, &ann, "first", "n"),
            message(room, &ann, "between"),
            with_nonce(room, &ann, "second", "n"),
            with_nonce(room, &ann, "other", "N"),
        ];
        let answers = db.store.append(&batch, at(0)).await.expect("an append");
        let first = stored(answers[0].clone());
        assert_eq!(first.nonce.as_deref(), Some("n"));
        assert_eq!(answers[2], Appended::Repeated(first.into()));
        assert_eq!(stored(answers[3].clone()).seq, Seq(3));
        assert_eq!(db.rows().await[4], 3);
    }

    async fn a_nonce_makes_one_message_ever(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let said = [with_nonce(room, &ann, "first", "n-1"), with_nonce(room, &ann, "two", "n-2")];
        let first = db.store.append(&said, at(0)).await.expect("an append");
        db.say(room, &ann, &["later"]).await;
        let retry = [
            with_nonce(room, &ann, "changed", "n-1"),
            message(room, &ann, "new"),
            with_nonce(room, &ann, "two", "n-2"),
        ];
        for (store, seq) in [(db.store.clone(), 4), (db.open().await, 5)] {
            let answers = store.append(&retry, at(60)).await.expect("an append");
            assert_eq!(answers[0], Appended::Repeated(stored(first[0].clone()).into()));
            assert_eq!(stored(answers[1].clone()).seq, Seq(seq));
            assert_eq!(answers[2], Appended::Repeated(stored(first[1].clone()).into()));
        }
        // Nothing but repeats: nothing is written.
        let answers = db.store.append(&retry[..1], at(60)).await.expect("an append");
        assert_eq!(answers, [Appended::Repeated(stored(first[0].clone()).into())]);
        assert_eq!(numbers(&db.all(room).await), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    }

    async fn a_nonce_belongs_to_one_sender_in_one_room(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let (one, two) = (db.room("one", &ann).await, db.room("two", &ann).await);
        db.store.join(one, bob.id, at(0)).await.expect("an insert");
        let batch = [
            with_nonce(one, &ann, "a", "n"),
            with_nonce(one, &bob, "b", "n"),
            with_nonce(two, &ann, "c", "n"),
        ];
        for answers in [
            db.store.append(&batch, at(0)).await.expect("an append"),
            // A nonce that is no retry, next to one of its kind that is stored.
            db.store.append(&[with_nonce(two, &ann, "d", "m")], at(0)).await.expect("an append"),
        ] {
            for answer in answers {
                stored(answer);
            }
        }
        assert_eq!(db.rows().await[4], 4);
    }

    async fn messages_without_a_nonce_are_never_the_same(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        db.say(room, &ann, &["same", "same"]).await;
        db.say(room, &ann, &["same"]).await;
        assert_eq!(db.rows().await[4], 3);
    }

    async fn a_text_and_a_nonce_come_back_as_they_were(db) {
        let ann = db.user("ann").await;
        let room = db.room("general", &ann).await;
        let long = "ü".repeat(8 * 1024);
        let texts = [
            "null", "true", "123", "1e400", "[1]", "{\"a\":1}", "\"quoted\"", "it's", "a\\b",
            "a\nb\tc\r\n", " spaces ", "👩‍👩‍👧", "\u{fffd}\u{feff}", "$1 ? %s", "\u{10ffff}",
        ];
        let nonces = texts.map(|text| text.replace(char::is_control, "."));
        let mut batch: Vec<_> = texts
            .iter()
            .zip(&nonces)
            .map(|(text, nonce)| with_nonce(room, &ann, text, nonce))
            .collect();
        batch.push(message(room, &ann, &long));
        let answers = db.store.append(&batch, at(0)).await.expect("an append");
        let told: Vec<_> = answers.into_iter().map(stored).collect();
        for (new, told) in batch.iter().zip(&told) {
            assert_eq!(told.body, new.body.as_str());
            assert_eq!(told.nonce.as_deref(), new.nonce.as_ref().map(Nonce::as_str));
        }
        assert_eq!(db.all(room).await, told);
        let again = db.store.append(&batch[..texts.len()], at(1)).await.expect("an append");
        for (first, again) in told.into_iter().zip(again) {
            assert_eq!(again, Appended::Repeated(first.into()));
        }
    }

    async fn the_largest_batch_is_stored_whole(db) {
        let ann = db.user("ann").await;
        let (one, two) = (db.room("one", &ann).await, db.room("two", &ann).await);
        let body = "x".repeat(16 * 1024);
        let batch: Vec<_> = (0..512)
            .map(|n| with_nonce(if n % 2 == 0 { one } else { two }, &ann, &body, &n.to_string()))
            .collect();
        let answers = db.store.append(&batch, at(0)).await.expect("an append");
        assert_eq!(answers.len(), 512);
        let again = db.store.append(&batch, at(1)).await.expect("an append");
        for (first, again) in answers.into_iter().zip(again) {
            assert_eq!(again, Appended::Repeated(stored(first).into()));
        }
        let expected: Vec<_> = (1..=256).map(|n| (n, n)).collect();
        assert_eq!(numbers(&db.all(one).await), expected);
        assert_eq!(numbers(&db.all(two).await), expected);
    }
}
