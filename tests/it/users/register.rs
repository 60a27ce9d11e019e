//! `/register/`: who gets an account, and what is said to those who do not.

use serde_json::{Value, json};

use crate::harness::client::PASSWORD;
use crate::harness::{Answer, App, User};

const TAKEN: &str = "A user with that username already exists.";
const EMAIL_TAKEN: &str = "A user with that email already exists.";
const REQUIRED: &str = "This field is required.";
const BLANK: &str = "This field may not be blank.";
const NULL: &str = "This field may not be null.";
const NO_STRING: &str = "Not a valid string.";
const BAD_EMAIL: &str = "Enter a valid email address.";

/// What was refused, without the three keys that every error has.
#[track_caller]
fn fields(answer: &Answer) -> Value {
    let mut body = answer.refused(400, "invalid");
    let fields = body.as_object_mut().expect("an object");
    let detail = fields["detail"].as_str().expect("a sentence").to_owned();
    for key in ["code", "detail", "error"] {
        fields.remove(key);
    }
    let told = fields.values().any(|all| {
        let all = all.as_array().expect("sentences");
        all.iter()
            .any(|one| detail.ends_with(one.as_str().expect("a sentence")))
    });
    assert!(told, "{detail:?} is none of {fields:?}");
    body
}

async fn derived(stranger: &User, first: &str, last: &str, email: &str) -> Value {
    let form =
        json!({"email": email, "password": PASSWORD, "first_name": first, "last_name": last});
    stranger.post("/register/", form).await.expect(201)["username"].clone()
}

