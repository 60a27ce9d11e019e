//! `/api/users/`: whom one sees, in which order, a page at a time.

use serde_json::{Value, json};

use crate::harness::client::PASSWORD;
use crate::harness::{Answer, App, User};

/// Accounts that nobody has to log in to: made without hashing.
async fn insert(app: &App, first: usize, last: usize) {
    let rows: Vec<String> = (first..=last)
        .map(|n| {
            format!(
                "('u{n}', 'u{n}', 'u{n}@example.org', 'u{n}@example.org', '', '', 'u{n}', '', \
                 '2026-01-01T00:00:00.000000+00:00')"
            )
        })
        .collect();
    let sql = format!(
        "insert into users (username, username_key, email, email_key, first_name, last_name, \
         search_key, password_hash, created_at) values {}",
        rows.join(", ")
    );
    app.place.sql(&sql).await;
}

fn names(body: &Value) -> Vec<&str> {
    let list = body.as_array().expect("an array");
    list.iter()
        .map(|user| user["username"].as_str().expect("a name"))
        .collect()
}

async fn found(user: &User, search: &str) -> Vec<String> {
    let query = serde_urlencoded::to_string([("search", search)]).expect("a query");
    let body = user.get(&format!("/api/users/?{query}")).await.expect(200);
    names(&body).into_iter().map(str::to_owned).collect()
}

