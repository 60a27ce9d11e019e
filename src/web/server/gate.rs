//! Accepting connections, and waiting where the system has nothing to accept them with.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

/// How long to wait after a first failure. The system still has the connection that could not be
/// accepted, so the listener stays ready, and to ask again at once would take a whole core.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The wait doubles with every failure, up to this: whoever comes when there is room again does not
/// wait for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// It is over when nothing has failed for this long. At the limit one connection that ends lets one
/// in, and the next failure is no news.
const CALM: Duration = Duration::from_secs(1);

/// Where connections come in.
#[derive(Debug)]
pub struct Gate {
    listener: TcpListener,
    trouble: Option<Trouble>,
}

/// Something keeps connections from being accepted: no file descriptor is left to the process or to
/// the system (`EMFILE`, `ENFILE`), or no memory (`ENOBUFS`, `ENOMEM`).
#[derive(Debug)]
struct Trouble {
    since: Instant,
    last: Instant,
    wait: Duration,
}

impl Gate {
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            trouble: None,
        }
    }

    /// The next connection. Nothing is lost if this is dropped while it waits.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = self.listener.accept() => accepted,
                () = calm(self.trouble.as_ref()) => {
                    self.recover();
                    continue;
                }
            };
            match accepted {
                Ok(accepted) => {
                    if let Some(trouble) = &mut self.trouble {
                        trouble.wait = FIRST_WAIT;
                    }
                    return accepted;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let wait = self.fail(&error);
                    sleep(wait).await;
                }
            }
        }
    }

    /// Notes a failure, and says how long to wait.
    fn fail(&mut self, error: &io::Error) -> Duration {
        let now = Instant::now();
        let trouble = self.trouble.get_or_insert_with(|| {
            tracing::error!(%error, "no new connections can be accepted; those that are open go on");
            Trouble {
                since: now,
                last: now,
                wait: FIRST_WAIT,
            }
        });
        trouble.last = now;
        let wait = trouble.wait;
        trouble.wait = (2 * wait).min(LONGEST_WAIT);
        wait
    }

    fn recover(&mut self) {
        if let Some(trouble) = self.trouble.take() {
            let seconds = trouble.since.elapsed().as_secs();
            tracing::warn!(seconds, "new connections are accepted again");
        }
    }
}

/// Waits until nothing has failed for a while; for ever, if nothing has at all.
async fn calm(trouble: Option<&Trouble>) {
    match trouble {
        Some(trouble) => sleep_until(trouble.last + CALM).await,
        None => pending().await,
    }
}

/// Whether an error of `accept` is about the connection that was to be accepted, and no other.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
