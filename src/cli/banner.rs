//! What `serve` says when it is up: where everything is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::net::TcpListener;

use super::error::{Exit, Result};
use crate::config::Config;

/// Where everything is. Its last line, `listening on http://…`, is what scripts wait for.
#[derive(Debug)]
pub struct Banner {
    listening: SocketAddr,
    /// What stands in a URL for this server.
    host: String,
    database: String,
    data_dir: PathBuf,
    /// The key file, while it is not known whether this start has made it.
    key: Option<PathBuf>,
    key_made: bool,
    /// Whether there is a superuser.
    pub superuser: bool,
}

impl Banner {
    /// Of a server that is about to start.
    pub fn new(config: &Config, listener: &TcpListener) -> Result<Self> {
        let listening = listener.local_addr().map_err(|error| {
            Exit::Failed.saying(format!("cannot tell the address that was bound: {error}"))
        })?;
        let key = config.data_dir.join("secret_key");
        Ok(Self {
            listening,
            host: host(listening, &config.hosts()),
            database: config.database.url.to_string(),
            data_dir: config.data_dir.clone(),
            key: (config.secret_key.is_none() && !key.exists()).then_some(key),
            key_made: false,
            superuser: true,
        })
    }

    /// Notes whether the key file that was missing is there now.
    pub fn look_for_key(&mut self) {
        self.key_made = self.key.as_ref().is_some_and(|key| key.exists());
    }
}

/// A host that the server answers to, with its port: its own address if it does, or else the first
/// name it has.
fn host(listening: SocketAddr, hosts: &[String]) -> String {
    let port = listening.port();
    let reachable = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let answers = hosts.iter().any(|host| *host == "*" || *host == reachable);
    match hosts.first() {
        Some(name) if !answers => format!("{}:{port}", name.trim_start_matches('.')),
        _ => format!("{reachable}:{port}"),
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        writeln!(f, "chatroom {}", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  API docs    http://{host}/docs")?;
        writeln!(f, "  sockets     ws://{host}/ws/chat/<room_id>/")?;
        writeln!(f, "  database    {}", self.database)?;
        writeln!(f, "  data        {}", self.data_dir.display())?;
        if let Some(key) = self.key.as_ref().filter(|_| self.key_made) {
            writeln!(
                f,
                "  secret key  {} (made now; whoever has it can be anyone)",
                key.display()
            )?;
        }
        if !self.superuser {
            writeln!(
                f,
                "  superuser   none yet: `chatroom createsuperuser` makes one"
            )?;
        }
        write!(f, "listening on http://{}", self.listening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_that_the_server_answers_to() {
        for (listening, hosts, shown) in [
            (
                "127.0.0.1:8000",
                &["localhost", "127.0.0.1", "[::1]"][..],
                "127.0.0.1:8000",
            ),
            ("0.0.0.0:80", &["*"], "127.0.0.1:80"),
            ("[::1]:8000", &["localhost", "[::1]"], "[::1]:8000"),
            (
                "0.0.0.0:80",
                &["chat.example.org", "b.example.org"],
                "chat.example.org:80",
            ),
            ("10.0.0.1:80", &[".example.org"], "example.org:80"),
        ] {
            let listening = listening.parse().expect("an address");
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            assert_eq!(host(listening, &hosts), shown);
        }
    }
}
