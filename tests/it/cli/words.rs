//! The words of the command line: help, mistakes, and what people know from Django.

use std::fs;
use std::path::Path;

use super::program::Site;

#[test]
fn the_help_is_as_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.txt");
    let help = chatroom::cli::help();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &help).expect("to write");
    }
    let documented = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        documented == help,
        "docs/cli.txt is old: run the tests with UPDATE_GOLDEN=1"
    );
}

#[test]
fn what_is_asked_for_goes_to_stdout() {
    let site = Site::bare();
    let version = format!("chatroom {}\n", env!("CARGO_PKG_VERSION"));
    for line in ["--version", "-V"] {
        assert_eq!(site.run(line).ok(), version);
    }
    for line in [
        "--help",
        "help",
        "help rooms",
        "rooms create --help",
        "serve -h",
    ] {
        let ran = site.run(line);
        assert!(ran.stdout.contains("Usage: chatroom"), "{ran:#?}");
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
    }
    assert_eq!(fs::read_dir(site.folder()).expect("a folder").count(), 0);
}

#[test]
fn a_typing_error_gets_a_suggestion() {
    let site = Site::bare();
    for (line, meant) in [
        ("migrat", "'migrate'"),
        ("createsuperusr", "'createsuperuser'"),
        ("rooms lst", "'list'"),
        ("serve --prot 1", "'--port'"),
        ("rooms delete general --yess", "'--yes'"),
    ] {
        site.run(line).refused(2, &["error: ", meant]);
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let site = Site::bare();
    for line in [
        "",
        "rooms",
        "serve --port abc",
        "serve --port 70000",
        "serve --bind chat.example.org:80",
        "serve --bind 127.0.0.1:80 --port 80",
        "serve now",
        "migrate --check --plan",
        "createsuperuser --update --if-not-exists",
        "createsuperuser --password-stdin --password-file x",
        "rooms show",
        "rooms create general",
        "rooms history general --limit 0",
        "rooms history general --limit 201",
        "rooms history general --before 0",
        "rooms history general --before 2 --after 1",
        "migrate --set log.level",
        "migrate --set log.levle=debug",
        "migrate --set log.format=xml",
    ] {
        let ran = site.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{line}: {ran:#?}");
        assert!(!ran.stderr.is_empty(), "{line}");
    }
    assert_eq!(fs::read_dir(site.folder()).expect("a folder").count(), 0);
}

#[test]
fn djangos_words_are_answered_with_what_to_do() {
    let site = Site::bare();
    for (line, instead) in [
        ("makemigrations", "chatroom migrate"),
        ("makemigrations chat --empty", "chatroom migrate"),
        ("showmigrations", "chatroom migrate --plan"),
        ("collectstatic --noinput", "inside the program"),
        ("shell", "chatroom rooms --help"),
        ("dbshell", "sqlite3"),
        ("startapp polls", "/docs"),
        ("test", "scripts/test"),
        ("check --deploy", "chatroom migrate --check"),
        ("changepassword ann", "chatroom createsuperuser --update"),
    ] {
        let word = line.split(' ').next().expect("a word");
        let error = format!("error: there is no `{word}`: chatroom is not a Django project\n");
        site.run(line).refused(2, &[&error, "hint: ", instead]);
    }
}

#[test]
fn a_secret_is_not_taken_from_a_flag() {
    let site = Site::bare();
    for (setting, variable) in [
        ("secret_key=hunter2", "CHATROOM_SECRET_KEY"),
        (
            "database.url=postgres://ann:hunter2@127.0.0.1/chat",
            "DATABASE_URL",
        ),
        ("redis.url=redis://:hunter2@127.0.0.1/0", "REDIS_URL"),
    ] {
        let ran = site.run(&format!("serve --set {setting}"));
        ran.refused(
            2,
            &[
                "others could read a secret in the list of processes\n",
                "hint: ",
                variable,
            ],
        );
        assert!(!ran.stderr.contains("hunter2"), "{ran:#?}");
    }
}

#[test]
fn colours_are_for_terminals_and_no_color_is_heeded() {
    let site = Site::bare();
    let (code, screen) = site.type_at("exec chatroom --help").end();
    assert_eq!((code, screen.contains('\u{1b}')), (0, true), "{screen}");
    assert!(!site.run("--help").ok().contains('\u{1b}'));

    for (no_color, coloured) in [("", true), ("1", false)] {
        let site = Site::bare()
            .with("NO_COLOR", no_color)
            .with("REDIS_URL", "redis://127.0.0.1/0");
        let mut it = site.type_at("chatroom migrat; exec chatroom serve --port 0");
        it.sees("listening on http://").presses("\u{3}");
        it.sees("shutting down");
        let (code, screen) = it.end();
        assert_eq!((code, screen.contains('\u{1b}')), (0, coloured), "{screen}");
        // Pretty on a terminal; elsewhere JSON, as in the tests of `serve`.
        assert!(
            screen.contains("WARN") && !screen.contains("\"level\""),
            "{screen}"
        );
    }
}
