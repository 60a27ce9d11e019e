//! `/logout/`: whatever comes along is ended, and whoever asks is answered the same.

use serde_json::json;

use crate::harness::client::PASSWORD;
use crate::harness::{Answer, App};

#[track_caller]
fn assert_logged_out(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.text, r#"{"message":"Logged out"}"#);
    assert_eq!(
        answer.cookies(),
        [
            "access_token=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
            "refresh_token=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
        ]
    );
}

on_both! {
    async fn any_token_of_a_session_ends_it(db) {
        let app = App::start(db).await;
        app.user("ann").await;
        let json = ("content-type", "application/json");
        for way in 0..6 {
            let ann = app.stranger().log_in("ann", PASSWORD).await;
            let stranger = app.stranger();
            let bearer = format!("Bearer {}", ann.token);
            let access = format!("access_token={}", ann.token);
            let refresh = format!("refresh_token={}", ann.refresh);
            let body = json!({"refresh_token": ann.refresh}).to_string();
            let answer = match way {
                0 => stranger.ask("POST", "/logout/", &[("authorization", &bearer)], "").await,
                1 => stranger.ask("POST", "/logout", &[("cookie", &access)], "").await,
                2 => stranger.ask("POST", "/logout/", &[("cookie", &refresh)], "").await,
                3 => stranger.ask("POST", "/logout/", &[json], body).await,
                // What is stale beside it does not keep the session alive.
                4 => {
                    let headers = [("authorization", "Bearer stale"), ("cookie", access.as_str())];
                    stranger.ask("POST", "/logout/", &headers, "").await
                }
                _ => {
                    let body = json!({"refresh_token": "stale"}).to_string();
                    let headers = [json, ("cookie", refresh.as_str())];
                    stranger.ask("POST", "/logout/", &headers, body).await
                }
            };
            assert_logged_out(&answer);
            assert_eq!(ann.get("/rooms/").await.status, 401, "way {way}");
            let sent = json!({"refresh_token": ann.refresh});
            stranger.post("/refresh/", sent).await.refused(401, "refresh_invalid");
        }
        // The first login has not been touched.
        assert_eq!(app.place.count("select count(*) from sessions").await, 1);
    }

    async fn two_sessions_that_come_along_are_both_ended(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let sent = json!({"refresh_token": bob.refresh});
        assert_logged_out(&ann.post("/logout/", sent).await);
        ann.get("/rooms/").await.refused(401, "token_invalid");
        bob.get("/rooms/").await.refused(401, "token_invalid");
    }

    async fn the_token_before_still_ends_the_session(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let sent = json!({"refresh_token": ann.refresh});
        app.stranger().post("/refresh/", sent.clone()).await.expect(200);
        assert_logged_out(&app.stranger().post("/logout/", sent).await);
        ann.get("/rooms/").await.refused(401, "token_invalid");
    }

    async fn without_a_token_nothing_ends(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let stranger = app.stranger();
        assert_logged_out(&stranger.ask("POST", "/logout/", &[], "").await);
        for sent in [
            json!({}),
            json!({"refresh_token": null}),
            json!({"refresh_token": 5}),
            json!({"refresh_token": "garbage"}),
            json!({"refresh_token": "A".repeat(64)}),
        ] {
            assert_logged_out(&stranger.post("/logout/", sent.clone()).await);
            assert_logged_out(&stranger.with_token("garbage").post("/logout/", sent).await);
        }
        ann.get("/rooms/").await.expect(200);
        assert_logged_out(&ann.post("/logout/", json!({})).await);
        assert_logged_out(&ann.post("/logout/", json!({})).await);
        assert_eq!(app.place.count("select count(*) from sessions").await, 0);
    }

    async fn logging_out_closes_the_sockets_of_that_login_only(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let phone = app.stranger().log_in("ann", PASSWORD).await;
        let room = ann.room("general").await;
        let mut here = ann.socket(&room).await;
        let mut there = phone.socket(&room).await;
        here.expect("message_history").await;
        there.expect("message_history").await;
        let sent = json!({"refresh_token": ann.refresh});
        assert_logged_out(&app.stranger().post("/logout/", sent).await);
        assert_eq!(here.closed().await, 4002);
        there.quiet().await;
    }
}
