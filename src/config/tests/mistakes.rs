//! What is said about mistakes: where, what, and what to write instead.

use super::*;

#[test]
fn an_unknown_key_names_its_file_line_and_nearest_key() {
    let toml = "# one\n\n[server]\n# four\n\n\nbnid = \"127.0.0.1:1\"\n";
    Place::new().toml(toml).says(
        "config.toml:7: unknown key server.bnid",
        "did you mean server.bind?",
    );
    for (toml, message, hint) in [
        (
            "debgu = true",
            "config.toml:1: unknown key debgu",
            "did you mean debug?",
        ),
        (
            "\nbind = 1",
            "config.toml:2: unknown key bind",
            "did you mean server.bind?",
        ),
        (
            "server.port = 1",
            "config.toml:1: unknown key server.port",
            "did you mean server.bind?",
        ),
        (
            "DATABASE_URL = 1",
            "config.toml:1: unknown key DATABASE_URL",
            "did you mean database.url?",
        ),
        (
            "[server]\nsecret_key = \"x\"",
            "config.toml:2: unknown key server.secret_key",
            "did you mean secret_key, which stands above the first [section]?",
        ),
        (
            "[server]\nworkers = 4",
            "config.toml:2: unknown key server.workers",
            "[server] has bind, allowed_hosts, max_connections, head_timeout, idle_timeout, drain_timeout",
        ),
        (
            "time_zone = \"UTC\"",
            "config.toml:1: unknown key time_zone",
            "the top-level keys are debug, secret_key, data_dir",
        ),
        (
            "[sever]\nbind = 1",
            "config.toml:1: unknown section sever",
            "did you mean [server]?",
        ),
        (
            "[metrics]",
            "config.toml:1: unknown section metrics",
            "the sections are server, cors, database, redis, auth, sockets, compat, limits, log",
        ),
        (
            "server = 1",
            "config.toml:1: server is a section, not a key",
            "write [server] on a line of its own, and its keys below",
        ),
    ] {
        Place::new().toml(toml).says(message, hint);
    }
}

#[test]
fn an_unknown_variable_of_ours_is_an_error() {
    Place::new().dotenv("A=b\n\nCHATROOM_SERVER_BNID=x\n").says(
        ".env:3: unknown key CHATROOM_SERVER_BNID",
        "did you mean CHATROOM_SERVER_BIND?",
    );
    for (name, nearest) in [
        ("CHATROOM_SERVER_BNID", "CHATROOM_SERVER_BIND"),
        ("CHATROOM_BIND", "CHATROOM_SERVER_BIND"),
        ("CHATROOM_ALLOWED_HOSTS", "CHATROOM_SERVER_ALLOWED_HOSTS"),
        ("CHATROOM_DEBGU", "CHATROOM_DEBUG"),
        ("CHATROOM_PORT", "CHATROOM_SERVER_BIND"),
    ] {
        Place::new().env(name, "9").says(
            &format!("environment variable {name}: unknown key"),
            &format!("did you mean {nearest}?"),
        );
    }
    Place::new().env("CHATROOM_XYZZY", "hunter2").says(
        "environment variable CHATROOM_XYZZY: unknown key",
        "names that begin with CHATROOM_ are the server's own; config.toml lists them",
    );
}

#[test]
fn variables_that_others_use_are_let_be() {
    let mut place = Place::new();
    for name in [
        "CHATROOM_SUPERUSER_EMAIL",
        "CHATROOM_TEST_POSTGRES",
        "CHATROOM_SERVICE_HOST",
        "CHATROOM_SERVICE_PORT_HTTP",
        "CHATROOM_PORT",
        "CHATROOM_PORT_8000_TCP",
        "CHATROOM_PORT_8000_TCP_ADDR",
        "CHATROOM_REDIS_SERVICE_HOST",
        "CHATROOM_REDIS_SERVICE_PORT",
        "CHATROOM_REDIS_PORT",
        "CHATROOM_REDIS_PORT_6379_TCP_PROTO",
        "CHATROOMS",
        "LEVEL",
    ] {
        place = place.env(name, "tcp://10.0.0.1:8000");
    }
    assert_eq!(place.config().server.bind.port(), 8000);
}

