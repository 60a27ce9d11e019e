//! `chatroom serve`: makes ready what a server needs, and serves until it is told to stop.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::banner::Banner;
use super::database;
use super::environment::Wanted;
use super::error::{Error, Exit, Result};
use super::output::note;
use super::signals::Signals;
use crate::chat::{Chat, Existing, Superuser};
use crate::config::{Config, DatabaseUrl};
use crate::web;

const EXAMPLES: &str = "\
Examples:
  chatroom serve                      on http://127.0.0.1:8000, with a SQLite file in ./data
  chatroom serve --port 8080
  ALLOWED_HOSTS=chat.example.org chatroom serve --bind 0.0.0.0:8000

The first Ctrl-C finishes what is under way, the second ends at once. If no superuser exists, and
CHATROOM_SUPERUSER_EMAIL, CHATROOM_SUPERUSER_USERNAME and CHATROOM_SUPERUSER_PASSWORD are set, or
the same names with DJANGO_ in place of CHATROOM_, one is made.";

/// How long the database may take to close, beyond the time for what is under way. Connections that
/// outlived that time hold on to it.
const CLOSE: Duration = Duration::from_secs(2);
/// Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Run the server: the REST API, its documentation at /docs, and the sockets.
///
/// Works in an empty folder without any configuration: makes a data folder, a secret key and a
/// SQLite database there. Configuration: flags, then environment, then .env, then config.toml.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Listen on this IP address and port; port 0 is any free one.
    #[arg(long, value_name = "ADDR:PORT", value_parser = address, conflicts_with = "port")]
    bind: Option<SocketAddr>,
    /// Listen on this port.
    #[arg(long)]
    port: Option<u16>,
    /// Bring the schema of a PostgreSQL database up to date first; a SQLite database always is.
    #[arg(long)]
    migrate: bool,
}

fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    let parsed = numeric.parse();
    parsed.map_err(|_| "write an IP address and a port, as 127.0.0.1:8000".to_owned())
}

impl Args {
    /// Serves.
    pub async fn run(&self, config: &Config) -> Result<()> {
        let mut config = config.clone();
        if let Some(bind) = self.bind {
            config.server.bind = bind;
        }
        if let Some(port) = self.port {
            config.server.bind.set_port(port);
        }
        config.check_serve()?;
        let mut signals = Signals::listen()?;
        let (listener, chat, banner) = signals.unless(self.prepare(&config)).await?;

        let shutdown = CancellationToken::new();
        tokio::spawn(heed(signals, shutdown.clone(), config.server.drain_timeout));
        chat.watch();
        note(banner);
        let served = web::serve(listener, chat.clone(), &config, shutdown).await;
        if tokio::time::timeout(CLOSE, chat.close()).await.is_err() {
            tracing::warn!("the database was still in use when the time to close it was over");
        }
        served.map_err(|error| Exit::Failed.saying(format!("the server failed: {error}")))
    }

    /// Everything that can fail, before anyone is let in. The port comes first: whoever starts a
    /// server twice must not change the database under the one that runs.
    async fn prepare(&self, config: &Config) -> Result<(TcpListener, Chat, Banner)> {
        raise_file_limit();
        let listener = listen(config.server.bind)?;
        let mut banner = Banner::new(config, &listener)?;
        let secret = config.load_or_create_secret()?;
        banner.look_for_key();
        let chat = database::open(config, secret.expose()).await?;
        if let Err(error) = self.prepare_database(&chat, &mut banner).await {
            chat.close().await;
            return Err(error);
        }
        if config.secret_key.is_none() && matches!(config.database.url, DatabaseUrl::Postgres(_)) {
            tracing::warn!(
                "secret_key is not configured: another server on this database refuses the tokens of \
                 this one, unless both have the same key"
            );
        }
        if config.redis.url.is_some() {
            tracing::warn!(
                "redis.url is set, but this version does not use Redis: events are delivered within \
                 this process, and servers that share a database follow each other within about a \
                 second"
            );
        }
        Ok((listener, chat, banner))
    }

    async fn prepare_database(&self, chat: &Chat, banner: &mut Banner) -> Result<()> {
        database::bring_up_to_date(chat, self.migrate).await?;
        if !chat.any_superuser().await? {
            banner.superuser = create_superuser(chat).await?;
        }
        Ok(())
    }
}

fn listen(bind: SocketAddr) -> Result<TcpListener> {
    bind_to(bind).map_err(|error| {
        let (what, hint) = match error.kind() {
            ErrorKind::AddrInUse => (
                "address already in use",
                "choose another with --bind or PORT",
            ),
            ErrorKind::PermissionDenied => (
                "permission denied",
                "ports below 1024 are reserved; choose another with --bind or PORT",
            ),
            ErrorKind::AddrNotAvailable => (
                "this machine does not have that address",
                "0.0.0.0 or [::] is every address it has; choose another with --bind",
            ),
            _ => return cannot_listen(bind, &error),
        };
        Exit::Failed.hinting(format!("cannot listen on {bind}: {what}"), hint)
    })
}

/// As `TcpListener::bind`, with a queue that takes the clients of a server that was restarted: they
/// all come back at once, and whoever finds it full tries again only after a second.
fn bind_to(bind: SocketAddr) -> io::Result<TcpListener> {
    let socket = if bind.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(bind)?;
    socket.listen(BACKLOG)
}

/// Uses all the file descriptors that the system allows; each connection needs one.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

fn cannot_listen(bind: SocketAddr, error: &io::Error) -> Error {
    Exit::Failed.saying(format!("cannot listen on {bind}: {error}"))
}

/// Makes the superuser that the environment describes, if it does; whether there is one now.
async fn create_superuser(chat: &Chat) -> Result<bool> {
    let Wanted {
        email: Some(email),
        username: Some(username),
        password: Some(password),
    } = Wanted::read()?
    else {
        return Ok(false);
    };
    let form = Superuser {
        email,
        username,
        password,
        any_password: false,
    };
    match chat.create_superuser(form, Existing::Refuse).await {
        Ok((user, _)) => {
            tracing::info!(
                username = user.username,
                email = user.email,
                "superuser created, as the environment asks"
            );
            Ok(true)
        }
        // Another server that was started at the same moment was faster.
        Err(_) if chat.any_superuser().await? => Ok(true),
        // A stranger who registered first must not keep the server from starting.
        Err(error) if error.is_taken() => {
            tracing::warn!(
                %error,
                "the superuser in the environment was not made; `chatroom createsuperuser --update` \
                 takes the account over"
            );
            Ok(false)
        }
        Err(error) => match Error::from(error) {
            Error::Told(exit, mut problems) => {
                for problem in &mut problems {
                    problem.message =
                        format!("the superuser in the environment: {}", problem.message);
                }
                Err(Error::Told(exit, problems))
            }
            other => Err(other),
        },
    }
}

/// The first signal asks the server to finish, the second does not ask.
async fn heed(mut signals: Signals, shutdown: CancellationToken, drain: Duration) {
    signals.next().await;
    note(format_args!(
        "shutting down, finishing what is under way, up to {} s; press again to force",
        drain.as_secs_f64()
    ));
    shutdown.cancel();
    signals.next().await;
    std::process::exit(Exit::Interrupted as i32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for (text, address_) in [
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:8001", "127.0.0.1:8001"),
        ] {
            assert_eq!(address(text).expect(text).to_string(), address_);
        }
        for text in ["8000", "0.0.0.0", "chat.example.org:80", ""] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
