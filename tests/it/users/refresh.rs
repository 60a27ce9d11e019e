//! `/refresh/`: the next pair of tokens, and what becomes of the pair before.

use serde_json::{Value, json};

use crate::harness::{Answer, App, User};

async fn refresh(app: &App, token: &str) -> Answer {
    app.stranger()
        .post("/refresh/", json!({ "refresh_token": token }))
        .await
}

#[track_caller]
fn text(body: &Value, key: &str) -> String {
    body[key].as_str().expect("a text").to_owned()
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    let text = "Refresh token is invalid or expired";
    let body = answer.refused(401, "refresh_invalid");
    assert_eq!(
        body,
        json!({"code": "refresh_invalid", "detail": text, "error": text})
    );
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    assert_eq!(answer.cookies(), Vec::<String>::new());
}

/// The user with the pair that an answer brought.
fn next(user: &User, body: &Value) -> User {
    let mut next = user.with_token(&text(body, "token"));
    next.refresh = text(body, "refresh_token");
    next
}

async fn assert_over(app: &App, users: &[&User]) {
    for user in users {
        user.get("/rooms/").await.refused(401, "token_invalid");
        assert_refused(&refresh(app, &user.refresh).await);
    }
    assert_eq!(app.place.count("select count(*) from sessions").await, 0);
}

/// As if the last rotation were that long ago.
async fn rotated(app: &App, seconds: i64) {
    let at = chrono::Utc::now() - chrono::Duration::seconds(seconds);
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    app.place
        .sql(&format!("update sessions set rotated_at = '{at}'"))
        .await;
}