#[test]
fn a_wrong_value_is_told_by_where_it_was_written() {
    let hint = "write 127.0.0.1:8000";
    let what = "\"here\" is not an IP address with a port";
    Place::new()
        .toml("\n[server]\nbind = \"here\"")
        .says(&format!("config.toml:3: server.bind: {what}"), hint);
    Place::new()
        .dotenv("\nCHATROOM_SERVER_BIND=here")
        .says(&format!(".env:2: CHATROOM_SERVER_BIND: {what}"), hint);
    Place::new().env("CHATROOM_SERVER_BIND", "here").says(
        &format!("environment variable CHATROOM_SERVER_BIND: {what}"),
        hint,
    );
    Place::new()
        .set("server.bind", "here")
        .says(&format!("--set server.bind: {what}"), hint);
    Place::new().env("PORT", "http").says(
        "environment variable PORT: \"http\" is not a port",
        "write a number from 0 to 65535",
    );
    Place::new().env("HOST", "x86_64-conda-linux-gnu").says(
        "environment variable HOST: \"x86_64-conda-linux-gnu\" is not an IP address",
        "write 127.0.0.1, or 0.0.0.0 for every address; CHATROOM_SERVER_BIND overrules HOST",
    );
    Place::new().set("server.bnid", "x").says(
        "--set server.bnid: unknown key",
        "did you mean server.bind?",
    );
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    for (toml, message, hint) in [
        (
            "debug = \"true\"",
            "debug: expected a boolean, found a string",
            "write true or false, without quotes",
        ),
        (
            "data_dir = 1",
            "data_dir: expected a string, found an integer",
            "put the value in quotes",
        ),
        (
            "server.allowed_hosts = \"a.example, b\"",
            "server.allowed_hosts: expected an array, found a string",
            "write [\"a.example\", \"b\"]",
        ),
        (
            "server.allowed_hosts = [1]",
            "server.allowed_hosts: expected an array of strings, found an array with something else in it",
            "write [\"…\", \"…\"]",
        ),
        (
            "limits.sends_burst = \"9\"",
            "limits.sends_burst: expected an integer, found a string",
            "write a number, without quotes",
        ),
        (
            "log.level = 1.5",
            "log.level: expected a string, found a float",
            "put the value in quotes",
        ),
        (
            "[server.bind]\nport = 1",
            "server.bind: expected a string, found a table",
            "put the value in quotes",
        ),
        (
            "secret_key = 1979-05-27",
            "secret_key: expected a string, found a datetime",
            "put the value in quotes",
        ),
    ] {
        Place::new()
            .toml(toml)
            .says(&format!("config.toml:1: {message}"), hint);
    }
}

#[test]
fn a_file_that_is_not_toml_names_the_line() {
    for (toml, line) in [
        ("debug = true\nlog.level = \"info\"\nx", 3),
        ("a b", 1),
        ("secret_key = \"x\n", 1),
        ("[log]\n[log]", 2),
    ] {
        let problem = Place::new().toml(toml).problem();
        assert!(
            problem
                .message
                .starts_with(&format!("config.toml:{line}: ")),
            "{problem}"
        );
        assert_eq!(problem.message.lines().count(), 1, "{problem}");
    }
    let problem = Place::new().toml("debug = true\ndebug = false").problem();
    assert_eq!(problem.message, "config.toml:2: duplicate key");
}

#[test]
fn a_file_that_is_not_utf_8_names_the_line() {
    let place = Place::new().write("config.toml", b"debug = true\nx = \"\xff\"");
    place.says("config.toml:2: is not UTF-8", "save the file as UTF-8");
    let place = Place::new().write(".env", b"\xff\xfeD\0");
    place.says(".env:1: is not UTF-8", "save the file as UTF-8");
}

#[test]
fn a_named_file_must_be_there() {
    let mut place = Place::new();
    place.flags.config = Some("/nowhere/c.toml".into());
    place.says(
        "/nowhere/c.toml: there is no such file",
        "--config names it",
    );
    let place = Place::new().env("CHATROOM_CONFIG", "c.toml");
    place.says("c.toml: there is no such file", "CHATROOM_CONFIG names it");
    let place = Place::new().env("CHATROOM_CONFIG", ".");
    assert!(place.problem().message.starts_with(".: cannot be read: "));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let error = Place::new()
        .toml("[log]\nlevel = 1\ncolour = true\n")
        .dotenv("CHATROOM_DEBGU=1\n\"\n")
        .env("PORT", "x")
        .env("HOST", "y")
        .set("auth.access_ttl", "1")
        .load()
        .unwrap_err();
    let text = error.to_string();
    for part in [
        "config.toml:3: unknown key log.colour",
        ".env:1: unknown key CHATROOM_DEBGU (did you mean CHATROOM_DEBUG?)",
        ".env:2: cannot be understood",
        "config.toml:2: log.level: expected a string",
        "environment variable PORT:",
        "environment variable HOST:",
        "--set auth.access_ttl: 1 has no unit",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert_eq!(error.problems.len(), 7, "{text}");
    assert_eq!(text.lines().count(), 7);
}
