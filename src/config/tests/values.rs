//! How single values are read, and what is advised instead of wrong ones.

use super::super::value;
use super::*;

/// What is advised instead of a value.
fn advice<T: std::fmt::Debug>(parsed: Result<T, Problem>) -> String {
    parsed.unwrap_err().hint.unwrap()
}

#[test]
fn yes_and_no_are_read_as_djangos_operators_write_them() {
    for (word, value) in [
        ("True", true),
        ("true", true),
        ("1", true),
        ("YES", true),
        (" on ", true),
        ("False", false),
        ("0", false),
        ("no", false),
        ("Off", false),
    ] {
        assert_eq!(
            Place::new().env("DEBUG", word).config().debug,
            value,
            "{word}"
        );
    }
    Place::new().env("DEBUG", "maybe").says(
        "environment variable DEBUG: \"maybe\" is neither true nor false",
        "write true or false",
    );
}

#[test]
fn a_duration_has_a_unit() {
    let read = |text: &str| Place::new().set("auth.access_ttl", text);
    for (text, seconds) in [
        ("30s", 30),
        ("15m", 900),
        ("1h", 3600),
        ("7d", 604_800),
        ("3650d", 315_360_000),
    ] {
        assert_eq!(
            read(text).config().auth.access_ttl,
            Duration::from_secs(seconds),
            "{text}"
        );
    }
    let place = Place::new().toml("server.drain_timeout = \"500ms\"");
    assert_eq!(
        place.config().server.drain_timeout,
        Duration::from_millis(500)
    );
    let unit = "for seconds; the units are ms, s, m, h and d";
    read("15").says(
        "--set auth.access_ttl: 15 has no unit",
        &format!("write \"15s\" {unit}"),
    );
    Place::new().toml("auth.access_ttl = 3600").says(
        "config.toml:1: auth.access_ttl: 3600 has no unit",
        &format!("write \"3600s\" {unit}"),
    );
    for text in ["0s", "999ms"] {
        read(text).says(
            &format!("--set auth.access_ttl: {text} is too short"),
            "write 1s or more",
        );
    }
    for text in ["3651d", "99999999999999999999d"] {
        read(text).says(
            &format!("--set auth.access_ttl: {text} is too long"),
            "write 3650d or less",
        );
    }
    for text in ["", "m", "1w", "1h30m", "-1s", "1.5h", "1 h"] {
        let problem = read(text).problem();
        assert_eq!(
            problem.message,
            format!("--set auth.access_ttl: {text:?} is not a duration")
        );
    }
}

#[test]
fn a_count_is_at_least_one() {
    for value in ["0", "-1", "4294967296", "ten", ""] {
        let hint = "write a whole number from 1 to 4294967295";
        let problem = Place::new().set("limits.sends_burst", value).problem();
        assert_eq!(problem.hint.unwrap(), hint, "{value}");
    }
    Place::new().toml("database.max_connections = 0").says(
        "config.toml:1: database.max_connections: 0 is not a number that can be used here",
        "write a whole number from 1 to 4294967295",
    );
    Place::new().toml("server.max_connections = -1").says(
        "config.toml:1: server.max_connections: -1 is not a number that can be used here",
        "write a whole number from 0 to 4294967295",
    );
    let cap = |text| Place::new().set("server.max_connections", text).config();
    assert_eq!(cap("0").server.max_connections, None);
    let some = cap("20000").server.max_connections;
    assert_eq!(some.map(NonZeroU32::get), Some(20_000));
    let place = Place::new().toml("limits.sends_burst = 1_000");
    assert_eq!(place.config().limits.sends_burst.get(), 1000);
}

