//! The change of refresh tokens: all five outcomes, and what happens when many ask at once.

use chrono::Duration;
use tokio::task::JoinSet;

use super::{Database, at, on_both};
use crate::model::{Instant, SessionId, User};
use crate::store::{Exchange, Rotation};

/// For how long the tests forgive a token that has been changed.
const GRACE: i64 = 30;

fn exchange(session: SessionId, shown: u8, next: u8, now: Instant) -> Exchange {
    Exchange {
        session,
        shown: [shown; 32],
        next: [next; 32],
        // Whoever opens it learns which token took the place of which.
        sealed: [shown ^ next; 32],
        now,
        expires_at: now + Duration::seconds(1000),
        grace: Duration::seconds(GRACE),
    }
}

/// A session whose token is 1, good for 100 s.
async fn begin(db: &Database) -> (User, SessionId) {
    let (ann, id) = (db.user("ann").await, SessionId::random());
    let begun = db.store.insert_session(id, ann.id, [1; 32], at(0), at(100));
    begun.await.expect("a session");
    (ann, id)
}

async fn rotate(db: &Database, exchange: &Exchange) -> Rotation {
    db.store.rotate(exchange).await.expect("an answer")
}

on_both! {
    async fn the_token_in_force_is_changed_and_the_session_lasts_longer(db) {
        let (ann, session) = begin(&db).await;
        for (shown, next) in [(1, 2), (2, 3)] {
            let now = at(i64::from(shown) * 50);
            let done = rotate(&db, &exchange(session, shown, next, now)).await;
            assert!(matches!(&done, Rotation::Done(user) if *user == ann), "{done:?}");
        }
        let late = db.store.session_user(session, at(1099)).await.expect("a select");
        assert_eq!(late, Some(ann));
        assert_eq!(db.store.session_user(session, at(1100)).await.expect("a select"), None);
    }

    async fn the_token_before_yields_the_same_successor_while_it_is_young(db) {
        let (ann, session) = begin(&db).await;
        rotate(&db, &exchange(session, 1, 2, at(10))).await;
        for now in [10, 11, 10 + GRACE] {
            match rotate(&db, &exchange(session, 1, 9, at(now))).await {
                Rotation::Repeated { user, sealed, expires_at } => {
                    assert_eq!(user, ann);
                    assert_eq!(sealed, [1 ^ 2; 32]);
                    assert_eq!(expires_at, at(1010), "asking again makes it last no longer");
                }
                other => panic!("{other:?}"),
            }
        }
        let done = rotate(&db, &exchange(session, 2, 3, at(50))).await;
        assert!(matches!(done, Rotation::Done(_)), "{done:?}");
    }

    async fn a_used_token_ends_the_session_when_it_comes_back_late(db) {
        let (ann, session) = begin(&db).await;
        rotate(&db, &exchange(session, 1, 2, at(10))).await;
        let reused = rotate(&db, &exchange(session, 1, 9, at(11 + GRACE))).await;
        assert!(matches!(reused, Rotation::Reused(user) if user == ann.id), "{reused:?}");
        assert_eq!(db.rows().await[1], 0);
        let gone = rotate(&db, &exchange(session, 2, 3, at(11 + GRACE))).await;
        assert!(matches!(gone, Rotation::Gone), "{gone:?}");
    }

    async fn the_token_before_the_last_ends_the_session_however_young(db) {
        let (_, session) = begin(&db).await;
        rotate(&db, &exchange(session, 1, 2, at(10))).await;
        rotate(&db, &exchange(session, 2, 3, at(11))).await;
        let reused = rotate(&db, &exchange(session, 1, 9, at(11))).await;
        assert!(matches!(reused, Rotation::Reused(_)), "{reused:?}");
        assert_eq!(db.rows().await[1], 0);
    }

    async fn a_token_that_never_was_ends_the_session_it_names_and_no_other(db) {
        let (ann, session) = begin(&db).await;
        let other = SessionId::random();
        let begun = db.store.insert_session(other, ann.id, [1; 32], at(0), at(100));
        begun.await.expect("a session");
        let reused = rotate(&db, &exchange(session, 77, 9, at(1))).await;
        assert!(matches!(reused, Rotation::Reused(_)), "{reused:?}");
        assert_eq!(db.store.session_user(session, at(1)).await.expect("a select"), None);
        assert_eq!(db.store.session_user(other, at(1)).await.expect("a select"), Some(ann));
    }

    async fn a_session_that_is_over_has_no_successor(db) {
        let (ann, session) = begin(&db).await;
        let stranger = rotate(&db, &exchange(SessionId::random(), 1, 2, at(1))).await;
        assert!(matches!(stranger, Rotation::Gone), "{stranger:?}");
        let expired = rotate(&db, &exchange(session, 1, 2, at(100))).await;
        assert!(matches!(expired, Rotation::Gone), "{expired:?}");

        // Nothing of that has used the token up.
        let id = ann.id;
        db.sql(&format!("update users set is_active = (1 = 0) where id = {id}")).await;
        let barred = rotate(&db, &exchange(session, 1, 2, at(1))).await;
        assert!(matches!(barred, Rotation::Gone), "{barred:?}");
        db.sql(&format!("update users set is_active = (1 = 1) where id = {id}")).await;
        let done = rotate(&db, &exchange(session, 1, 2, at(1))).await;
        assert!(matches!(done, Rotation::Done(_)), "{done:?}");
    }

    async fn of_twenty_who_show_the_same_token_at_once_one_changes_it(db) {
        let ann = db.user("ann").await;
        let elsewhere = db.open().await;
        for _ in 0..5 {
            let session = SessionId::random();
            let begun = db.store.insert_session(session, ann.id, [1; 32], at(0), at(100));
            begun.await.expect("a session");
            let mut tasks = JoinSet::new();
            for next in 100..120 {
                let store = if next % 2 == 0 { &db.store } else { &elsewhere }.clone();
                let exchange = exchange(session, 1, next, at(10));
                tasks.spawn(async move { (next, store.rotate(&exchange).await.expect("an answer")) });
            }
            let (mut winners, mut opened) = (Vec::new(), Vec::new());
            for (next, rotation) in tasks.join_all().await {
                match rotation {
                    Rotation::Done(_) => winners.push(next),
                    Rotation::Repeated { sealed, .. } => opened.push(sealed[0] ^ 1),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(winners.len(), 1, "{winners:?}");
            assert_eq!(opened, [winners[0]; 19]);
            let done = rotate(&db, &exchange(session, winners[0], 9, at(11))).await;
            assert!(matches!(done, Rotation::Done(_)), "{done:?}");
        }
    }
}
