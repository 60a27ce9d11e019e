//! `chatroom createsuperuser` where nobody is asked.

use serde_json::json;

use super::program::Site;
use crate::harness::App;

const DONE: &str = "Superuser created successfully.\n";
const PASSWORD: &str = "a horse of a different colour";
const FLAGS: &str = "createsuperuser --username ann --email ann@example.org --password-stdin";

/// How many superusers there are.
async fn superusers(site: &Site) -> i64 {
    site.place
        .count("select count(*) from users where is_superuser")
        .await
}

on_both! {
    async fn flags_are_stronger_than_the_environment_and_our_names_than_djangos(db) {
        let site = Site::migrated(db)
            .with("DJANGO_SUPERUSER_EMAIL", "ann@example.org")
            .with("DJANGO_SUPERUSER_USERNAME", "django")
            .with("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
            .with("CHATROOM_SUPERUSER_USERNAME", "env");
        let ran = site.run("createsuperuser --noinput --username flag");
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), (DONE, "", 0));
        let ran = site.run("createsuperuser --no-input --email bob@example.org --json");
        assert_eq!(ran.stderr, DONE);
        let bob = json!({"id": 2, "username": "env", "email": "bob@example.org", "created": true});
        assert_eq!(ran.json(), bob);
        let site = site.with("CHATROOM_SUPERUSER_USERNAME", "");
        assert_eq!(site.run("createsuperuser --noinput --email c@example.org").ok(), DONE);

        let app = App::start_in(site.place.clone(), &[]).await;
        for name in ["flag", "env", "django"] {
            app.stranger().log_in(name, PASSWORD).await;
        }
        assert_eq!(superusers(&site).await, 3);
    }

    async fn a_password_is_handed_in_by_a_pipe_or_a_file(db) {
        let site = Site::migrated(db);
        let ran = site.call(FLAGS).input(" with spaces around \r\nsecond line\n").run();
        assert_eq!(ran.ok(), DONE);
        site.write("password", "stapled to a battery\n");
        let bob = "createsuperuser --username bob --email bob@example.org --password-file";
        assert_eq!(site.run(&format!("{bob} password")).ok(), DONE);
        site.run(&format!("{bob} nowhere")).refused(1, &["error: nowhere: cannot be read: "]);

        let app = App::start_in(site.place.clone(), &[]).await;
        app.stranger().log_in("ann", " with spaces around ").await;
        app.stranger().log_in("bob@example.org", "stapled to a battery").await;
    }

    async fn what_is_taken_is_left_as_it_is(db) {
        let site = Site::migrated(db);
        site.call(FLAGS).input(PASSWORD).run().ok();
        let same = "createsuperuser --password-stdin --username ANN --email Ann@Example.ORG";
        let ran = site.call(same).input("stapled to a battery").run();
        ran.refused(4, &[
            "error: username: A user with that username already exists.\n",
            "error: email: A user with that email already exists.\n",
        ]);
        for (username, email) in [("ann", "ann@example.org"), ("ann", "b@example.org"), ("b", "ann@example.org")] {
            let line = format!(
                "createsuperuser --password-stdin --if-not-exists --username {username} --email {email}"
            );
            let ran = site.call(&line).input("stapled to a battery").run();
            assert_eq!(ran.ok(), "There is a user ann already; nothing was changed.\n");
            let ran = site.call(&line).arg("--json").input("stapled to a battery").run();
            let ann = json!({"id": 1, "username": "ann", "email": "ann@example.org", "created": false});
            assert_eq!(ran.json(), ann);
        }
        let app = App::start_in(site.place.clone(), &[]).await;
        app.stranger().log_in("ann", PASSWORD).await;
        assert_eq!(superusers(&site).await, 1);
    }

    async fn a_user_who_is_no_superuser_is_not_taken_for_one(db) {
        let app = App::start(db).await;
        let form = json!({"username": "root@corp.example", "email": "cara@example.org",
            "password": "stapled to a battery"});
        app.stranger().post("/register/", form).await.expect(201);
        let site = Site::at(app.place.clone());
        // Calling oneself as another's address is called does not keep that one out.
        let line = "createsuperuser --password-stdin --if-not-exists --username root --email root@corp.example";
        assert_eq!(site.call(line).input(PASSWORD).run().ok(), DONE);
        let line = "createsuperuser --password-stdin --if-not-exists --username x --email cara@example.org";
        let ran = site.call(line).input(PASSWORD).run();
        ran.refused(4, &["error: there is a user root@corp.example already, who is no superuser\n"]);
        assert_eq!(superusers(&site).await, 1);
    }

    async fn if_there_is_nobody_yet_one_is_made(db) {
        let site = Site::migrated(db);
        let ran = site.call(&format!("{FLAGS} --if-not-exists")).input(PASSWORD).run();
        assert_eq!(ran.ok(), DONE);
        assert_eq!(superusers(&site).await, 1);
    }

    async fn a_user_becomes_a_superuser_and_gets_a_new_password(db) {
        let app = App::start(db).await;
        let cara = app.user("cara").await;
        let site = Site::at(app.place.clone());
        assert_eq!(superusers(&site).await, 0);
        let line = "createsuperuser --update --password-stdin --email Cara@example.org";
        let ran = site.call(line).input(PASSWORD).run();
        assert_eq!(ran.ok(), "Superuser updated successfully.\n");

        let old = json!({"username": "cara", "password": "correct horse battery"});
        assert_eq!(app.stranger().post("/login/", old).await.status, 400);
        cara.get("/rooms/").await.refused(401, "token_invalid");
        let cara = app.stranger().log_in("cara", PASSWORD).await;
        app.user("dan").await;
        let list = cara.get("/api/users/").await.expect(200);
        assert_eq!(list[0]["email"], "dan@example.org");

        // Whoever is not there yet is made, and needs a name.
        let line = "createsuperuser --update --password-stdin --email eve@example.org --json";
        site.call(line).input(PASSWORD).run().refused(1, &["error: username: This field may not be blank.\n"]);
        let ran = site.call(line).arg("--username=eve").input(PASSWORD).run();
        assert_eq!(ran.json()["created"], true);
    }

    async fn rules_hold_where_nobody_can_waive_them(db) {
        let site = Site::migrated(db);
        let line = "createsuperuser --password-stdin --username bob --email bob";
        site.call(line).input("1234567\n").run().refused(1, &[
            "error: email: Enter a valid email address.\n",
            "error: password: This password is too short. It must contain at least 8 characters.\n",
            "error: password: This password is too common.\n",
            "error: password: This password is entirely numeric.\n",
        ]);
        let line = "createsuperuser --password-stdin --username annabel --email a@example.org";
        site.call(line).input("annabel77\n").run().refused(1, &[
            "error: password: The password is too similar to the username.\n",
        ]);
        site.call(line).input("\n").run().refused(1, &["error: password: "]);
        assert_eq!(site.place.count("select count(*) from users").await, 0);
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do_and_makes_nothing() {
    let site = Site::bare();
    site.run("createsuperuser --username ann --email ann@example.org").refused(
        2,
        &[
            "error: standard input is not a terminal: nobody can be asked\n",
            "hint: give --email and --username with --password-stdin or --password-file FILE; or \
             --noinput with CHATROOM_SUPERUSER_EMAIL",
        ],
    );
    for (line, missing, flag) in [
        ("--username ann", "email", "--email"),
        ("--email ann@example.org", "username", "--username"),
        (
            "--username ann --email ann@example.org",
            "password",
            "--password-stdin or --password-file",
        ),
    ] {
        site.run(&format!("createsuperuser --noinput {line}"))
            .refused(
                2,
                &[
                    &format!("error: no {missing} is given, and nobody can be asked\n"),
                    &format!(
                        "hint: use {flag}, or set CHATROOM_SUPERUSER_{}",
                        missing.to_uppercase()
                    ),
                ],
            );
    }
    assert!(!site.folder().join("data").exists());
}

#[test]
fn a_password_is_no_argument() {
    let site = Site::bare();
    for flag in ["--password hunter2", "--password=hunter2"] {
        let line = format!("createsuperuser --username ann --email ann@example.org {flag}");
        let ran = site.run(&line);
        ran.refused(2, &["unexpected argument '--password"]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    }
    assert!(!site.folder().join("data").exists());
}

#[tokio::test]
async fn an_empty_folder_gets_its_database() {
    let site = Site::bare();
    site.call(FLAGS).input(PASSWORD).run().ok();
    assert_eq!(super::program::mode(site.folder().join("data")), 0o700);
    let server = site.serve();
    assert!(!server.said().contains("none yet"), "{}", server.said());
    server.stranger().log_in("ann", PASSWORD).await;
    server.stop();
}
