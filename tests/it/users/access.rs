//! Access tokens: which are believed, from where, and until when.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::harness::{Answer, App, User};

/// What the harness gives every server.
const SECRET: &str = "a-secret-that-only-the-tests-know-0123456789";

/// Asks for something that is not open, with these headers.
async fn ask(app: &App, headers: &[(&str, &str)]) -> Answer {
    app.stranger().ask("GET", "/api/users/", headers, "").await
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str, detail: &str) {
    let body = answer.refused(401, code);
    assert_eq!(
        body,
        json!({"code": code, "detail": detail, "error": detail})
    );
    assert_eq!(answer.header("www-authenticate"), "Bearer");
}

async fn assert_over(user: &User) {
    assert_refused(
        &user.get("/rooms/").await,
        "token_invalid",
        "Token is invalid",
    );
}

fn part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn signed(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), claims, &key).expect("a token")
}

on_both! {
    async fn the_header_goes_before_the_cookie(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let sees = |answer: Answer| answer.expect(200)[0]["username"].clone();
        let (ann_bearer, ann_cookie) =
            (format!("Bearer {}", ann.token), format!("a=b; access_token={}", ann.token));
        let bob_cookie = format!("access_token={}; refresh_token=x", bob.token);
        // Everybody but oneself is listed.
        assert_eq!(sees(ask(&app, &[("authorization", &ann_bearer)]).await), "bob");
        assert_eq!(sees(ask(&app, &[("cookie", &ann_cookie)]).await), "bob");
        assert_eq!(sees(ask(&app, &[("cookie", &bob_cookie)]).await), "ann");
        let both = [("cookie", bob_cookie.as_str()), ("authorization", ann_bearer.as_str())];
        assert_eq!(sees(ask(&app, &both).await), "bob");
        let lower = ann_bearer.replace("Bearer", "bearer");
        assert_eq!(sees(ask(&app, &[("authorization", &lower)]).await), "bob");
        // A bad header is not made good by a cookie, a bad cookie does not harm a header.
        let worse = [("authorization", "Bearer x"), ("cookie", ann_cookie.as_str())];
        assert_refused(&ask(&app, &worse).await, "token_invalid", "Token is invalid");
        let good = [("authorization", ann_bearer.as_str()), ("cookie", "access_token=x")];
        assert_eq!(sees(ask(&app, &good).await), "bob");
        // What a proxy wants to know is nothing to us.
        let basic = [("authorization", "Basic YTpi"), ("cookie", ann_cookie.as_str())];
        assert_eq!(sees(ask(&app, &basic).await), "bob");
    }

    async fn without_credentials_there_is_nothing(db) {
        let app = App::start(db).await;
        let text = "Authentication credentials were not provided.";
        for headers in [
            [("x-nothing", "")],
            [("authorization", "Basic YTpi")],
            [("authorization", "Token abc")],
            [("authorization", "Bearer")],
            [("cookie", "access_token=")],
            [("cookie", "refresh_token=abc; token=x")],
        ] {
            assert_refused(&ask(&app, &headers).await, "not_authenticated", text);
        }
    }

    async fn a_token_that_is_not_ours_is_refused(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let claims = part(&ann.token, 1);
        assert_eq!(part(&ann.token, 0)["alg"], "HS256");
        let with = |key: &str, value: Value| {
            let mut claims = claims.clone();
            claims[key] = value;
            signed(Algorithm::HS256, &claims, SECRET)
        };
        // So signed, they are believed: what is refused below is refused for its one difference.
        ann.with_token(&signed(Algorithm::HS256, &claims, SECRET)).get("/rooms/").await.expect(200);
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let body = ann.token.split('.').nth(1).expect("claims");
        let signature = ann.token.split('.').nth(2).expect("a signature");
        let elsewhere = {
            let key = "another-secret-of-another-server-0123456789";
            let set = [("secret_key", key)];
            let other = App::start_in(app.place.clone(), &set).await;
            let token = ann.at(other.address).log_in("ann", crate::harness::client::PASSWORD).await;
            token.get("/rooms/").await.expect(200);
            token.token
        };
        for token in [
            "garbage",
            "a.b.c",
            "..",
            &"x".repeat(8000),
            &format!("{none}.{body}."),
            &format!("{none}.{body}.{signature}"),
            &format!("{}x", ann.token),
            &ann.token[..ann.token.len() - 1],
            &ann.refresh,
            &elsewhere,
            &signed(Algorithm::HS256, &claims, "another-secret-of-another-server-0123456789"),
            &signed(Algorithm::HS512, &claims, SECRET),
            &with("sub", json!("2")),
            &with("sub", json!("ann")),
            &with("sid", json!("0c3f5e0a-6f0d-4a52-9d1c-5e8f3a2b1c4d")),
            &with("use", json!("refresh")),
            &with("aud", json!("elsewhere")),
            &with("iss", json!("elsewhere")),
            &with("exp", Value::Null),
            &with("nbf", json!(4_000_000_000_u32)),
        ] {
            let bearer = format!("Bearer {token}");
            let answer = ask(&app, &[("authorization", &bearer)]).await;
            assert_refused(&answer, "token_invalid", "Token is invalid");
            let cookie = format!("access_token={token}");
            let answer = ask(&app, &[("cookie", &cookie)]).await;
            assert_refused(&answer, "token_invalid", "Token is invalid");
        }
        let old = with("exp", json!(1_700_000_000));
        let answer = ann.with_token(&old).get("/rooms/").await;
        assert_refused(&answer, "token_expired", "Token has expired");
        ann.get("/rooms/").await.expect(200);
    }

    async fn a_token_runs_out(db) {
        let app = App::start_with(db, &[("auth.access_ttl", "1s")]).await;
        app.user("ann").await;
        let ann = app.stranger().log_in("ann", crate::harness::client::PASSWORD).await;
        // Its end is a whole second, so it may be nearer than one, but is never further than two.
        tokio::time::sleep(Duration::from_millis(2050)).await;
        let answer = ann.get("/rooms/").await;
        assert_refused(&answer, "token_expired", "Token has expired");
        let cookie = format!("access_token={}", ann.token);
        let answer = ask(&app, &[("cookie", &cookie)]).await;
        assert_refused(&answer, "token_expired", "Token has expired");
        // The session lives on, and can still be ended with it.
        let sent = json!({"refresh_token": ann.refresh});
        let body = app.stranger().post("/refresh/", sent).await.expect(200);
        assert_eq!(body["expires_in"], 1);
        ann.post("/logout/", json!({})).await.expect(200);
        let sent = json!({"refresh_token": body["refresh_token"]});
        app.stranger().post("/refresh/", sent).await.refused(401, "refresh_invalid");
    }

    async fn what_ends_a_session_ends_its_token_at_once(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let second = app.stranger().log_in("ann", crate::harness::client::PASSWORD).await;
        ann.post("/logout/", json!({})).await.expect(200);
        assert_over(&ann).await;
        // The other login of the same user goes on, until its row is gone.
        second.get("/rooms/").await.expect(200);
        app.place.sql("delete from sessions").await;
        assert_over(&second).await;

        let bob = app.user("bob").await;
        app.place.sql("update users set is_active = false where username = 'bob'").await;
        assert_over(&bob).await;
        let sent = json!({"refresh_token": bob.refresh});
        app.stranger().post("/refresh/", sent).await.refused(401, "refresh_invalid");
        app.place.sql("update users set is_active = true where username = 'bob'").await;
        bob.get("/rooms/").await.expect(200);

        app.place.sql("update sessions set expires_at = '2020-01-01T00:00:00.000000+00:00'").await;
        assert_over(&bob).await;

        let carl = app.user("carl").await;
        app.place.sql("delete from users where username = 'carl'").await;
        assert_over(&carl).await;
        let sent = json!({"refresh_token": carl.refresh});
        app.stranger().post("/refresh/", sent).await.refused(401, "refresh_invalid");
    }

    async fn the_open_paths_do_not_look_at_credentials(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        ann.post("/logout/", json!({})).await.expect(200);
        let old = (format!("Bearer {}", ann.token), format!(
            "access_token={}; refresh_token={}", ann.token, ann.refresh));
        for (bearer, cookie) in [
            (old.0.as_str(), old.1.as_str()),
            ("Bearer garbage", "access_token=garbage; refresh_token=garbage"),
            ("Basic e", "=;;; access_token"),
        ] {
            let headers = [("authorization", bearer), ("cookie", cookie)];
            let name = format!("user{}", bearer.len());
            let form = json!({"username": name, "email": format!("{name}@example.org"),
                "password": crate::harness::client::PASSWORD}).to_string();
            let post = async |path: &str, form: String| {
                app.stranger().ask("POST", path, &headers, form).await
            };
            post("/register/", form.clone()).await.expect(201);
            let body = post("/login/", form).await.expect(200);
            let sent = json!({"refresh_token": body["refresh_token"]}).to_string();
            let body = post("/refresh/", sent).await.expect(200);
            post("/logout/", json!({}).to_string()).await.expect(200);
            let user = app.stranger().with_token(body["token"].as_str().expect("a token"));
            user.get("/rooms/").await.expect(200);
            for path in ["/healthz", "/readyz", "/docs", "/openapi.json", "/openapi.yaml"] {
                let answer = app.stranger().ask("GET", path, &headers, "").await;
                assert_eq!(answer.status, 200, "{path}");
            }
        }
    }
}
