//! `/login/`: who gets in, what he is given, and how little the others learn.

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::{App, User};

const WRONG: &str = r#"{"non_field_errors":["Invalid email or password"],"code":"invalid","detail":"Invalid email or password","error":"Invalid email or password"}"#;

/// The cookie that a login sets.
fn cookie(name: &str, value: &str, max_age: u32) -> String {
    format!("{name}={value}; HttpOnly; SameSite=Lax; Path=/; Max-Age={max_age}")
}

async fn try_password(stranger: &User, name: &str, password: &str) -> u16 {
    let form = json!({"username": name, "password": password});
    stranger.post("/login/", form).await.status
}

on_both! {
    async fn a_login_is_answered_with_tokens_and_cookies(db) {
        let app = App::start(db).await;
        let id = app.user("ann").await.id;
        let form = json!({"username": "ann", "password": PASSWORD});
        for path in ["/login/", "/login"] {
            let answer = app.stranger().post(path, form.clone()).await;
            let body = answer.expect(200);
            let token = body["token"].as_str().expect("a token");
            let refresh = body["refresh_token"].as_str().expect("a token");
            assert_eq!(token.split('.').count(), 3, "{token}");
            assert_eq!(refresh.len(), 86, "{refresh}");
            assert_eq!(
                body,
                json!({"message": "Login successful", "token": token, "refresh_token": refresh,
                    "expires_in": 3600,
                    "user": {"id": id, "email": "ann@example.org", "username": "ann"}})
            );
            assert_eq!(
                answer.cookies(),
                [cookie("access_token", token, 3600), cookie("refresh_token", refresh, 604_800)]
            );
            assert_eq!(answer.header("cache-control"), "no-store");
            app.stranger().with_token(token).get("/rooms/").await.expect(200);
        }
    }

    async fn cookies_are_secure_behind_https_and_last_as_configured(db) {
        let set = [("auth.access_ttl", "15m"), ("auth.refresh_ttl", "10m")];
        let app = App::start_with(db, &set).await;
        app.user("ann").await;
        let form = json!({"username": "ann", "password": PASSWORD}).to_string();
        let https = [("x-forwarded-proto", "https"), ("content-type", "application/json")];
        let answer = app.stranger().ask("POST", "/login/", &https, form.clone()).await;
        let body = answer.expect(200);
        // An access token does not outlive its session.
        assert_eq!(body["expires_in"], 600);
        let secure = |name: &str, value: &str| cookie(name, value, 600) + "; Secure";
        let tokens = |body: &serde_json::Value| {
            ["token", "refresh_token"].map(|key| body[key].as_str().expect("a token").to_owned())
        };
        let [access, refresh] = tokens(&body);
        assert_eq!(
            answer.cookies(),
            [secure("access_token", &access), secure("refresh_token", &refresh)]
        );
        let again = json!({"refresh_token": refresh}).to_string();
        let answer = app.stranger().ask("POST", "/refresh/", &https, again).await;
        let [access, refresh] = tokens(&answer.expect(200));
        assert_eq!(
            answer.cookies(),
            [secure("access_token", &access), secure("refresh_token", &refresh)]
        );
        let answer = app.stranger().ask("POST", "/logout/", &https, "").await;
        assert_eq!(
            answer.cookies(),
            [
                "access_token=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0; Secure",
                "refresh_token=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0; Secure"
            ]
        );
        let http = [("x-forwarded-proto", "http"), ("content-type", "application/json")];
        let answer = app.stranger().ask("POST", "/login/", &http, form).await;
        assert!(answer.cookies().iter().all(|cookie| !cookie.contains("Secure")));
    }

    async fn name_and_address_both_lead_in(db) {
        let app = App::start(db).await;
        let form = json!({"username": "Jürgen", "email": "J@Example.org", "password": PASSWORD});
        let id = app.stranger().post("/register/", form).await.expect(201)["id"].clone();
        for form in [
            json!({"username": "Jürgen", "password": PASSWORD}),
            json!({"username": " JÜRGEN ", "password": PASSWORD}),
            json!({"username": "ju\u{308}rgen", "password": PASSWORD}),
            json!({"username": "ｊürgen", "password": PASSWORD}),
            json!({"email": "J@Example.org", "password": PASSWORD}),
            json!({"email": "j@example.ORG", "password": PASSWORD, "username": null}),
            json!({"username": "j@EXAMPLE.org", "password": PASSWORD}),
        ] {
            let body = app.stranger().post("/login/", form.clone()).await.expect(200);
            assert_eq!(body["user"]["id"], id, "{form}");
            assert_eq!(body["user"]["username"], "Jürgen");
        }
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let form = "email=j%40example.org&password=correct+horse+battery";
        app.stranger().ask("POST", "/login", &kind, form).await.expect(200);
        // A name is no address.
        let form = json!({"email": "jürgen", "password": PASSWORD});
        assert_eq!(app.stranger().post("/login/", form).await.text, WRONG);
    }

    async fn every_failure_looks_the_same(db) {
        let app = App::start(db).await;
        app.user("ann").await;
        app.user("bob").await;
        app.place.sql("update users set is_active = false where username = 'bob'").await;
        for form in [
            json!({"username": "nobody", "password": PASSWORD}),
            json!({"username": "nobody@example.org", "password": PASSWORD}),
            json!({"email": "nobody@example.org", "password": PASSWORD}),
            json!({"username": "ann", "password": "correct horse batterx"}),
            json!({"username": "ann", "password": "Correct horse battery"}),
            json!({"username": "ann", "password": format!("{PASSWORD} ")}),
            json!({"username": "bob", "password": PASSWORD}),
            json!({"email": "bob@example.org", "password": PASSWORD}),
            json!({"username": "bob", "password": "wrong"}),
            json!({"username": "ann\u{0}", "password": PASSWORD}),
            json!({"username": "' or 1=1 --", "password": "x"}),
            json!({"username": "ann", "password": "x".repeat(1025)}),
            json!({"username": "x".repeat(5000), "password": PASSWORD}),
        ] {
            let answer = app.stranger().post("/login/", form.clone()).await;
            assert_eq!((answer.status, answer.text.as_str()), (400, WRONG), "{form}");
            assert_eq!(answer.cookies(), Vec::<String>::new());
            assert_eq!(answer.header("www-authenticate"), "");
        }
        assert_eq!(app.place.count("select count(*) from sessions").await, 2);
    }

    async fn what_is_missing_is_told_at_once(db) {
        let app = App::start(db).await;
        let (required, blank) = ("This field is required.", "This field may not be blank.");
        for (form, wrong) in [
            (json!({}), json!({"username": [required], "password": [required]})),
            (json!({"username": "ann"}), json!({"password": [required]})),
            (json!({"password": "x"}), json!({"username": [required]})),
            (
                json!({"username": null, "email": null, "password": null}),
                json!({"username": [required], "password": ["This field may not be null."]}),
            ),
            (
                json!({"username": "", "password": ""}),
                json!({"username": [blank], "password": [blank]}),
            ),
            (json!({"email": "", "password": "x"}), json!({"email": [blank]})),
            (
                json!({"email": 5, "password": [1]}),
                json!({"email": ["Not a valid string."], "password": ["Not a valid string."]}),
            ),
        ] {
            let answer = app.stranger().post("/login/", form.clone()).await;
            let mut body = answer.refused(400, "invalid");
            for key in ["code", "detail", "error"] {
                body.as_object_mut().expect("an object").remove(key);
            }
            assert_eq!(body, wrong, "{form}");
        }
    }

    async fn nobody_takes_over_an_account_by_his_choice_of_username(db) {
        let app = App::start(db).await;
        let stranger = app.stranger();
        app.user("ann").await;
        let form = json!({"username": "Ann@Example.org", "email": "bob@example.org",
            "password": "another horse battery"});
        stranger.post("/register/", form).await.expect(201);
        assert_eq!(try_password(&stranger, "ann@example.org", "another horse battery").await, 400);
        assert_eq!(stranger.log_in("ann@example.org", PASSWORD).await.username, "ann");
        let bob = stranger.log_in("bob@example.org", "another horse battery").await;
        assert_eq!(bob.username, "Ann@Example.org");
        // Neither before the address has an owner: he gets it, and the login with it.
        let form = json!({"username": "carl@example.org", "email": "dave@example.org",
            "password": "another horse battery"});
        stranger.post("/register/", form).await.expect(201);
        app.user("carl").await;
        assert_eq!(stranger.log_in("carl@example.org", PASSWORD).await.username, "carl");
        assert_eq!(try_password(&stranger, "carl@example.org", "another horse battery").await, 400);
    }

    async fn too_many_attempts_at_one_account_have_to_wait(db) {
        let set = [("limits.enabled", "true"), ("limits.login_per_minute", "3")];
        let app = App::start_with(db, &set).await;
        let stranger = app.stranger();
        for name in ["ann", "bob"] {
            let email = format!("{name}@example.org");
            let form = json!({"username": name, "email": email, "password": PASSWORD});
            stranger.post("/register/", form).await.expect(201);
        }
        // All spellings of a name are one account.
        for name in ["ann", "ANN", "ａnn"] {
            assert_eq!(try_password(&stranger, name, "wrong").await, 400);
        }
        let form = json!({"username": "ann", "password": PASSWORD});
        let answer = stranger.post("/login/", form).await;
        let body = answer.refused(429, "too_many_requests");
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((1..=21).contains(&wait), "{wait}");
        assert_eq!(body["detail"], format!("Too many requests. Try again in {wait} s."));
        assert_eq!(answer.cookies(), Vec::<String>::new());
        stranger.log_in("bob", PASSWORD).await;
        assert_eq!(try_password(&stranger, "nobody", "wrong").await, 400);
    }
}
