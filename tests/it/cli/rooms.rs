//! `chatroom rooms …`, with the server up and down.

use serde_json::{Value, json};

use super::program::Site;
use crate::harness::{App, Db, User};

const NOWHERE: &str = "00000000-0000-4000-8000-000000000000";
const NOT_FOUND: &str = "error: Room not found\n";

/// A server with two users, and a room of theirs.
struct Town {
    app: App,
    site: Site,
    ann: User,
    bob: User,
    room: String,
}

impl Town {
    async fn new(db: Db) -> Self {
        let app = App::start(db).await;
        let (ann, bob) = (app.user("ann").await, app.user("bob").await);
        let room = ann.room("General chat").await;
        bob.join(&room).await;
        let site = Site::at(app.place.clone());
        Self {
            app,
            site,
            ann,
            bob,
            room,
        }
    }
}

/// The words of a table's line.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}

on_both! {
    async fn rooms_are_listed_by_name(db) {
        let Town { app, site, ann, room, .. } = Town::new(db).await;
        let other = ann.room("Another").await;
        ann.say(&room, "hi").await;
        let up = site.run("rooms list");
        assert_eq!(up.stderr, "");
        let table = up.ok();
        let lines: Vec<_> = table.lines().map(cells).collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert_eq!(lines[0], ["ID", "NAME", "CREATED BY", "CREATED (UTC)", "MESSAGES"]);
        assert_eq!(lines[1][..3], [other.as_str(), "Another", "ann"]);
        assert_eq!(lines[2][..3], [room.as_str(), "General chat", "ann"]);
        assert_eq!((lines[1][4], lines[2][4]), ("0", "1"));

        app.stop().await;
        assert_eq!(site.run("rooms ls").ok(), table);
        let document = site.run("rooms list --json").json();
        assert_eq!(document["count"], 2);
        let listed = &document["rooms"][1];
        assert_eq!(listed["room_id"], room);
        assert_eq!(listed["room_name"], "General chat");
        assert_eq!(listed["created_by"], json!({"id": 1, "username": "ann"}));
        assert_eq!((&listed["last_id"], &listed["last_seq"]), (&json!(1), &json!(1)));
        assert!(listed["created_at"].as_str().expect("text").ends_with("+00:00"));
    }

    async fn no_rooms_are_no_data(db) {
        let site = Site::migrated(db);
        let ran = site.run("rooms list");
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), ("", "There are no rooms.\n", 0));
        assert_eq!(site.run("rooms list --json").json(), json!({"rooms": [], "count": 0}));
    }

    async fn a_room_is_shown_by_its_id_in_any_spelling_or_its_name(db) {
        let Town { app: _app, site, room, .. } = Town::new(db).await;
        let text = site.run(&format!("rooms show {room}")).ok();
        let lines: Vec<_> = text.lines().map(cells).collect();
        assert_eq!(lines[0], ["ID", &room]);
        assert_eq!(lines[1], ["Name", "General chat"]);
        assert_eq!(lines[2], ["Created by", "ann"]);
        assert_eq!(lines[4], ["Members", "2"]);
        let document = site.run(&format!("rooms show --json {room}")).json();
        assert_eq!((&document["room_id"], &document["member_count"]), (&json!(room), &json!(2)));
        for spelling in [&room.to_uppercase(), &room.replace('-', ""), " general CHAT "] {
            let ran = site.call("rooms show --json").arg(spelling).run();
            assert_eq!(ran.json(), document, "{spelling}");
        }
    }

    async fn what_is_not_there_is_exit_code_3(db) {
        let Town { app: _app, site, .. } = Town::new(db).await;
        for room in [NOWHERE, "nowhere", "%", "-"] {
            for command in ["show", "members", "history", "delete --yes"] {
                site.run(&format!("rooms {command} --json {room}")).refused(3, &[NOT_FOUND]);
            }
        }
        site.call("rooms show").arg("").run().refused(3, &[NOT_FOUND]);
        site.run("rooms create new --owner nobody").refused(3, &["error: User not found\n"]);
        assert_eq!(site.place.count("select count(*) from rooms").await, 1);
    }

    async fn a_room_that_is_made_here_is_there_for_everyone(db) {
        let Town { app: _app, site, bob, .. } = Town::new(db).await;
        let ran = site.call("rooms create --owner BOB").arg(" Über uns ").run();
        assert_eq!(ran.stderr, "Room \"Über uns\" created; it belongs to bob.\n");
        let id = ran.ok();
        let rooms = bob.get("/rooms/").await.expect(200);
        assert_eq!(rooms["count"], 2);
        assert_eq!(rooms["rooms"][1]["room_id"], id.trim_end());
        assert_eq!(rooms["rooms"][1]["room_name"], "Über uns");
        bob.say(id.trim_end(), "hi").await;
        let mut socket = bob.socket(id.trim_end()).await;
        assert_eq!(socket.expect("message_history").await["messages"][0]["message"], "hi");

        let document = site.run("rooms create --json --owner ann@example.org second").json();
        assert_eq!(document["created_by"]["username"], "ann");
        assert_eq!(document["room_name"], "second");
    }

    async fn a_name_that_is_taken_is_exit_code_4_and_one_that_will_not_do_is_1(db) {
        let Town { app: _app, site, .. } = Town::new(db).await;
        let create = |name: &str| site.call("rooms create --owner ann").arg(name).run();
        create("GENERAL chat").refused(4, &["error: A room with this name already exists\n"]);
        create(" ").refused(1, &["error: Chat room name is required\n"]);
        create("a\nb").refused(1, &["error: A room name may not have control characters\n"]);
        create(&"x".repeat(256)).refused(1, &["error: A room name has at most 255 characters\n"]);
        assert_eq!(site.place.count("select count(*) from rooms").await, 1);
    }

    async fn members_are_listed(db) {
        let Town { app: _app, site, room, .. } = Town::new(db).await;
        let text = site.run(&format!("rooms members {room}")).ok();
        let lines: Vec<_> = text.lines().map(cells).collect();
        assert_eq!(lines[0], ["ID", "USERNAME", "EMAIL", "ROLE", "JOINED (UTC)"]);
        assert_eq!(lines[1][..4], ["1", "ann", "ann@example.org", "owner"]);
        assert_eq!(lines[2][..4], ["2", "bob", "bob@example.org", "member"]);
        let document = site.call("rooms members --json").arg("general chat").run().json();
        assert_eq!((&document["room_id"], &document["count"]), (&json!(room), &json!(2)));
        let names: Vec<&Value> = (0..2).map(|n| &document["members"][n]["username"]).collect();
        assert_eq!(names, ["ann", "bob"]);
        assert_eq!(document["members"][1]["role"], "member");
    }

    async fn a_room_that_is_deleted_here_ends_its_sockets(db) {
        let Town { app: _app, site, ann, bob, room, .. } = Town::new(db).await;
        let kept = ann.room("kept").await;
        let mut sockets = [ann.socket(&room).await, bob.socket(&room).await];
        let mut other = ann.socket(&kept).await;
        other.expect("message_history").await;
        for socket in &mut sockets {
            socket.expect("message_history").await;
        }
        site.call("rooms delete").arg("General chat").run().refused(2, &[
            "error: standard input is not a terminal: nobody can be asked\n",
            "hint: --yes deletes without asking\n",
        ]);
        let ran = site.run(&format!("rooms delete --yes --json {room}"));
        assert_eq!(ran.stderr, "Room \"General chat\" deleted.\n");
        let gone = json!({"deleted_room": {"room_id": room, "room_name": "General chat"}});
        assert_eq!(ran.json(), gone);
        for socket in &mut sockets {
            assert_eq!(socket.closed().await, 4004);
        }
        ann.get(&format!("/messages/{room}/")).await.refused(404, "room_not_found");
        other.quiet().await;
        site.run(&format!("rooms rm {room} --yes")).refused(3, &[NOT_FOUND]);
    }

    async fn at_a_terminal_deleting_asks(db) {
        let Town { app: _app, site, ann, room, .. } = Town::new(db).await;
        ann.say(&room, "hi").await;
        let question = "Delete room \"General chat\" with 1 message(s) and 2 member(s)? [y/N] ";
        for no in ["n", "", "yes please"] {
            let mut it = site.type_at(&format!("exec chatroom rooms delete {room}"));
            it.sees(question).types(no).sees("error: nothing was deleted");
            assert_eq!(it.end().0, 1);
        }
        let mut it = site.type_at(&format!("exec chatroom rooms delete {room}"));
        it.sees(question).presses("\u{3}").sees("Operation cancelled.");
        assert_eq!(it.end().0, 130);
        assert_eq!(site.place.count("select count(*) from rooms").await, 1);
        let mut it = site.type_at(&format!("exec chatroom rooms delete {room}"));
        it.sees(question).types("y").sees("Room \"General chat\" deleted.");
        assert_eq!(it.end().0, 0);
        assert_eq!(site.place.count("select count(*) from rooms").await, 0);
    }

    async fn what_is_printed_cannot_harm_a_terminal(db) {
        let Town { app: _app, site, ann, room, .. } = Town::new(db).await;
        ann.room("user\u{202e}nimda").await;
        let table = site.run("rooms list").ok();
        assert!(table.contains(r"user\u{202e}nimda"), "{table}");
        site.place.sql("update users set username = 'x\u{1b}[31m\u{7}y' where id = 2").await;
        let table = site.run(&format!("rooms members {room}")).ok();
        assert!(table.contains(r"x\u{1b}[31m\u{7}y"), "{table}");
        let ran = site.call("rooms delete --yes").arg("user\u{202e}nimda").run();
        assert_eq!(ran.stderr, "Room \"user\\u{202e}nimda\" deleted.\n");
        // Programs get JSON's own escapes.
        let ran = site.run(&format!("rooms members --json {room}"));
        assert!(ran.stdout.contains(r"x\u001b[31m\u0007y"), "{ran:#?}");
    }

    async fn whoever_stops_reading_is_no_error(db) {
        let Town { app: _app, site, ann, room, .. } = Town::new(db).await;
        // More than a pipe holds.
        let long = "x".repeat(16_000);
        for _ in 0..12 {
            ann.say(&room, &long).await;
        }
        for line in ["rooms list", "rooms list --json", &format!("rooms history {room}"), "--help"] {
            let script = format!("{{ chatroom {line}; echo code $? >&2; }} | head -n 1 | cut -c 1-20");
            let (code, screen) = site.type_at(&script).end();
            assert_eq!((code, screen.contains("code 0")), (0, true), "{line}: {screen}");
            assert!(!screen.contains("panicked") && !screen.contains("error"), "{screen}");
        }
        // A disk that is full is one.
        let (code, screen) = site.type_at("exec chatroom rooms list >/dev/full").end();
        assert_eq!((code, screen.contains("error: cannot write the output: ")), (1, true), "{screen}");
    }
}

#[test]
fn without_a_database_there_is_nothing_to_look_at() {
    let site = Site::bare();
    for line in [
        "list",
        "show general",
        "create x --owner ann",
        "delete general --yes",
    ] {
        site.run(&format!("rooms {line}")).refused(
            1,
            &[
                "error: there is no database yet: sqlite:///",
                "hint: `chatroom serve` makes it",
            ],
        );
    }
    assert!(!site.folder().join("data").exists());
}
