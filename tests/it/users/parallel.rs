//! Many at once: whoever is first gets the name, and nobody a fault.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::PASSWORD;
use crate::harness::{Answer, App, User};

/// Registers. A server on a busy machine may ask to come again, and then one does.
async fn register(stranger: &User, form: &Value) -> Answer {
    for _ in 0..5 {
        let answer = stranger.post("/register/", form.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        answer.refused(503, "unavailable");
    }
    panic!("the server stays busy");
}

on_both! {
    async fn of_thirty_who_want_a_name_one_gets_it(db) {
        let app = App::start(db).await;
        let spellings = ["ann", "Ann", "ANN", "ＡＮＮ", "a\u{200b}nn"];
        let all = join_all((0..30_usize).map(|n| {
            let stranger = app.stranger();
            let email = format!("ann{n}@example.org");
            let name = spellings[n % spellings.len()];
            let form = json!({"username": name, "email": email, "password": PASSWORD});
            async move { register(&stranger, &form).await }
        }))
        .await;
        assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in all.iter().filter(|answer| answer.status != 201) {
            let body = answer.refused(400, "invalid");
            assert_eq!(body["username"], json!(["A user with that username already exists."]));
            assert_eq!(body.get("email"), None);
        }
        assert_eq!(app.place.count("select count(*) from users").await, 1);
    }

    async fn of_ten_who_want_an_address_one_gets_it(db) {
        let app = App::start(db).await;
        let all = join_all((0..10).map(|n| {
            let stranger = app.stranger();
            let name = format!("ann{n}");
            let form = json!({"username": name, "email": "ann@example.org", "password": PASSWORD});
            async move { register(&stranger, &form).await }
        }))
        .await;
        assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1);
        for answer in all.iter().filter(|answer| answer.status != 201) {
            let body = answer.refused(400, "invalid");
            assert_eq!(body["email"], json!(["A user with that email already exists."]));
            assert_eq!(body.get("username"), None);
        }
        assert_eq!(app.place.count("select count(*) from users").await, 1);
    }

    async fn ten_of_one_name_all_get_a_username_of_their_own(db) {
        let app = App::start(db).await;
        let all = join_all((0..10).map(|n| {
            let stranger = app.stranger();
            let email = format!("ann{n}@example.org");
            let form = json!({"email": email, "password": PASSWORD, "first_name": "Ann"});
            async move { register(&stranger, &form).await.expect(201) }
        }))
        .await;
        let mut names: Vec<&Value> = all.iter().map(|body| &body["username"]).collect();
        names.sort_by_key(ToString::to_string);
        names.dedup();
        assert_eq!(names.len(), 10, "{names:?}");
        assert!(names.iter().any(|name| **name == "ann"), "{names:?}");
    }

    async fn twenty_refreshes_at_once_agree_on_the_successor(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let all = join_all((0..20).map(|_| {
            let (stranger, token) = (app.stranger(), ann.refresh.clone());
            async move { stranger.post("/refresh/", json!({"refresh_token": token})).await.expect(200) }
        }))
        .await;
        for body in &all {
            assert_eq!(body["refresh_token"], all[0]["refresh_token"]);
            let access = body["token"].as_str().expect("a token");
            ann.with_token(access).get("/rooms/").await.expect(200);
        }
        let next = all[0]["refresh_token"].as_str().expect("a token");
        assert_ne!(next, ann.refresh);
        ann.get("/rooms/").await.expect(200);
        app.stranger().post("/refresh/", json!({"refresh_token": next})).await.expect(200);
        assert_eq!(app.place.count("select count(*) from sessions").await, 1);
    }
}
