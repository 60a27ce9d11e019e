//! From what was found to what it means: every key is read once, and everything wrong is collected.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::{self, DatabaseUrl};
use super::document::document;
use super::error::{ConfigError, Problem};
use super::source::{Found, Layers};
use super::value::{self, Raw};
use super::{
    Auth, Compat, Config, Cors, Database, Limits, Log, LogFormat, Redis, Server, Sockets, secret,
};

/// Reads keys. One that is wrong is noted and read at its default, so that all the others are read too.
pub(super) struct Reader<'a> {
    dir: &'a Path,
    layers: Layers<'a>,
    defaults: Layers<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(dir: &'a Path, layers: Layers<'a>) -> Self {
        let mut defaults = Layers::new(dir);
        defaults.file("defaults", &document());
        Self {
            dir,
            layers,
            defaults,
        }
    }

    /// The whole configuration, or everything that is wrong with it.
    pub(super) fn config(mut self) -> Result<Config, ConfigError> {
        let config = self.sections();
        let mut problems = self.layers.problems;
        problems.append(&mut self.defaults.problems);
        match config {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(problem) => problems.push(problem),
        }
        Err(ConfigError { problems })
    }

    fn sections(&mut self) -> Result<Config, Problem> {
        let debug = self.bool("debug")?;
        let secret_key = self.read("secret_key", |raw| secret::key(&raw.exact()?, debug))?;
        let data_dir = self.data_dir()?;
        Ok(Config {
            debug,
            secret_key,
            server: Server {
                bind: self.bind()?,
                allowed_hosts: self.list("server.allowed_hosts", value::allowed_host)?,
                max_connections: NonZeroU32::new(
                    self.read("server.max_connections", |raw| raw.number(0))?,
                ),
                head_timeout: self.duration("server.head_timeout", Duration::from_secs(1))?,
                idle_timeout: self.duration("server.idle_timeout", Duration::from_secs(1))?,
                drain_timeout: self.duration("server.drain_timeout", Duration::ZERO)?,
            },
            cors: Cors {
                allowed_origins: self.list("cors.allowed_origins", value::origin)?,
            },
            database: Database {
                url: self.database(&data_dir)?,
                max_connections: self.count("database.max_connections")?.get(),
            },
            redis: Redis {
                url: self.read("redis.url", |raw| address::redis(&raw.text()?))?,
            },
            auth: Auth {
                access_ttl: self.duration("auth.access_ttl", Duration::from_secs(1))?,
                refresh_ttl: self.duration("auth.refresh_ttl", Duration::from_secs(1))?,
                registration: self.bool("auth.registration")?,
            },
            sockets: Sockets {
                ping_interval: self.duration("sockets.ping_interval", Duration::from_secs(1))?,
                ping_timeout: self.duration("sockets.ping_timeout", Duration::from_secs(1))?,
                stall_timeout: self.duration("sockets.stall_timeout", Duration::from_secs(1))?,
            },
            compat: Compat {
                shh_frontend: self.bool("compat.shh_frontend")?,
            },
            limits: Limits {
                enabled: self.bool("limits.enabled")?,
                login_per_minute: self.count("limits.login_per_minute")?,
                sends_per_second: self.count("limits.sends_per_second")?,
                sends_burst: self.count("limits.sends_burst")?,
                frames_per_second: self.count("limits.frames_per_second")?,
                frames_burst: self.count("limits.frames_burst")?,
            },
            log: Log {
                level: self.read("log.level", |raw| value::level(&raw.text()?))?,
                format: self.log_format()?,
            },
            data_dir,
        })
    }

    /// A key by the words for its value, which are applied to its default too.
    fn read<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&Raw) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if let Some(Found { raw, origin }) = self.layers.take(name) {
            match parse(&raw) {
                Ok(value) => return Ok(value),
                Err(problem) => self.layers.problems.push(problem.at(&origin)),
            }
        }
        match self.defaults.take(name) {
            Some(Found { raw, origin }) => parse(&raw).map_err(|problem| problem.at(&origin)),
            None => Err(Problem::new(format!("{name} is not in the table of keys"))),
        }
    }

    fn bool(&mut self, name: &str) -> Result<bool, Problem> {
        self.read(name, Raw::bool)
    }

    fn count(&mut self, name: &str) -> Result<NonZeroU32, Problem> {
        self.read(name, Raw::count)
    }

    fn duration(&mut self, name: &str, least: Duration) -> Result<Duration, Problem> {
        self.read(name, |raw| raw.duration(least))
    }

    fn list(
        &mut self,
        name: &str,
        entry: fn(&str) -> Result<String, Problem>,
    ) -> Result<Vec<String>, Problem> {
        self.read(name, |raw| raw.list(entry))
    }

    fn data_dir(&mut self) -> Result<PathBuf, Problem> {
        let dir = self.dir;
        self.read("data_dir", |raw| match raw.text()?.as_ref() {
            "" => Err(Problem::new("no folder is given").hint("write data_dir = \"data\"")),
            path => Ok(dir.join(path)),
        })
    }

    fn database(&mut self, data_dir: &Path) -> Result<DatabaseUrl, Problem> {
        let dir = self.dir;
        self.read("database.url", |raw| match raw.text()?.as_ref() {
            "" => Ok(DatabaseUrl::Sqlite(data_dir.join("chatroom.sqlite3"))),
            url => DatabaseUrl::parse(url, dir),
        })
    }

    fn log_format(&mut self) -> Result<LogFormat, Problem> {
        self.read("log.format", |raw| {
            let text = raw.text()?;
            match text.to_lowercase().as_str() {
                "auto" => Ok(LogFormat::Auto),
                "pretty" => Ok(LogFormat::Pretty),
                "json" => Ok(LogFormat::Json),
                _ => Err(Problem::new(format!("{text:?} is not a format of the log"))
                    .hint("write auto, pretty or json")),
            }
        })
    }

    fn bind(&mut self) -> Result<SocketAddr, Problem> {
        let mut bind = self.read("server.bind", |raw| value::bind(&raw.text()?))?;
        if let Some(Found { raw, origin }) = self.layers.host.take() {
            match raw.text().and_then(|text| value::host(&text)) {
                Ok(address) => bind.set_ip(address),
                Err(problem) => self.layers.problems.push(problem.at(&origin)),
            }
        }
        if let Some(Found { raw, origin }) = self.layers.port.take() {
            match raw.text().and_then(|text| value::port(&text)) {
                Ok(port) => bind.set_port(port),
                Err(problem) => self.layers.problems.push(problem.at(&origin)),
            }
        }
        Ok(bind)
    }
}
