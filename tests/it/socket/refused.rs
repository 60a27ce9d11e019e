//! Who is not let in, and with which code he learns it.

use std::time::Duration;

use serde_json::json;

use super::two;
use crate::harness::{App, Db, Socket};

const ORIGIN: (&str, &str) = ("origin", "http://localhost:5173");

/// The code of a socket that is closed before anything else.
async fn code(app: &App, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut socket = Socket::open(app.address, path, headers).await;
    socket
        .next_or_close()
        .await
        .expect_err("a close and no frame")
}

on_both! {
    async fn without_credentials_it_is_4000(db) {
        let app = App::start(db).await;
        let (_, _, room) = two(&app).await;
        let path = format!("/ws/chat/{room}/");
        for headers in [
            vec![],
            vec![ORIGIN],
            vec![("authorization", "Basic YTpi")],
            vec![("cookie", "access_token=; refresh_token=; session=1"), ORIGIN],
            vec![("cookie", "session=1"), ("origin", "http://evil.example")],
        ] {
            assert_eq!(code(&app, &path, &headers).await, 4000, "{headers:?}");
        }
        assert_eq!(code(&app, &format!("{path}?token="), &[]).await, 4000);
        assert_eq!(code(&app, "/ws/chat/nowhere/", &[]).await, 4000);
    }

    async fn with_only_a_refresh_cookie_it_is_4001(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let path = format!("/ws/chat/{room}/");
        let cookie = format!("refresh_token={}", ann.refresh);
        assert_eq!(code(&app, &path, &[("cookie", &cookie), ORIGIN]).await, 4001);
    }

    async fn with_a_token_that_is_no_good_it_is_4002(db) {
        let app = App::start(db).await;
        let (ann, bob, room) = two(&app).await;
        let path = format!("/ws/chat/{room}/");
        let long = "x".repeat(8000);
        for token in ["garbage", "a.b.c", "%00", "%ff", &ann.refresh, &long] {
            assert_eq!(code(&app, &format!("{path}?token={token}"), &[]).await, 4002, "{token}");
        }
        for header in ["Bearer garbage", "bearer x.y.z", "Bearer null"] {
            assert_eq!(code(&app, &path, &[("authorization", header)]).await, 4002, "{header}");
        }
        // A refresh cookie beside it does not help: the token was not ours.
        let cookie = format!("access_token=garbage; refresh_token={}", ann.refresh);
        assert_eq!(code(&app, &path, &[("cookie", &cookie), ORIGIN]).await, 4002);
        // A good cookie beside a bad header does not count.
        let cookie = format!("access_token={}", ann.token);
        let headers = [("cookie", cookie.as_str()), ORIGIN, ("authorization", "Bearer x")];
        assert_eq!(code(&app, &path, &headers).await, 4002);

        let with = |token: &str| format!("{path}?token={token}");
        ann.post("/logout/", json!({})).await.expect(200);
        assert_eq!(code(&app, &with(&ann.token), &[]).await, 4002);
        app.place.sql(&format!("update users set is_active = false where id = {}", bob.id)).await;
        assert_eq!(code(&app, &with(&bob.token), &[]).await, 4002);
        // Who cannot show who he is learns nothing of the rooms.
        let nowhere = format!("/ws/chat/nowhere/?token={}", bob.token);
        assert_eq!(code(&app, &nowhere, &[]).await, 4002);
    }

    async fn who_is_no_member_gets_4003(db) {
        let app = App::start(db).await;
        let (_, _, room) = two(&app).await;
        let eve = app.user("eve").await;
        for room in [room.as_str(), "general"] {
            let path = format!("/ws/chat/{room}/?token={}&after=0", eve.token);
            assert_eq!(code(&app, &path, &[]).await, 4003);
        }
    }

    async fn where_there_is_no_such_room_it_is_4004(db) {
        let app = App::start(db).await;
        let (ann, _, room) = two(&app).await;
        let gone = ann.room("gone").await;
        ann.delete(&format!("/room/delete/{gone}/")).await.expect(200);
        for room in [
            "00000000-0000-4000-8000-000000000000",
            "not-a-uuid",
            "1",
            "gone",
            "%20",
            "general%00",
            "%7B%7D",
            "💬",
            &gone,
            &format!("{room}0"),
            &"x".repeat(5000),
        ] {
            let path = format!("/ws/chat/{room}/?token={}", ann.token);
            assert_eq!(code(&app, &path, &[]).await, 4004, "{room}");
        }
    }
}

#[tokio::test]
async fn with_a_token_that_has_run_out_it_is_4001() {
    let app = App::start_with(Db::Sqlite, &[("auth.access_ttl", "1s")]).await;
    let ann = app.user("ann").await;
    // Tokens end at whole seconds, so it is at most one until this one has.
    while ann.get("/rooms/").await.status != 401 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let room = "00000000-0000-4000-8000-000000000000";
    let path = format!("/ws/chat/{room}/");
    assert_eq!(
        code(&app, &format!("{path}?token={}", ann.token), &[]).await,
        4001
    );
    let header = format!("Bearer {}", ann.token);
    assert_eq!(code(&app, &path, &[("authorization", &header)]).await, 4001);
    let cookie = format!("access_token={}", ann.token);
    assert_eq!(
        code(&app, &path, &[("cookie", &cookie), ORIGIN]).await,
        4001
    );
}
