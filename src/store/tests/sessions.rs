//! Sessions: who has one, until when, and which of many are in force.

use super::{Database, at, on_both};
use crate::model::{Role, RoomId, Seq, SessionId, User, UserId};
use crate::store::sessions::Standing;

/// A session that begins now and lasts so many seconds.
async fn begin(db: &Database, user: &User, seconds: i64) -> SessionId {
    let id = SessionId::random();
    let begun = db
        .store
        .insert_session(id, user.id, [1; 32], at(0), at(seconds));
    begun.await.expect("a session");
    id
}

async fn deactivate(db: &Database, user: &User) {
    let id = user.id;
    db.sql(&format!(
        "update users set is_active = (1 = 0) where id = {id}"
    ))
    .await;
}

on_both! {
    async fn a_session_names_its_user_until_it_expires(db) {
        let ann = db.user("ann").await;
        let session = begin(&db, &ann, 60).await;
        let user = async |now| db.store.session_user(session, at(now)).await.expect("a select");
        assert_eq!(user(0).await, Some(ann.clone()));
        assert_eq!(user(59).await, Some(ann));
        assert_eq!(user(60).await, None);
        let stranger = db.store.session_user(SessionId::random(), at(0)).await;
        assert_eq!(stranger.expect("a select"), None);
    }

    async fn one_look_tells_who_it_is_and_what_he_is_to_a_room(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let room = db.room("general", &ann).await;
        db.say(room, &ann, &["a", "b"]).await;
        let (hers, his) = (begin(&db, &ann, 60).await, begin(&db, &bob, 60).await);
        let look = async |session, room, now| {
            db.store.standing(session, room, at(now)).await.expect("a select")
        };
        let standing = |role| Some(Standing { last_seq: Seq(2), role });
        let owner = standing(Some(Role::Owner));
        assert_eq!(look(hers, room, 59).await, Some((ann.clone(), owner)));
        assert_eq!(look(his, room, 0).await, Some((bob.clone(), standing(None))));
        db.store.join(room, bob.id, at(0)).await.expect("an insert");
        let member = standing(Some(Role::Member));
        assert_eq!(look(his, room, 0).await, Some((bob, member)));
        assert_eq!(look(hers, RoomId::random(), 0).await, Some((ann.clone(), None)));
        assert_eq!(look(hers, room, 60).await, None);
        assert_eq!(look(SessionId::random(), room, 0).await, None);
        deactivate(&db, &ann).await;
        assert_eq!(look(hers, room, 0).await, None);
    }

    async fn a_deactivated_user_has_no_session_in_force(db) {
        let ann = db.user("ann").await;
        let session = begin(&db, &ann, 60).await;
        deactivate(&db, &ann).await;
        assert_eq!(db.store.session_user(session, at(0)).await.expect("a select"), None);
        let live = db.store.live_sessions(&[session], at(0)).await.expect("a select");
        assert_eq!(live, []);
    }

    async fn a_login_is_noted_with_its_user(db) {
        let ann = db.user("ann").await;
        db.user("bob").await;
        let noted = "select count(*) from users where last_login_at is not null";
        assert_eq!(db.count(noted).await, 0);
        begin(&db, &ann, 60).await;
        let noted = "select id from users where last_login_at is not null";
        assert_eq!(db.count(noted).await, ann.id.0);
    }

    async fn a_session_belongs_to_somebody_and_has_an_id_of_its_own(db) {
        let ann = db.user("ann").await;
        let session = begin(&db, &ann, 60).await;
        let again = db.store.insert_session(session, ann.id, [2; 32], at(0), at(60));
        assert!(!again.await.expect_err("the id is taken").is_passing());
        let nobody = db.store.insert_session(
            SessionId::random(), UserId(4711), [2; 32], at(0), at(60),
        );
        assert!(!nobody.await.expect_err("there is no such user").is_passing());
        assert_eq!(db.rows().await[1], 1);
    }

    async fn a_session_is_deleted_once(db) {
        let ann = db.user("ann").await;
        let one = begin(&db, &ann, 60).await;
        let other = begin(&db, &ann, 60).await;
        assert!(db.store.delete_session(one).await.expect("a delete"));
        assert!(!db.store.delete_session(one).await.expect("a delete"));
        assert_eq!(db.store.session_user(one, at(0)).await.expect("a select"), None);
        assert!(db.store.session_user(other, at(0)).await.expect("a select").is_some());
    }

    async fn sessions_that_have_run_out_are_forgotten_and_no_others(db) {
        let ann = db.user("ann").await;
        for seconds in [1, 2, 3] {
            begin(&db, &ann, seconds).await;
        }
        let left = begin(&db, &ann, 4).await;
        assert_eq!(db.store.delete_expired_sessions(at(0)).await.expect("a delete"), 0);
        assert_eq!(db.store.delete_expired_sessions(at(3)).await.expect("a delete"), 3);
        assert_eq!(db.rows().await[1], 1);
        assert!(db.store.session_user(left, at(3)).await.expect("a select").is_some());
    }

    async fn of_many_sessions_those_in_force_are_told(db) {
        let (ann, bob) = (db.user("ann").await, db.user("bob").await);
        let good = [begin(&db, &ann, 60).await, begin(&db, &ann, 60).await];
        let over = begin(&db, &ann, 30).await;
        let barred = begin(&db, &bob, 60).await;
        deactivate(&db, &bob).await;
        let unasked = begin(&db, &ann, 60).await;
        let asked = [over, good[0], SessionId::random(), barred, good[1]];
        let mut live = db.store.live_sessions(&asked, at(30)).await.expect("a select");
        live.sort_unstable();
        let mut expected = good;
        expected.sort_unstable();
        assert_eq!(live, expected);
        assert!(!live.contains(&unasked));
        assert_eq!(db.store.live_sessions(&[], at(0)).await.expect("a select"), []);
    }

    async fn five_thousand_sessions_fit_into_one_question(db) {
        let ann = db.user("ann").await;
        let session = begin(&db, &ann, 60).await;
        let mut asked: Vec<_> = (0..5000).map(|_| SessionId::random()).collect();
        asked[4321] = session;
        assert_eq!(db.store.live_sessions(&asked, at(0)).await.expect("a select"), [session]);
    }
}
