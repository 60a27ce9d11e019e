//! Questions to somebody at a terminal, and their answers.

use super::program::Site;
use super::terminal::Terminal;
use crate::harness::App;

const ASK: &str = "exec chatroom createsuperuser";

/// Somebody whom the questions begin to be put to.
fn asked(site: &Site) -> Terminal {
    let mut terminal = site.type_at(ASK);
    terminal.sees("Email: ");
    terminal
}

/// Answers the two questions for a password.
fn password(terminal: &mut Terminal, first: &str, again: &str) {
    terminal.sees("Password: ").types(first);
    terminal.sees("Password (again): ").types(again);
}

on_both! {
    async fn each_wrong_answer_is_told_and_asked_for_again(db) {
        let site = Site::migrated(db);
        let ann = "createsuperuser --username ann --email ann@example.org --password-stdin";
        site.call(ann).input("correct horse battery").run().ok();

        let mut it = asked(&site);
        it.types("").sees("Error: This field may not be blank.").sees("Email: ");
        it.types("nonsense").sees("Error: Enter a valid email address.").sees("Email: ");
        it.types("Ann@Example.org").sees("Error: That email is already taken.").sees("Email: ");
        it.types("tilda@example.org").sees("Username: ");
        it.types("ANN").sees("Error: That username is already taken.").sees("Username: ");
        it.types("tilda");
        password(&mut it, "one-thing-or", "other-thing");
        it.sees("Error: Your passwords didn't match.");
        password(&mut it, "   ", "   ");
        it.sees("Error: Blank passwords aren't allowed.");
        password(&mut it, "tilda9", "tilda9");
        it.sees("The password is too similar to the username.");
        it.sees("This password is too short. It must contain at least 8 characters.");
        it.sees("Bypass password validation and create user anyway? [y/N]: ").types("");
        password(&mut it, "87654321", "87654321");
        it.sees("This password is too common.").sees("This password is entirely numeric.");
        it.sees("[y/N]: ").types("N");
        password(&mut it, "a horse of a different colour", "a horse of a different colour");
        it.sees("Superuser created successfully.");
        let (code, screen) = it.end();
        assert_eq!(code, 0);
        for secret in ["one-thing", "other-thing", "tilda9", "87654321", "horse"] {
            assert!(!screen.contains(secret), "{screen}");
        }
        // What may be seen, is: the terminal does echo.
        assert!(screen.contains("Email: nonsense"), "{screen}");

        let app = App::start_in(site.place.clone(), &[]).await;
        app.stranger().log_in("tilda", "a horse of a different colour").await;
    }

    async fn whoever_insists_may_have_a_weak_password(db) {
        let site = Site::migrated(db);
        let mut it = site.type_at("exec chatroom createsuperuser --email root@example.org --json");
        it.sees("Username: ").types("root");
        password(&mut it, "password", "password");
        it.sees("This password is too common.").sees("[y/N]: ").types("y");
        it.sees("Superuser created successfully.").sees(r#""username":"root""#);
        assert_eq!(it.end().0, 0);
        let app = App::start_in(site.place.clone(), &[]).await;
        app.stranger().log_in("root", "password").await;
    }

    async fn ctrl_c_at_any_question_leaves_everything_as_it_was(db) {
        let site = Site::migrated(db);
        let mut at_email = asked(&site);
        let mut at_username = asked(&site);
        at_username.types("ann@example.org").sees("Username: ");
        let mut at_password = asked(&site);
        at_password.types("ann@example.org").sees("Username: ").types("ann").sees("Password: ");
        for it in [&mut at_email, &mut at_username, &mut at_password] {
            it.presses("\u{3}").sees("Operation cancelled.");
        }
        for it in [at_email, at_username, at_password] {
            let (code, screen) = it.end();
            assert_eq!(code, 130, "{screen}");
        }
        assert_eq!(site.place.count("select count(*) from users").await, 0);
    }
}

#[test]
fn whoever_leaves_the_terminal_has_cancelled() {
    let mut it = asked(&Site::bare());
    it.presses("\u{4}").sees("Operation cancelled.");
    assert_eq!(it.end().0, 130);
}

#[test]
fn the_terminal_shows_again_what_is_typed() {
    let mut it =
        Site::bare().type_at("trap : INT; chatroom createsuperuser; echo code $?; stty -a");
    it.sees("Email: ")
        .types("ann@example.org")
        .sees("Username: ")
        .types("ann");
    it.sees("Password: ").types("a horse of a different colour");
    it.sees("Password (again): ").presses("half\u{3}");
    it.sees("Operation cancelled.").sees("code 130");
    let (_, screen) = it.end();
    assert!(screen.contains(" icanon "), "{screen}");
    assert!(screen.contains(" echo "), "{screen}");
    assert!(!screen.contains("half"), "{screen}");
}

#[test]
fn what_is_given_and_will_not_do_is_told_before_the_first_question() {
    let site = Site::bare();
    let (code, screen) = site.type_at(&format!("{ASK} --email nonsense")).end();
    assert_eq!(
        (
            code,
            screen.contains("error: email: Enter a valid email address.")
        ),
        (1, true)
    );
    let ann = "createsuperuser --username ann --email ann@example.org --password-stdin";
    site.call(ann).input("correct horse battery").run().ok();
    let (code, screen) = site
        .type_at(&format!("{ASK} --email ann@example.org"))
        .end();
    assert_eq!(
        (
            code,
            screen.contains("error: email: That email is already taken.")
        ),
        (4, true)
    );
}
