//! `chatroom rooms history`.

use super::program::Site;
use crate::harness::App;

/// The ids in the first column of a table.
fn ids(table: &str) -> Vec<i64> {
    let rows = table.lines().skip(1);
    rows.map(|row| {
        row.split(' ')
            .next()
            .expect("a cell")
            .parse()
            .expect("an id")
    })
    .collect()
}

on_both! {
    async fn a_room_is_read_page_by_page(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let site = Site::at(app.place.clone());
        let ran = site.run("rooms history general");
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), ("", "There are no messages.\n", 0));

        for n in 1..=60 {
            ann.say(&room, &format!("message {n}")).await;
        }
        for (flags, first, last, more) in [
            ("", 11, 60, "There are older messages: --before 11\n"),
            ("--limit 200", 1, 60, ""),
            ("--limit 5", 56, 60, "There are older messages: --before 56\n"),
            ("--limit 5 --before 56", 51, 55, "There are older messages: --before 51\n"),
            ("--limit 5 --before 6", 1, 5, ""),
            ("--limit 5 --after 0", 1, 5, "There are newer messages: --after 5\n"),
            ("--limit 5 --after 55", 56, 60, ""),
        ] {
            let ran = site.run(&format!("rooms history general {flags}"));
            assert_eq!(ran.stderr, more, "{flags}");
            assert_eq!(ids(&ran.ok()), (first..=last).collect::<Vec<i64>>(), "{flags}");
        }
        app.stop().await;
        let table = site.run(&format!("rooms history {room} --limit 1")).ok();
        let (head, row) = table.split_once('\n').expect("two lines");
        assert_eq!(head.split("  ").filter(|c| !c.is_empty()).map(str::trim).collect::<Vec<_>>(), [
            "ID", "TIME (UTC)", "USER", "MESSAGE",
        ]);
        assert!(row.starts_with("60  2") && row.ends_with("  ann   message 60\n"), "{row}");
    }

    async fn programs_get_what_rest_answers(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let site = Site::at(app.place.clone());
        for text in ["one", "two\nlines", "\u{202e}three"] {
            ann.say(&room, text).await;
        }
        for (query, flags) in [
            ("", ""),
            ("limit=2", "--limit 2"),
            ("limit=1&before=3", "--limit 1 --before 3"),
            ("after=1", "--after 1"),
            ("after=3", "--after 3"),
        ] {
            let printed = site.run(&format!("rooms history general --json {flags}")).json();
            let answered = ann.get(&format!("/messages/{room}/?{query}")).await.expect(200);
            assert_eq!(printed, answered, "{query}");
        }
    }

    async fn what_a_terminal_would_obey_is_shown_and_not_obeyed(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let site = Site::at(app.place.clone());
        ann.say(&room, "two\n\tlines, \u{202e}sdrawkcab\u{2069}, and 👩‍👩‍👧 שלום").await;
        ann.say(&room, "old").await;
        // No door lets this in; another program may.
        site.place.sql("update messages set body = 'a\u{1b}]0;title\u{7}b\u{9b}2J' where id = 2").await;
        let table = site.run("rooms history general").ok();
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains(r"two\n\tlines, \u{202e}sdrawkcab\u{2069}, and 👩‍👩‍👧 שלום"), "{table}");
        assert!(table.contains(r"a\u{1b}]0;title\u{7}b\u{9b}2J"), "{table}");
        let harmful = |c: char| c.is_control() && c != '\n';
        assert!(!table.contains(harmful), "{table:?}");
    }

    async fn a_table_fits_the_terminal(db) {
        let app = App::start(db).await;
        let ann = app.user("ann").await;
        let room = ann.room("general").await;
        let words: Vec<_> = (100..130).map(|n| format!("word{n}")).collect();
        ann.say(&room, &words.join(" ")).await;
        let site = Site::at(app.place.clone());
        let (code, screen) = site.type_at("stty cols 60; exec chatroom rooms history general").end();
        assert_eq!(code, 0, "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= 60), "{screen}");
        assert!(words.iter().all(|word| screen.contains(word)), "{screen}");
    }
}