/// Where the next page is, if there is one.
fn next_page(answer: &Answer) -> Option<String> {
    let link = answer.header("link");
    let path = link.strip_prefix('<')?.strip_suffix(r#">; rel="next""#);
    Some(path.unwrap_or_else(|| panic!("{link}")).to_owned())
}

async fn pages(user: &User, first: &str) -> Vec<Vec<i64>> {
    let mut pages = Vec::new();
    let mut path = Some(first.to_owned());
    while let Some(here) = path {
        let answer = user.get(&here).await;
        let body = answer.expect(200);
        let ids = body
            .as_array()
            .expect("an array")
            .iter()
            .map(|u| u["id"].as_i64().expect("an id"));
        pages.push(ids.collect());
        path = next_page(&answer);
        assert!(pages.len() < 100, "the pages do not end");
    }
    pages
}

on_both! {
    async fn the_list_is_everybody_else_who_is_active_by_id(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        assert_eq!(ann.get("/api/users/").await.text, "[]");
        let form = json!({"username": "zoe", "email": "z@example.org", "password": PASSWORD,
            "first_name": "Zoë", "last_name": "B"});
        app.stranger().post("/register/", form).await.expect(201);
        for name in ["bob", "carl"] {
            let email = format!("{name}@example.org");
            let form = json!({"username": name, "email": email, "password": PASSWORD});
            app.stranger().post("/register/", form).await.expect(201);
        }
        app.place.sql("update users set is_active = false where username = 'bob'").await;
        for path in ["/api/users/", "/api/users", "/api/users/?search=", "/api/users/?search=+"] {
            let answer = ann.get(path).await;
            assert_eq!(
                answer.text,
                r#"[{"id":2,"username":"zoe","first_name":"Zoë","last_name":"B"},{"id":4,"username":"carl","first_name":"","last_name":""}]"#
            );
            assert_eq!(answer.header("link"), "");
        }
    }

    async fn addresses_are_for_superusers(db) {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        app.place.sql("update users set is_superuser = true where username = 'ann'").await;
        assert_eq!(
            ann.get("/api/users/").await.expect(200),
            json!([{"id": bob.id, "username": "bob", "first_name": "", "last_name": "",
                "email": "bob@example.org"}])
        );
        assert_eq!(
            bob.get("/api/users/").await.expect(200),
            json!([{"id": ann.id, "username": "ann", "first_name": "", "last_name": ""}])
        );
        // Nor can others find out an address by searching for it.
        assert_eq!(found(&ann, "bob@EXAMPLE").await, ["bob"]);
        assert_eq!(found(&bob, "ann@example").await, Vec::<String>::new());
        app.place.sql("update users set is_superuser = false").await;
        assert_eq!(ann.get("/api/users/").await.expect(200)[0].get("email"), None);
    }

    async fn the_old_front_end_sees_addresses(db) {
        let app = App::start_with(db, &[("compat.shh_frontend", "true")]).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        assert_eq!(
            ann.get("/api/users/").await.expect(200),
            json!([{"id": bob.id, "username": "bob", "first_name": "", "last_name": "",
                "email": "bob@example.org"}])
        );
    }

    async fn a_search_finds_parts_of_names_without_regard_to_case(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        for (n, name, first, last) in [
            (1, "bobby", "Rôbert", "Straße"),
            (2, "50%_off", "", ""),
            (3, "ЖАННА", "Žofie", "O'Neill"),
            (4, "back\\slash", "first", "second"),
        ] {
            let email = format!("x{n}@example.org");
            let form = json!({"username": name, "email": email, "password": PASSWORD,
                "first_name": first, "last_name": last});
            app.stranger().post("/register/", form).await.expect(201);
        }
        let (bobby, percent, zhanna, slash) = ("bobby", "50%_off", "ЖАННА", "back\\slash");
        for (search, who) in [
            ("OBB", vec![bobby]),
            (" bob ", vec![bobby]),
            ("rÔB", vec![bobby]),
            ("ro\u{302}b", vec![bobby]),
            ("STRASSE", vec![bobby]),
            ("ｂｏｂ", vec![bobby]),
            ("жанна", vec![zhanna]),
            ("žOF", vec![zhanna]),
            ("o'ne", vec![zhanna]),
            ("%", vec![percent]),
            ("_", vec![percent]),
            ("0%_", vec![percent]),
            ("b%y", vec![]),
            ("b_b", vec![]),
            ("\\", vec![slash]),
            ("\\s", vec![slash]),
            ("ann", vec![]),
            // Part of one name, not of two that stand side by side.
            ("firstsecond", vec![]),
            ("example", vec![]),
        ] {
            assert_eq!(found(&ann, search).await, who, "{search:?}");
        }
        for bad in ["x".repeat(256), "a\u{0}".to_owned(), "first\nsecond".to_owned()] {
            let query = serde_urlencoded::to_string([("search", &bad)]).expect("a query");
            let answer = ann.get(&format!("/api/users/?{query}")).await;
            answer.refused(400, "invalid_parameter");
        }
    }

    async fn links_lead_through_all_pages(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        insert(&app, 2, 8).await;
        assert_eq!(
            pages(&ann, "/api/users/?limit=3").await,
            [vec![2, 3, 4], vec![5, 6, 7], vec![8]]
        );
        // The last page is full, and still the last.
        assert_eq!(pages(&ann, "/api/users/?limit=7").await, [vec![2, 3, 4, 5, 6, 7, 8]]);
        assert_eq!(pages(&ann, "/api/users?limit=4&after=3").await, [vec![4, 5, 6, 7], vec![8]]);
        assert_eq!(pages(&ann, "/api/users/?search=U&limit=5&after=2").await, [vec![3, 4, 5, 6, 7], vec![8]]);
        assert_eq!(pages(&ann, "/api/users/?after=8").await, [Vec::<i64>::new()]);
        assert_eq!(pages(&ann, "/api/users/?after=-5&limit=7").await.len(), 1);
        let answer = ann.get("/api/users/?limit=1&search=u").await;
        assert_eq!(answer.header("link"), r#"</api/users/?after=2&limit=1&search=u>; rel="next""#);
        // What is looked for is kept, whatever is in it.
        insert(&app, 9, 9).await;
        app.place.sql("update users set search_key = 'a&b=c d' where id >= 8").await;
        let found = pages(&ann, "/api/users/?limit=1&search=%26B%3Dc+d").await;
        assert_eq!(found, [vec![8], vec![9]]);
    }

    async fn a_page_has_a_thousand_at_most(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        insert(&app, 2, 1003).await;
        for path in ["/api/users/", "/api/users/?limit=1000", "/api/users/?limit=5000"] {
            let sizes: Vec<usize> = pages(&ann, path).await.iter().map(Vec::len).collect();
            assert_eq!(sizes, [1000, 2], "{path}");
        }
        let answer = ann.get("/api/users/?limit=0").await;
        assert_eq!(answer.expect(200).as_array().map(Vec::len), Some(1));
        for bad in [
            "limit=-1", "limit=abc", "limit=", "limit=1.5", "limit=99999999999999999999",
            "after=x", "after=99999999999999999999",
        ] {
            let answer = ann.get(&format!("/api/users/?{bad}")).await;
            let body = answer.refused(400, "invalid_parameter");
            let name = bad.split('=').next().expect("a name");
            assert!(body["detail"].as_str().is_some_and(|text| text.contains(name)), "{body}");
        }
    }
}
