//! The configuration: flags, then the environment, then `.env`, then `config.toml`, then defaults.
//!
//! [`KEYS`] is the table of keys; everything else here follows from it. What a value means is decided in `value`,
//! `address` and `secret`; where it comes from, in `source`.

mod address;
mod document;
mod error;
mod hint;
mod keys;
mod reader;
mod secret;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use address::DatabaseUrl;
pub use document::document;
pub use error::{ConfigError, Problem};
pub use keys::{Alias, Holds, KEYS, Key};
use reader::Reader;
pub use secret::Secret;
use source::{Layers, Variable};

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file to read in place of `config.toml` in the working folder. It must be there.
    pub config: Option<PathBuf>,
    /// Keys, as `section.key`, and their values, as in the environment. The last of a key wins.
    pub set: Vec<(String, String)>,
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether checks that protect a public server are relaxed.
    pub debug: bool,
    /// The key that signs tokens, if one is configured; see [`Config::load_or_create_secret`].
    pub secret_key: Option<Secret>,
    /// The data folder; it need not be there yet.
    pub data_dir: PathBuf,
    /// The network's side.
    pub server: Server,
    /// Pages on other hosts.
    pub cors: Cors,
    /// The database.
    pub database: Database,
    /// Other servers.
    pub redis: Redis,
    /// Tokens and registration.
    pub auth: Auth,
    /// Live connections.
    pub sockets: Sockets,
    /// The dialects of older clients.
    pub compat: Compat,
    /// How much anyone may do.
    pub limits: Limits,
    /// The log.
    pub log: Log,
}

/// The section `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where to listen; port 0 is any free one.
    pub bind: SocketAddr,
    /// The host names as configured, in lower case: names, `.example.org`, `*`, IP addresses with v6 in brackets.
    /// See [`Config::hosts`].
    pub allowed_hosts: Vec<String>,
    /// The most connections at once; none for as many as the limit of open files leaves room for.
    pub max_connections: Option<NonZeroU32>,
    /// How long the head of a connection's first request may take.
    pub head_timeout: Duration,
    /// How long a connection may do nothing after a request, until the next one's head is there.
    pub idle_timeout: Duration,
    /// How long a stopping server waits for what is open; zero does not wait.
    pub drain_timeout: Duration,
}

/// The section `[cors]`.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Origins as a browser sends them, in lower case; the server's own is not among them.
    pub allowed_origins: Vec<String>,
}

/// The section `[database]`.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where the data is kept.
    pub url: DatabaseUrl,
    /// The most connections at once, at least one.
    pub max_connections: u32,
}

/// The section `[redis]`.
#[derive(Debug, Clone)]
pub struct Redis {
    /// A `redis://` or `rediss://` URL; none for a server that stands alone.
    pub url: Option<Secret>,
}

/// The section `[auth]`.
#[derive(Debug, Clone)]
pub struct Auth {
    /// How long an access token is valid, at least a second.
    pub access_ttl: Duration,
    /// How long a refresh token is valid, at least a second.
    pub refresh_ttl: Duration,
    /// Whether anyone may register.
    pub registration: bool,
}

/// The section `[sockets]`.
#[derive(Debug, Clone, Copy)]
pub struct Sockets {
    /// A client that has been silent for this long is pinged.
    pub ping_interval: Duration,
    /// A client that answers a ping with nothing for this long is taken for gone.
    pub ping_timeout: Duration,
    /// A client to which nothing could be written for this long is let go.
    pub stall_timeout: Duration,
}

/// The section `[compat]`.
#[derive(Debug, Clone)]
pub struct Compat {
    /// Whether the dialect of the old SHH front end is spoken.
    pub shh_frontend: bool,
}

/// The section `[limits]`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Whether the limits below apply.
    pub enabled: bool,
    /// Attempts to log in, per minute.
    pub login_per_minute: NonZeroU32,
    /// A user's messages, per second in the long run.
    pub sends_per_second: NonZeroU32,
    /// A user's messages in one go.
    pub sends_burst: NonZeroU32,
    /// A socket's frames, per second in the long run.
    pub frames_per_second: NonZeroU32,
    /// A socket's frames in one go.
    pub frames_burst: NonZeroU32,
}