on_both! {
    async fn a_new_account_is_answered_with(db) {
        let app = App::start(db).await;
        let form = json!({"username": " Ann ", "email": "Ann@Example.org", "password": PASSWORD,
            "first_name": "Anna", "last_name": " O'Neill "});
        let answer = app.stranger().post("/register/", form).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(
            answer.text,
            r#"{"id":1,"username":"Ann","email":"Ann@Example.org","first_name":"Anna","last_name":"O'Neill","user":{"id":1,"email":"Ann@Example.org","username":"Ann"},"message":"Registration successful"}"#
        );
        assert!(answer.header("content-type").starts_with("application/json"));
        // An account is not a login.
        assert_eq!(answer.cookies(), Vec::<String>::new());
        let form = json!({"username": "bob", "email": "bob@example.org", "password": PASSWORD,
            "first_name": null, "is_superuser": true, "id": 99});
        assert_eq!(
            app.stranger().post("/register", form).await.expect(201),
            json!({"id": 2, "username": "bob", "email": "bob@example.org", "first_name": "",
                "last_name": "", "user": {"id": 2, "email": "bob@example.org", "username": "bob"},
                "message": "Registration successful"})
        );
        assert_eq!(app.place.count("select count(*) from users where is_superuser").await, 0);
    }

    async fn a_form_can_register(db) {
        let app = App::start(db).await;
        let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let body = "username=J%C3%BCrgen+K&email=j%40example.org&password=correct+horse+battery";
        let answer = app.stranger().ask("POST", "/register/", &kind, body).await;
        assert_eq!(answer.expect(201)["username"], "Jürgen K");
        app.stranger().log_in("jürgen k", PASSWORD).await;
    }

    async fn all_wrong_fields_are_told_at_once(db) {
        let app = App::start(db).await;
        let stranger = app.stranger();
        let long = "x".repeat(151);
        let too_long = "Ensure this field has no more than 150 characters.";
        for (form, told) in [
            (json!({}), json!({"email": [REQUIRED], "password": [REQUIRED]})),
            (
                json!({"username": "", "email": "", "password": "", "first_name": "", "last_name": ""}),
                json!({"username": [BLANK], "email": [BLANK], "password": [BLANK]}),
            ),
            (
                json!({"username": " \t", "email": "  ", "password": ""}),
                json!({"username": [BLANK], "email": [BLANK], "password": [BLANK]}),
            ),
            (
                json!({"username": null, "email": null, "password": null, "first_name": null}),
                json!({"email": [NULL], "password": [NULL]}),
            ),
            (
                json!({"username": 5, "email": ["a@example.org"], "password": {"a": 1},
                    "first_name": true, "last_name": 1.5}),
                json!({"username": [NO_STRING], "email": [NO_STRING], "password": [NO_STRING],
                    "first_name": [NO_STRING], "last_name": [NO_STRING]}),
            ),
            (
                json!({"username": long, "email": format!("{long}{long}@example.org"),
                    "password": "qV3!", "first_name": long, "last_name": long}),
                json!({"username": [too_long],
                    "email": ["Ensure this field has no more than 254 characters."],
                    "password": ["This password is too short. It must contain at least 8 characters."],
                    "first_name": [too_long], "last_name": [too_long]}),
            ),
            (
                json!({"username": "a\nb", "email": "ann", "password": PASSWORD, "last_name": "\u{0}"}),
                json!({"username": ["Enter a valid username: it may not have control characters."],
                    "email": [BAD_EMAIL],
                    "last_name": ["This name may not have control characters."]}),
            ),
        ] {
            assert_eq!(fields(&stranger.post("/register/", form.clone()).await), told, "{form}");
        }
        assert_eq!(app.place.count("select count(*) from users").await, 0);
    }

    async fn every_password_rule_has_its_sentence(db) {
        let app = App::start(db).await;
        let stranger = app.stranger();
        let short = "This password is too short. It must contain at least 8 characters.";
        let common = "This password is too common.";
        let digits = "This password is entirely numeric.";
        for (password, told) in [
            ("qV3!xyz", json!([short])),
            ("password123", json!([common])),
            ("PassWord123", json!([common])),
            ("9274610582736", json!([digits])),
            ("123456", json!([short, common, digits])),
            ("annabel77", json!(["The password is too similar to the username."])),
            ("roswitha1", json!(["The password is too similar to the first name."])),
            ("kvasnicka1", json!(["The password is too similar to the last name."])),
            ("zeppelin.example", json!(["The password is too similar to the email address."])),
            ("x".repeat(1025).as_str(), json!(["This password is too long. It may have at most 1024 bytes."])),
        ] {
            let form = json!({"username": "annabel", "email": "a.lee@zeppelin.example",
                "first_name": "Roswitha", "last_name": "Kvasnicka", "password": password});
            let answer = stranger.post("/register/", form).await;
            assert_eq!(fields(&answer), json!({ "password": told }), "{password}");
            assert_eq!(answer.json()["detail"], told[0]);
        }
        // The longest that is allowed, eight characters of two bytes, and spaces around, which count.
        for (n, password) in ["x€".repeat(256).as_str(), "йцукенгш", " x1 y2 z3 "].iter().enumerate() {
            let (name, email) = (format!("u{n}"), format!("u{n}@example.org"));
            let form = json!({"username": name, "email": email, "password": password});
            stranger.post("/register/", form).await.expect(201);
            stranger.log_in(&name, password).await;
        }
        let form = json!({"username": "u2", "password": "x1 y2 z3"});
        stranger.post("/login/", form).await.refused(400, "invalid");
    }

    async fn an_address_that_is_none_is_refused(db) {
        let app = App::start(db).await;
        for email in [
            "ann", "@example.org", "ann@", "ann@localhost", "a b@example.org", "ann@exa mple.org",
            "Ann <ann@example.org>", "ann@[127.0.0.1]", "ann@example.org\u{0}", "ann@@example.org",
            "ann@example..org", "ann@example.org,bob@example.org", "a\u{200b}nn@example.org",
        ] {
            let form = json!({"username": "ann", "email": email, "password": PASSWORD});
            let answer = app.stranger().post("/register/", form).await;
            assert_eq!(fields(&answer), json!({"email": [BAD_EMAIL]}), "{email:?}");
            assert_eq!(answer.json()["detail"], BAD_EMAIL);
        }
    }

    async fn what_is_taken_is_taken_in_every_spelling(db) {
        let app = App::start(db).await;
        let stranger = app.stranger();
        let form = json!({"username": "Straße", "email": "Ann@Example.org", "password": PASSWORD});
        stranger.post("/register/", form).await.expect(201);
        for (name, email) in [
            ("Straße", "Ann@Example.org"),
            ("strasse", "ann@example.org"),
            ("STRASSE", "ANN@EXAMPLE.ORG"),
            ("ＳＴＲＡＳＳＥ", "ａｎｎ@example.org"),
            ("stra\u{200b}sse", "Ann@EXAMPLE.ORG"),
            (" Stra\u{ad}ẞe ", " ann@example.org "),
            ("ſtraſſe", "ann@EXAMPLE.org"),
        ] {
            let form = json!({"username": name, "email": email, "password": PASSWORD});
            assert_eq!(
                fields(&stranger.post("/register/", form).await),
                json!({"username": [TAKEN], "email": [EMAIL_TAKEN]}),
                "{name:?} {email:?}"
            );
        }
        // Told with everything else that is wrong, and each by itself.
        let form = json!({"username": "strasse", "email": "x", "password": "1"});
        let told = fields(&stranger.post("/register/", form).await);
        assert_eq!(told["username"], json!([TAKEN]));
        assert_eq!(told["email"], json!([BAD_EMAIL]));
        assert_eq!(told["password"].as_array().map(Vec::len), Some(3), "{told}");
        let form = json!({"username": "other", "email": "ann@example.org", "password": PASSWORD});
        let answer = stranger.post("/register/", form).await;
        assert_eq!(fields(&answer), json!({"email": [EMAIL_TAKEN]}));
        let form = json!({"username": "strasse", "email": "b@example.org", "password": PASSWORD});
        let answer = stranger.post("/register/", form).await;
        assert_eq!(fields(&answer), json!({"username": [TAKEN]}));
        assert_eq!(
            answer.text,
            format!(r#"{{"username":["{TAKEN}"],"code":"invalid","detail":"{TAKEN}","error":"{TAKEN}"}}"#)
        );
        assert_eq!(app.place.count("select count(*) from users").await, 1);
    }

    async fn without_a_username_one_is_derived(db) {
        let app = App::start(db).await;
        let stranger = app.stranger();
        assert_eq!(derived(&stranger, "Ann", "Lee", "x1@example.org").await, "ann.lee");
        assert_eq!(derived(&stranger, "ANN ", "Lee", "x2@example.org").await, "ann.lee2");
        assert_eq!(derived(&stranger, "ann", "lee", "x3@example.org").await, "ann.lee3");
        assert_eq!(derived(&stranger, "Mary Ann", "", "x4@example.org").await, "mary.ann");
        assert_eq!(derived(&stranger, "", "", "Zoë.B@example.org").await, "zoë.b");
        assert_eq!(derived(&stranger, "", "", "zoë.b@example.com").await, "zoë.b2");
        // With a name of its own, a taken address is still refused.
        let form = json!({"email": "X1@example.org", "password": PASSWORD});
        let answer = stranger.post("/register/", form).await;
        assert_eq!(fields(&answer), json!({"email": [EMAIL_TAKEN]}));
        stranger.log_in("ann.lee2", PASSWORD).await;
    }

    async fn closed_registration_registers_nobody(db) {
        let app = App::start_with(db, &[("auth.registration", "false")]).await;
        let form = json!({"username": "ann", "email": "ann@example.org", "password": PASSWORD});
        for body in [form, json!({})] {
            let answer = app.stranger().post("/register/", body).await;
            assert_eq!(
                answer.refused(403, "registration_closed"),
                json!({"code": "registration_closed", "detail": "Registration is closed",
                    "error": "Registration is closed"})
            );
        }
        assert_eq!(app.place.count("select count(*) from users").await, 0);
    }
}
