//! The table of configuration keys: the one place where a key, its default, its names and its sentence are written.

/// What every environment variable of ours begins with.
pub(super) const PREFIX: &str = "CHATROOM_";

/// One configuration key.
#[derive(Debug)]
pub struct Key {
    /// `section.key`, or the bare key for those above the first section.
    pub name: &'static str,
    /// The default, as it is written in TOML.
    pub default: &'static str,
    /// What the key does, in which unit.
    pub doc: &'static str,
    /// Further environment names, the stronger ones first.
    pub aliases: &'static [Alias],
    /// Whether the value must never be shown.
    pub secret: bool,
}

/// An environment name that a key has beside its own.
#[derive(Debug)]
pub struct Alias {
    /// The variable.
    pub name: &'static str,
    /// What the variable holds.
    pub holds: Holds,
}

/// What the variable of an [`Alias`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The value itself.
    Value,
    /// The path of a file that holds the value.
    Path,
    /// Only the address of an address with a port.
    Host,
    /// Only the port of an address with a port.
    Port,
}

impl Key {
    const fn new(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            default,
            doc,
            aliases: &[],
            secret: false,
        }
    }

    const fn or(self, aliases: &'static [Alias]) -> Self {
        Self { aliases, ..self }
    }

    const fn secret(self) -> Self {
        Self {
            secret: true,
            ..self
        }
    }

    /// The key's own environment name: `CHATROOM_SECTION_KEY`.
    #[must_use]
    pub fn env_name(&self) -> String {
        format!("{PREFIX}{}", self.name.to_uppercase().replace('.', "_"))
    }

    /// Whether the value is a list: an array in TOML, separated by commas elsewhere.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.default.starts_with('[')
    }

    /// The section and the name within it; the section of a top-level key is empty.
    pub(super) fn split(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

const fn alias(name: &'static str, holds: Holds) -> Alias {
    Alias { name, holds }
}

/// Every key there is, section by section, in the order in which `config.toml` shows them.
pub static KEYS: &[Key] = &[
    Key::new(
        "debug",
        "false",
        "Relaxes what protects a public server: a weak secret_key is accepted, and with no \
         server.allowed_hosts any address answers to the local names. Never in production.",
    )
    .or(&[alias("DEBUG", Holds::Value)]),
    Key::new(
        "secret_key",
        "\"\"",
        "Signs the tokens; at least 32 bytes that nobody can guess. Empty: made at the first start and kept in \
         the file secret_key in the data folder. The _FILE names give the path of a file to read it from.",
    )
    .or(&[
        alias("CHATROOM_SECRET_KEY_FILE", Holds::Path),
        alias("SECRET_KEY", Holds::Value),
        alias("SECRET_KEY_FILE", Holds::Path),
    ])
    .secret(),
    Key::new(
        "data_dir",
        "\"data\"",
        "The data folder, with the secret key file and the SQLite database. Relative paths, here and below, \
         start at the working folder.",
    ),
    Key::new(
        "server.bind",
        "\"127.0.0.1:8000\"",
        "The address and port to listen on; 0.0.0.0 or [::] is every address, port 0 any free port. HOST changes \
         only the address, PORT only the port.",
    )
    .or(&[alias("HOST", Holds::Host), alias("PORT", Holds::Port)]),
    Key::new(
        "server.allowed_hosts",
        "[]",
        "The host names to answer to: chat.example.org, .example.org for it and everything below it, an IP \
         address, or * for any name. Empty: the local names, as long as server.bind is a loopback address.",
    )
    .or(&[alias("ALLOWED_HOSTS", Holds::Value)]),
    Key::new(
        "server.max_connections",
        "0",
        "The most connections that are open at once, sockets among them. Beyond that a few more are let in for \
         one request each: /healthz, /readyz, /admin/ and superusers are answered, others with 503. 0: as many as \
         the limit of open files (ulimit -Hn) leaves room for, which is that less 128 and \
         database.max_connections, and not more than 100000.",
    ),
    Key::new(
        "server.head_timeout",
        "\"10s\"",
        "How long a new connection may take until the head of its first request is there; from 1s.",
    ),
    Key::new(
        "server.idle_timeout",
        "\"60s\"",
        "How long a connection is kept after a request until the head of the next one is there; from 1s. Longer \
         than a proxy in front keeps its connections idle, or it may send a request into one that is being closed.",
    ),
    Key::new(
        "server.drain_timeout",
        "\"10s\"",
        "How long a server that was told to stop waits for open requests and sockets (500ms, 10s, 1m); 0s does \
         not wait.",
    ),
    Key::new(
        "cors.allowed_origins",
        "[\"http://localhost:5173\", \"http://127.0.0.1:5173\"]",
        "The origins, scheme://host[:port] with nothing behind it, of pages on other hosts that may call the API and \
         open sockets. The server's own origin need not be listed.",
    )
    .or(&[alias("CORS_ALLOWED_ORIGINS", Holds::Value)]),
    Key::new(
        "database.url",
        "\"\"",
        "sqlite:///file.db (relative), sqlite:////var/lib/file.db (absolute) or \
         postgres://user:password@host:5432/name. Empty: the SQLite file chatroom.sqlite3 in the data folder.",
    )
    .or(&[alias("DATABASE_URL", Holds::Value)])
    .secret(),
    Key::new(
        "database.max_connections",
        "10",
        "The most connections to the database that are open at once, 1 or more.",
    ),
    Key::new(
        "redis.url",
        "\"\"",
        "The Redis that is to carry messages between servers, redis://:password@host:6379/0, or rediss:// over TLS. \
         This version checks the URL and does not use it yet.",
    )
    .or(&[alias("REDIS_URL", Holds::Value)])
    .secret(),
    Key::new(
        "auth.access_ttl",
        "\"1h\"",
        "How long an access token is valid, from 1s to 3650d (15m, 1h, 7d).",
    ),
    Key::new(
        "auth.refresh_ttl",
        "\"7d\"",
        "How long a refresh token is valid, from 1s to 3650d (15m, 1h, 7d).",
    ),
    Key::new(
        "auth.registration",
        "true",
        "Whether anyone may register. When false, only createsuperuser makes users.",
    ),
    Key::new(
        "sockets.ping_interval",
        "\"25s\"",
        "A client that has been silent on a socket for this long is pinged; from 1s. Shorter than what a proxy in \
         between allows.",
    ),
    Key::new(
        "sockets.ping_timeout",
        "\"10s\"",
        "A client that answers a ping with nothing for this long is taken for gone; from 1s.",
    ),
    Key::new(
        "sockets.stall_timeout",
        "\"30s\"",
        "A client to which nothing could be written for this long is let go with close code 4010; from 1s.",
    ),
    Key::new(
        "compat.shh_frontend",
        "false",
        "Whether sockets and lists speak the dialect of the old SHH front end.",
    ),
    Key::new(
        "limits.enabled",
        "true",
        "Whether the limits below apply; false is for tests and benchmarks.",
    ),
    Key::new(
        "limits.login_per_minute",
        "10",
        "Attempts to log in to one account from one address, per minute.",
    ),
    Key::new(
        "limits.sends_per_second",
        "10",
        "Messages that a user may send, per second, in the long run.",
    ),
    Key::new(
        "limits.sends_burst",
        "30",
        "Messages that a user may send in one go after a pause.",
    ),
    Key::new(
        "limits.frames_per_second",
        "20",
        "Frames that a client may send on a socket, per second, in the long run.",
    ),
    Key::new(
        "limits.frames_burst",
        "60",
        "Frames that a client may send on a socket in one go after a pause.",
    ),
    Key::new(
        "log.level",
        "\"info\"",
        "How much is logged: off, error, warn, info, debug or trace, also by module: info,chatroom=debug.",
    )
    .or(&[alias("RUST_LOG", Holds::Value)]),
    Key::new(
        "log.format",
        "\"auto\"",
        "How it is logged: pretty, json, or auto, which is pretty on a terminal and json elsewhere.",
    ),
];

/// The key of exactly this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether keys stand under the header `[name]`.
pub(super) fn is_section(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.split().0 == name)
}

/// Whether a variable of this name means something to us.
pub(super) fn is_variable(name: &str) -> bool {
    name == "CHATROOM_CONFIG"
        || KEYS
            .iter()
            .any(|key| key.env_name() == name || key.aliases.iter().any(|alias| alias.name == name))
}

/// Whether a variable looks like one of ours and is none: neither a key nor used elsewhere.
///
/// Elsewhere are the tests, `createsuperuser`, and Kubernetes, which gives every container the address of every service
/// of its namespace, for a service `chatroom` or `chatroom-redis` under names that begin like ours:
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
pub(super) fn is_stray(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let elsewhere = rest.starts_with("SUPERUSER_")
        || rest.starts_with("TEST_")
        || rest.starts_with("SERVICE_")
        || rest.starts_with("PORT_");
    let service = rest.contains("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.contains("_PORT_")
        || (rest == "PORT" || rest.ends_with("_PORT")) && value.contains("://");
    !elsewhere && !service && !is_variable(name)
}