/// The section `[log]`.
#[derive(Debug, Clone)]
pub struct Log {
    /// A level, or a filter by module, as `RUST_LOG` has them.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

impl Config {
    /// Reads the configuration of this process: its environment, and the files in its working folder.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let dir = env::current_dir()
            .map_err(|error| Problem::new(format!("cannot find the working folder: {error}")))?;
        let mut variables = Vec::new();
        for (name, value) in env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => variables.push((name, value)),
                Err(_) if keys::is_variable(&name) => {
                    return Err(
                        Problem::new(format!("environment variable {name}: is not UTF-8")).into(),
                    );
                }
                Err(_) => {}
            }
        }
        Self::from_sources(flags, variables.into_iter(), &dir)
    }

    /// Reads the configuration that a process with this environment would have in the folder `dir`.
    ///
    /// All problems are reported together. Nothing is written, and nothing outside `dir` is read that is not named.
    /// Relative paths start at `dir`.
    pub fn from_sources(
        flags: &Flags,
        env: impl Iterator<Item = (String, String)>,
        dir: &Path,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(dir);
        let env: Vec<_> = env.map(Variable::of_environment).collect();
        let dotenv = match read(&dir.join(".env"), ".env") {
            Ok(text) => layers.dotenv(&text.unwrap_or_default()),
            Err(problem) => {
                layers.problems.push(problem);
                Vec::new()
            }
        };
        let named = |variables: &[Variable]| {
            let mut named = variables
                .iter()
                .rev()
                .filter(|it| it.name == "CHATROOM_CONFIG");
            named
                .find(|it| !it.is_empty())
                .map(|it| (PathBuf::from(&it.value), "CHATROOM_CONFIG"))
        };
        let named = flags
            .config
            .clone()
            .map(|path| (path, "--config"))
            .or_else(|| named(&env))
            .or_else(|| named(&dotenv));
        let (path, by) = match named {
            Some((path, by)) => (path, Some(by)),
            None => (PathBuf::from("config.toml"), None),
        };
        let shown = path.display().to_string();
        match (read(&dir.join(&path), &shown), by) {
            (Ok(Some(text)), _) => layers.file(&shown, &text),
            (Ok(None), None) => {}
            (Ok(None), Some(by)) => layers.problems.push(
                Problem::new(format!("{shown}: there is no such file"))
                    .hint(format!("{by} names it")),
            ),
            (Err(problem), _) => layers.problems.push(problem),
        }
        layers.variables(dotenv);
        layers.variables(env);
        layers.flags(&flags.set);
        Reader::new(dir, layers).config()
    }

    /// Whether `serve` may start with this: a server that others can reach must know its names.
    ///
    /// Without them the `Host` header could be anything, and with it every link and origin that is made of it.
    pub fn check_serve(&self) -> Result<(), ConfigError> {
        let bind = self.server.bind;
        if self.debug || self.is_loopback() || !self.server.allowed_hosts.is_empty() {
            return Ok(());
        }
        let message = format!(
            "server.bind is {bind}, which other machines can reach, but server.allowed_hosts is empty"
        );
        Err(Problem::new(message)
            .hint("set ALLOWED_HOSTS=chat.example.org (or * to answer to any name)")
            .into())
    }

    /// The host names to answer to: those configured; if none are, the local ones on loopback and with `debug`.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        if self.server.allowed_hosts.is_empty() && (self.debug || self.is_loopback()) {
            ["localhost", "127.0.0.1", "[::1]", ".localhost"]
                .map(str::to_owned)
                .into()
        } else {
            self.server.allowed_hosts.clone()
        }
    }

    /// The configured key; without one that in the file `secret_key` in the data folder, made if it is not there.
    pub fn load_or_create_secret(&self) -> Result<Secret, ConfigError> {
        match &self.secret_key {
            Some(key) => Ok(key.clone()),
            None => Ok(secret::load_or_create(&self.data_dir)?),
        }
    }

    fn is_loopback(&self) -> bool {
        self.server.bind.ip().to_canonical().is_loopback()
    }
}

/// The text of a file, none if there is no such file. A folder named `.env` is somebody's virtual environment.
fn read(path: &Path, shown: &str) -> Result<Option<String>, Problem> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.split(|byte| *byte == b'\n').count();
            Problem::new(format!("{shown}:{line}: is not UTF-8")).hint("save the file as UTF-8")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::IsADirectory && shown == ".env" => Ok(None),
        Err(error) => Err(Problem::new(format!("{shown}: cannot be read: {error}"))),
    }
}
