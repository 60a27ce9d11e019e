//! What an operator may rely on: the defaults, which source wins, and what follows from the whole.

mod mistakes;
mod names;
mod secrets;
mod values;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A working folder, an environment and flags.
struct Place {
    dir: TempDir,
    env: Vec<(String, String)>,
    flags: Flags,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            env: Vec::new(),
            flags: Flags::default(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    fn toml(self, text: &str) -> Self {
        self.write("config.toml", text)
    }

    fn dotenv(self, text: &str) -> Self {
        self.write(".env", text)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.flags.set.push((key.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::from_sources(&self.flags, self.env.iter().cloned(), self.path())
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The only problem there is.
    fn problem(&self) -> Problem {
        let mut problems = self.load().expect_err("an error").problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    /// The only problem there is, and its hint.
    fn says(&self, message: &str, hint: &str) {
        let problem = self.problem();
        assert_eq!(
            (problem.message.as_str(), problem.hint.as_deref()),
            (message, Some(hint))
        );
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn an_empty_folder_has_the_defaults() {
    let place = Place::new();
    let config = place.config();
    assert!(!config.debug && config.secret_key.is_none() && config.redis.url.is_none());
    assert_eq!(config.data_dir, place.path().join("data"));
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:8000");
    assert!(config.server.allowed_hosts.is_empty());
    assert_eq!(config.server.max_connections, None);
    assert_eq!(config.server.head_timeout, Duration::from_secs(10));
    assert_eq!(config.server.idle_timeout, Duration::from_mins(1));
    assert_eq!(config.server.drain_timeout, Duration::from_secs(10));
    assert_eq!(
        config.cors.allowed_origins,
        ["http://localhost:5173", "http://127.0.0.1:5173"]
    );
    let DatabaseUrl::Sqlite(path) = &config.database.url else {
        panic!("{config:?}")
    };
    assert_eq!(*path, place.path().join("data/chatroom.sqlite3"));
    assert_eq!(config.database.max_connections, 10);
    assert_eq!(config.auth.access_ttl, Duration::from_hours(1));
    assert_eq!(config.auth.refresh_ttl, Duration::from_hours(7 * 24));
    assert!(config.auth.registration && !config.compat.shh_frontend && config.limits.enabled);
    let sockets = &config.sockets;
    let waits = [
        sockets.ping_interval,
        sockets.ping_timeout,
        sockets.stall_timeout,
    ];
    assert_eq!(waits.map(|wait| wait.as_secs()), [25, 10, 30]);
    let limits = &config.limits;
    let counts = [
        limits.login_per_minute,
        limits.sends_per_second,
        limits.sends_burst,
        limits.frames_per_second,
        limits.frames_burst,
    ];
    assert_eq!(counts.map(NonZeroU32::get), [10, 10, 30, 20, 60]);
    assert_eq!(
        (config.log.level.as_str(), config.log.format),
        ("info", LogFormat::Auto)
    );
    assert_eq!(
        fs::read_dir(place.path()).unwrap().count(),
        0,
        "reading writes nothing"
    );
}

#[test]
fn the_document_in_the_repository_lists_every_key_at_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, document()).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == document(),
        "config.toml is old: run the tests with UPDATE_GOLDEN=1"
    );
}

#[test]
fn the_document_says_what_happens_without_it() {
    let place = Place::new();
    let defaults = format!("{:?}", place.config());
    let place = place.toml(&document());
    assert_eq!(format!("{:?}", place.config()), defaults);
    for key in KEYS {
        let text = document();
        for name in key
            .aliases
            .iter()
            .map(|alias| alias.name.to_owned())
            .chain([key.env_name()])
        {
            assert!(text.contains(&name), "{name}");
        }
    }
    assert!(document().lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn every_key_of_the_table_is_read() {
    for key in KEYS {
        let wrong = if key.name == "data_dir" { "" } else { "\u{0}" };
        let place = Place::new().set(key.name, wrong);
        let error = place.load().expect_err(key.name);
        assert!(
            error
                .to_string()
                .starts_with(&format!("--set {}: ", key.name))
        );
    }
}

#[test]
fn flags_beat_the_environment_beats_dotenv_beats_the_file_beats_the_default() {
    let port = |place: &Place| place.config().server.bind.port();
    let place = Place::new();
    assert_eq!(port(&place), 8000);
    let place = place.toml("[server]\nbind = \"127.0.0.1:1\"\n");
    assert_eq!(port(&place), 1);
    let place = place.dotenv("CHATROOM_SERVER_BIND=127.0.0.1:2\n");
    assert_eq!(port(&place), 2);
    let place = place.env("CHATROOM_SERVER_BIND", "127.0.0.1:3");
    assert_eq!(port(&place), 3);
    let place = place.set("server.bind", "127.0.0.1:4");
    assert_eq!(port(&place), 4);
    let place = place.set("server.bind", "127.0.0.1:5");
    assert_eq!(port(&place), 5, "the last flag");
}

#[test]
fn a_value_that_is_covered_may_be_wrong() {
    let place = Place::new().toml("secret_key = \"changeme\"\n[log]\nlevel = 7\n");
    let place = place.env("SECRET_KEY", KEY).env("RUST_LOG", "debug");
    assert_eq!(place.config().secret_key.unwrap().expose(), KEY);
}

#[test]
fn only_the_dotenv_of_the_working_folder_is_read() {
    let place = Place::new().dotenv("DEBUG=true\n");
    let below = place.path().join("below");
    fs::create_dir(&below).unwrap();
    let config = Config::from_sources(&Flags::default(), std::iter::empty(), &below).unwrap();
    assert!(!config.debug);
    fs::create_dir(below.join(".env")).unwrap();
    assert!(Config::from_sources(&Flags::default(), std::iter::empty(), &below).is_ok());
}

#[test]
fn dotenv_is_read_as_others_read_it() {
    let text = "\u{feff}# a comment\n\nexport DEBUG=on\nREDIS_URL='redis://:a$b@r:6379/0' # why\n\
                POSTGRES_PASSWORD=x\nLOG=warn\nRUST_LOG=\"${LOG}\"\nPORT=1\nPORT=2";
    let config = Place::new().dotenv(text).config();
    assert!(config.debug);
    assert_eq!(config.redis.url.unwrap().expose(), "redis://:a$b@r:6379/0");
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.server.bind.port(), 2, "the last line");
}

#[test]
fn another_file_may_be_named() {
    let place = Place::new()
        .toml("debug = true")
        .write("a.toml", "log.level = \"warn\"");
    let place = place
        .write("b.toml", "log.level = \"error\"")
        .write("c.toml", "log.level = \"trace\"");
    let place = place.dotenv("CHATROOM_CONFIG=a.toml");
    assert_eq!(place.config().log.level, "warn");
    let place = place.env("CHATROOM_CONFIG", "b.toml");
    assert_eq!(place.config().log.level, "error");
    let mut place = place;
    place.flags.config = Some(place.path().join("c.toml"));
    assert_eq!(place.config().log.level, "trace");
    assert!(!place.config().debug, "config.toml is not read beside it");
}

#[test]
fn a_public_server_must_know_its_names() {
    let open = Place::new().env("HOST", "0.0.0.0");
    let problem = open.config().check_serve().unwrap_err().problems.remove(0);
    assert_eq!(
        problem.message,
        "server.bind is 0.0.0.0:8000, which other machines can reach, but server.allowed_hosts is empty"
    );
    assert_eq!(
        problem.hint.unwrap(),
        "set ALLOWED_HOSTS=chat.example.org (or * to answer to any name)"
    );
    assert!(open.config().hosts().is_empty());
    let local = ["localhost", "127.0.0.1", "[::1]", ".localhost"];
    for place in [
        open.env("DEBUG", "1"),
        Place::new(),
        Place::new().env("HOST", "::ffff:127.0.0.1"),
    ] {
        place.config().check_serve().unwrap();
        assert_eq!(place.config().hosts(), local);
    }
    let named = Place::new().env("HOST", "::").env("ALLOWED_HOSTS", "*");
    named.config().check_serve().unwrap();
    assert_eq!(named.config().hosts(), ["*"]);
}

#[test]
fn the_secret_is_the_configured_one_or_that_of_the_data_folder() {
    let place = Place::new();
    let made = place.config().load_or_create_secret().unwrap();
    assert_eq!(
        place.config().load_or_create_secret().unwrap().expose(),
        made.expose()
    );
    assert_eq!(
        fs::read_to_string(place.path().join("data/secret_key")).unwrap(),
        made.expose()
    );
    let place = place.env("SECRET_KEY", KEY);
    assert_eq!(
        place.config().load_or_create_secret().unwrap().expose(),
        KEY
    );
}

#[test]
fn a_process_reads_its_own_environment_and_folder() {
    let flags = Flags {
        config: Some("/nowhere/c.toml".into()),
        set: Vec::new(),
    };
    let error = Config::load(&flags).unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/c.toml: there is no such file (--config names it)"),
        "{error}"
    );
}
