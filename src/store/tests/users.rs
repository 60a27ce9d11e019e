//! Users.

use tokio::task::JoinSet;

use super::{Database, at, new_user, on_both};
use crate::model::{Email, PersonName, SessionId, UserId, Username};
use crate::store::{NewUser, Taken};

fn named(username: &str, email: &str) -> NewUser {
    NewUser {
        username: Username::parse(username).expect("a username"),
        email: Email::parse(email).expect("an address"),
        ..new_user("x")
    }
}

/// The ids that a search finds.
async fn found(db: &Database, search: &str, by_email: bool) -> Vec<i64> {
    let users = db
        .store
        .active_users(None, search, by_email, UserId(0), 100);
    users
        .await
        .expect("users")
        .iter()
        .map(|user| user.id.0)
        .collect()
}

on_both! {
    async fn a_new_user_is_found_by_username_and_by_address_as_he_was_written(db) {
        let new = NewUser {
            username: Username::parse("Ann Ångström").expect("a username"),
            email: Email::parse("Ann@Example.org").expect("an address"),
            first_name: PersonName::parse("Ann").expect("a name"),
            last_name: PersonName::parse("O'Neil 张伟").expect("a name"),
            password_hash: "$argon2id$v=19$…".to_owned(),
            is_superuser: true,
            created_at: at(5),
        };
        let id = db.store.insert_user(&new).await.expect("an insert").expect("a new name");
        let by_name = db.store.account_by_username(&new.username.key()).await.expect("a select");
        let by_email = db.store.account_by_email("ann@example.org").await.expect("a select");
        for account in [by_name, by_email] {
            let account = account.expect("an account");
            assert_eq!(account.password_hash, "$argon2id$v=19$…");
            let user = account.user;
            assert_eq!((user.id, user.created_at), (id, at(5)));
            assert_eq!((user.username.as_str(), user.email.as_str()), ("Ann Ångström", "Ann@Example.org"));
            assert_eq!((user.first_name.as_str(), user.last_name.as_str()), ("Ann", "O'Neil 张伟"));
            assert!(user.is_active && user.is_superuser);
        }
        let plain = db.user("bob").await;
        assert!(plain.is_active && !plain.is_superuser);
        assert!(plain.id > id, "ids count up");
    }

    async fn an_account_is_found_only_by_its_folded_names(db) {
        db.user("Ann").await;
        for key in ["Ann", "ANN", "an", "ann ", ""] {
            let account = db.store.account_by_username(key).await.expect("a select");
            assert!(account.is_none(), "{key}");
        }
        let account = db.store.account_by_email("Ann@example.org").await.expect("a select");
        assert!(account.is_none());
        assert!(db.store.account_by_username("ann").await.expect("a select").is_some());
    }

    async fn a_taken_name_and_a_taken_address_are_told_apart(db) {
        db.store.insert_user(&named("ann", "ann@example.org")).await.expect("ok").expect("new");
        db.store.insert_user(&named("bob", "bob@example.org")).await.expect("ok").expect("new");
        for (username, email, taken) in [
            ("ANN", "new@example.org", (true, false)),
            ("ａｎｎ", "new@example.org", (true, false)),
            ("new", "ANN@EXAMPLE.ORG", (false, true)),
            ("Ann", "Ann@Example.org", (true, true)),
            ("bob", "ann@example.org", (true, true)),
        ] {
            let answer = db.store.insert_user(&named(username, email)).await.expect("an answer");
            let (username_taken, email_taken) = taken;
            let taken = Taken { username: username_taken, email: email_taken };
            assert_eq!(answer, Err(taken), "{username} {email}");
        }
        assert_eq!(db.rows().await[0], 2);
        let new = db.store.insert_user(&named("new", "new@example.org")).await.expect("ok");
        assert!(new.is_ok());
    }

    async fn of_twenty_who_want_one_name_at_once_one_gets_it(db) {
        let elsewhere = db.open().await;
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let store = if n % 2 == 0 { &db.store } else { &elsewhere }.clone();
            let spelling = if n % 3 == 0 { "ANN" } else { "ann" };
            let new = named(spelling, &format!("ann{n}@example.org"));
            tasks.spawn(async move { store.insert_user(&new).await.expect("an answer") });
        }
        let answers = tasks.join_all().await;
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.err()).collect();
        assert_eq!(refused, [Taken { username: true, email: false }; 19]);
        assert_eq!(db.rows().await[0], 1);
    }

    async fn of_twenty_who_want_one_address_at_once_one_gets_it(db) {
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let store = db.store.clone();
            let new = named(&format!("ann{n}"), "ann@example.org");
            tasks.spawn(async move { store.insert_user(&new).await.expect("an answer") });
        }
        let answers = tasks.join_all().await;
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.err()).collect();
        assert_eq!(refused, [Taken { username: false, email: true }; 19]);
    }

    async fn users_are_listed_by_id_page_by_page_without_one(db) {
        let mut ids = Vec::new();
        for name in ["zoe", "ann", "mia", "bob", "eve"] {
            ids.push(db.user(name).await.id);
        }
        let list = async |except, after, limit| -> Vec<UserId> {
            let users = db.store.active_users(except, "", false, after, limit);
            users.await.expect("users").iter().map(|user| user.id).collect()
        };
        assert_eq!(list(None, UserId(0), 100).await, ids);
        assert_eq!(list(None, UserId(0), 2).await, ids[..2]);
        assert_eq!(list(None, ids[1], 2).await, ids[2..4]);
        assert_eq!(list(None, ids[4], 2).await, []);
        assert_eq!(list(Some(ids[1]), UserId(0), 2).await, [ids[0], ids[2]]);
    }

    async fn a_deactivated_user_is_not_listed(db) {
        let ann = db.user("ann").await;
        let bob = db.user("bob").await;
        db.sql(&format!("update users set is_active = (1 = 0) where id = {}", ann.id)).await;
        assert_eq!(found(&db, "", false).await, [bob.id.0]);
        assert_eq!(found(&db, "ann", true).await, [0; 0]);
        let account = db.store.account_by_username("ann").await.expect("a select");
        assert!(!account.expect("he is still there").user.is_active);
    }

    async fn a_search_looks_into_names_and_into_addresses_only_when_asked(db) {
        let ann = NewUser {
            first_name: PersonName::parse("Änne").expect("a name"),
            last_name: PersonName::parse("Weiß").expect("a name"),
            ..named("Ann", "secret@Example.org")
        };
        let ann = db.store.insert_user(&ann).await.expect("ok").expect("new").0;
        let bob = db.user("bob").await.id.0;
        for (search, ids) in [
            ("", vec![ann, bob]),
            ("ann", vec![ann]),
            ("nn", vec![ann]),
            ("änne", vec![ann]),
            ("weiss", vec![ann]),
            ("bob", vec![bob]),
            ("annänne", vec![]),
            ("secret", vec![]),
            ("example", vec![]),
        ] {
            assert_eq!(found(&db, search, false).await, ids, "{search}");
        }
        assert_eq!(found(&db, "secret@ex", true).await, [ann]);
        assert_eq!(found(&db, "example.org", true).await, [ann, bob]);
    }

    async fn a_search_takes_the_signs_of_patterns_for_what_they_are(db) {
        let mut ids = Vec::new();
        for (n, name) in ["a%b", "a_b", "a\\b", "a'b"].into_iter().enumerate() {
            let new = named(name, &format!("{n}@example.org"));
            ids.push(db.store.insert_user(&new).await.expect("ok").expect("new").0);
        }
        db.user("aXb").await;
        for (n, search) in ["a%b", "a_b", "a\\b", "'"].into_iter().enumerate() {
            assert_eq!(found(&db, search, false).await, [ids[n]], "{search}");
        }
        assert_eq!(found(&db, "%", false).await, [ids[0]]);
        assert_eq!(found(&db, "\\", false).await, [ids[2]]);
    }

    async fn there_is_a_superuser_only_while_an_active_one_exists(db) {
        let any = async || db.store.any_superuser().await.expect("an answer");
        db.user("ann").await;
        assert!(!any().await);
        let root = NewUser { is_superuser: true, ..new_user("root") };
        db.store.insert_user(&root).await.expect("ok").expect("new");
        assert!(any().await);
        db.sql("update users set is_active = (1 = 0) where username = 'root'").await;
        assert!(!any().await);
    }

    async fn promoting_makes_an_active_superuser_with_a_new_password_and_no_sessions(db) {
        let ann = db.user("ann").await;
        let bob = db.user("bob").await;
        for user in [&ann, &ann, &bob] {
            let begun = db.store.insert_session(SessionId::random(), user.id, [1; 32], at(0), at(9));
            begun.await.expect("a session");
        }
        db.sql("update users set is_active = (1 = 0) where username = 'ann'").await;
        db.store.promote(ann.id, "new hash").await.expect("an update");
        let account = db.store.account_by_username("ann").await.expect("ok").expect("ann");
        assert_eq!(account.password_hash, "new hash");
        assert!(account.user.is_active && account.user.is_superuser);
        let account = db.store.account_by_username("bob").await.expect("ok").expect("bob");
        assert_eq!(account.user, bob);
        assert_eq!(db.count("select user_id from sessions").await, bob.id.0);

        let before = db.rows().await;
        db.store.promote(UserId(4711), "nobody's").await.expect("an update of nothing");
        assert_eq!(db.rows().await, before);
    }
}