on_both! {
    async fn a_refresh_is_answered_with_the_next_pair(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let answer = app.stranger().post("/refresh/", json!({"refresh_token": ann.refresh})).await;
        let body = answer.expect(200);
        let (token, refresh) = (text(&body, "token"), text(&body, "refresh_token"));
        assert_eq!(
            body,
            json!({"message": "Token refreshed successfully", "user_id": ann.id, "token": token,
                "refresh_token": refresh, "expires_in": 3600})
        );
        assert_eq!(
            answer.cookies(),
            [
                format!("access_token={token}; HttpOnly; SameSite=Lax; Path=/; Max-Age=3600"),
                format!("refresh_token={refresh}; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800"),
            ]
        );
        assert_ne!(token, ann.token);
        assert_ne!(refresh, ann.refresh);
        // The token before stays an access token until it runs out, on the same session.
        ann.get("/rooms/").await.expect(200);
        ann.with_token(&token).get("/rooms/").await.expect(200);

        // By the cookie, and the body goes before it.
        let cookie = format!("access_token=stale; refresh_token={refresh}");
        let answer = app.stranger().ask("POST", "/refresh", &[("cookie", &cookie)], "").await;
        let third = text(&answer.expect(200), "refresh_token");
        assert_eq!(answer.cookie("refresh_token"), third);
        let headers = [("cookie", "refresh_token=garbage"), ("content-type", "application/json")];
        let sent = json!({"refresh_token": third}).to_string();
        app.stranger().ask("POST", "/refresh/", &headers, sent).await.expect(200);
        assert_eq!(app.place.count("select count(*) from sessions").await, 1);
    }

    async fn without_a_token_there_is_nothing_to_refresh(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let told = json!({"code": "no_refresh_token", "detail": "No refresh token",
            "error": "No refresh token"});
        for sent in [json!({}), json!({"refresh_token": ""}), json!({"refresh_token": null})] {
            // An access token is none.
            let answer = ann.post("/refresh/", sent).await;
            assert_eq!(answer.refused(400, "no_refresh_token"), told);
        }
        let cookie = format!("access_token={}; refresh_token=", ann.token);
        let answer = app.stranger().ask("POST", "/refresh/", &[("cookie", &cookie)], "").await;
        assert_eq!(answer.refused(400, "no_refresh_token"), told);
    }

    async fn a_token_that_is_not_in_force_is_refused(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let unknown = "A".repeat(64);
        for token in ["x", &unknown, &ann.token, &ann.refresh[..63], &"é".repeat(32), "\u{0}"] {
            assert_refused(&refresh(&app, token).await);
        }
        let cookie = [("cookie", "refresh_token=garbage")];
        assert_refused(&app.stranger().ask("POST", "/refresh/", &cookie, "").await);
        // None of that has harmed the session.
        ann.get("/rooms/").await.expect(200);
        app.place.sql("update sessions set expires_at = '2020-01-01T00:00:00.000000+00:00'").await;
        assert_refused(&refresh(&app, &ann.refresh).await);
    }

    async fn the_token_before_yields_the_same_successor_for_half_a_minute(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let one = refresh(&app, &ann.refresh).await.expect(200);
        for _ in 0..2 {
            let again = refresh(&app, &ann.refresh).await;
            let body = again.expect(200);
            assert_eq!(body["refresh_token"], one["refresh_token"]);
            assert_eq!(again.cookie("refresh_token"), text(&one, "refresh_token"));
            next(&ann, &body).get("/rooms/").await.expect(200);
        }
        rotated(&app, 25).await;
        let body = refresh(&app, &ann.refresh).await.expect(200);
        assert_eq!(body["refresh_token"], one["refresh_token"]);
        // Whichever tab goes on, goes on.
        let two = refresh(&app, &text(&one, "refresh_token")).await.expect(200);
        assert_ne!(two["refresh_token"], one["refresh_token"]);
        next(&ann, &two).get("/rooms/").await.expect(200);
    }

    async fn a_token_used_again_later_ends_the_session(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let after = next(&ann, &refresh(&app, &ann.refresh).await.expect(200));
        rotated(&app, 31).await;
        after.get("/rooms/").await.expect(200);
        assert_refused(&refresh(&app, &ann.refresh).await);
        assert_over(&app, &[&after, &ann]).await;
    }

    async fn a_token_two_generations_old_ends_the_session_at_once(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let one = next(&ann, &refresh(&app, &ann.refresh).await.expect(200));
        let two = next(&ann, &refresh(&app, &one.refresh).await.expect(200));
        assert_refused(&refresh(&app, &ann.refresh).await);
        assert_over(&app, &[&two, &one, &ann]).await;
    }

    async fn a_refresh_makes_the_session_last_longer(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let soon = (chrono::Utc::now() + chrono::Duration::minutes(5))
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        app.place.sql(&format!("update sessions set expires_at = '{soon}'")).await;
        refresh(&app, &ann.refresh).await.expect(200);
        let still = format!("select count(*) from sessions where expires_at > '{soon}'");
        assert_eq!(app.place.count(&still).await, 1);
        // The other tab's answer does not promise more than there is.
        app.place.sql(&format!("update sessions set expires_at = '{soon}'")).await;
        let body = refresh(&app, &ann.refresh).await.expect(200);
        let left = body["expires_in"].as_i64().expect("seconds");
        assert!((200..=300).contains(&left), "{left}");
    }

    async fn one_login_does_not_touch_another(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let phone = app.stranger().log_in("ann", crate::harness::client::PASSWORD).await;
        let one = next(&ann, &refresh(&app, &ann.refresh).await.expect(200));
        next(&one, &refresh(&app, &one.refresh).await.expect(200));
        assert_refused(&refresh(&app, &ann.refresh).await);
        one.get("/rooms/").await.refused(401, "token_invalid");
        phone.get("/rooms/").await.expect(200);
        refresh(&app, &phone.refresh).await.expect(200);
    }

    async fn a_forged_refresh_token_ends_nothing(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        // The session is right, as its id stands in every access token, and the secret is not.
        let other = if ann.refresh.as_bytes()[40] == b'A' { "B" } else { "A" };
        let forged = format!("{}{other}{}", &ann.refresh[..40], &ann.refresh[41..]);
        assert_refused(&refresh(&app, &forged).await);
        let body = json!({"refresh_token": forged});
        app.stranger().post("/logout/", body).await.expect(200);
        ann.get("/rooms/").await.expect(200);
        refresh(&app, &ann.refresh).await.expect(200);
    }
}