#[test]
fn an_address_has_a_port() {
    for (text, address) in [
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("[::1]:0", "[::1]:0"),
        ("localhost:8000", "127.0.0.1:8000"),
    ] {
        assert_eq!(value::bind(text).unwrap().to_string(), address);
    }
    for (text, hint) in [
        ("0.0.0.0", "write 0.0.0.0:8000"),
        ("::1", "write [::1]:8000"),
        ("8080", "write 127.0.0.1:8080"),
        (":8080", "write 127.0.0.1:8080"),
        ("chat.example.org:80", "write 127.0.0.1:8000"),
        ("127.0.0.1:65536", "write 127.0.0.1:8000"),
        ("", "write 127.0.0.1:8000"),
    ] {
        assert_eq!(advice(value::bind(text)), hint, "{text}");
    }
}

#[test]
fn an_allowed_host_is_a_name_and_nothing_else() {
    for (text, host) in [
        ("Chat.Example.org", "chat.example.org"),
        (".example.org", ".example.org"),
        ("*", "*"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0::1]", "[::1]"),
        ("chat_server", "chat_server"),
    ] {
        assert_eq!(value::allowed_host(text).unwrap(), host);
    }
    for (text, hint) in [
        ("https://chat.example.org/", "write chat.example.org"),
        ("chat.example.org:8000", "write chat.example.org"),
        ("chat.example.org/path", "write chat.example.org"),
        ("chat.example.org.", "write chat.example.org"),
        ("*.example.org", "write .example.org"),
        ("::1", "write [::1]"),
        ("[::1]:8000", "write [::1]"),
        ("müller.example", "write xn--mller-kva.example"),
        ("[\"a\"", "write chat.example.org"),
        ("", "write chat.example.org"),
    ] {
        assert_eq!(advice(value::allowed_host(text)), hint, "{text}");
    }
}

#[test]
fn an_origin_is_what_a_browser_sends() {
    for (text, origin) in [
        ("https://Chat.example.org", "https://chat.example.org"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", ""),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(value::origin(text).unwrap_or_default(), origin);
    }
    let any = "name each origin: pages of any other could act as whoever is logged in";
    let sends = "a browser sends https://a.example, so write that";
    for (text, hint) in [
        ("*", any),
        ("null", any),
        ("https://a.example/", sends),
        ("https://a.example/path", sends),
        ("https://a.example?x=1", sends),
        ("https://a.example#x", sends),
        ("https://ann@a.example", sends),
        ("https://a.example:443", sends),
        ("a.example", "write https://a.example"),
        ("localhost:5173", "write https://localhost:5173"),
        (
            "ftp://a.example",
            "write http://host:port or https://host:port",
        ),
        (
            "https://*.example.org",
            "name each origin: * stands for none",
        ),
        ("", "write http://host:port or https://host:port"),
    ] {
        assert_eq!(advice(value::origin(text)), hint, "{text}");
    }
}

#[test]
fn a_level_is_not_mistaken_for_a_module() {
    for text in [
        "info",
        "INFO",
        "info,chatroom=debug,sqlx=warn",
        "chatroom[send{room=x}]=trace",
        "hyper",
        "off",
    ] {
        assert_eq!(value::level(text).unwrap(), text);
    }
    for (text, what) in [
        ("inof", "\"inof\" is not a level"),
        ("warning", "\"warning\" is not a level"),
        ("info,chatroom=loud", "\"loud\" is not a level"),
        ("info, chat room", "\"chat room\" is not a module"),
        ("", "no level is given"),
    ] {
        assert_eq!(value::level(text).expect_err(text).message, what);
    }
}

#[test]
fn a_format_of_the_log_is_one_of_three() {
    Place::new().env("CHATROOM_LOG_FORMAT", "xml").says(
        "environment variable CHATROOM_LOG_FORMAT: \"xml\" is not a format of the log",
        "write auto, pretty or json",
    );
    assert_eq!(
        Place::new()
            .env("CHATROOM_LOG_FORMAT", "Pretty")
            .config()
            .log
            .format,
        LogFormat::Pretty
    );
}

#[test]
fn the_data_folder_has_a_name() {
    let problem = Place::new().toml("data_dir = \"\"").problem();
    assert_eq!(
        problem.message,
        "config.toml:1: data_dir: no folder is given"
    );
}
