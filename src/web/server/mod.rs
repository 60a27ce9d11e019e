//! The accept loop: connections in, requests to the doors, and an orderly end.

mod gate;
mod patience;
mod room;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::http::uri::Scheme;
use poem::http::{self, StatusCode};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use room::{Place, refuse};

use super::{App, Doors, doors, refusal};
use crate::chat::Chat;
use crate::config::Config;
use gate::Gate;
use patience::Patience;
use room::{Admission, Room, dismiss, turn_away};

/// Longest head of a request, in bytes, and the size of a connection's buffer at most.
const HEAD_MAX: usize = 16 * 1024;
/// How long a connection beyond the cap may do nothing: a crowd that waits there must not keep
/// operators out. A head is there after one round trip, and the slowest of those, by satellite,
/// take less than a second.
const KEPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until `shutdown` is cancelled, then finishes what is under way, ends the sockets and turns
/// away whoever comes, for as long as `server.drain_timeout` at most. What is then still open is
/// dropped.
pub async fn serve(
    listener: TcpListener,
    chat: Chat,
    config: &Config,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let doors = Arc::new(doors(chat, config, shutdown.clone()));
    let app: Arc<App> = doors.app.clone();
    let connections = TaskTracker::new();
    let watching = CancellationToken::new();
    let _until_the_end = watching.clone().drop_guard();
    let (lines, timing) = (app.lines.clone(), app.sockets);
    tokio::spawn(async move { lines.watch(timing, watching).await });
    let mut reception = Reception {
        gate: Gate::new(listener),
        room: Room::new(config),
        terms: Terms {
            local,
            head: config.server.head_timeout,
            idle: config.server.idle_timeout,
            shutdown: Some(shutdown.clone()),
        },
        doors,
    };
    tokio::select! {
        // First, so that whoever comes after it is turned away and not cut off.
        biased;
        () = shutdown.cancelled() => {}
        () = reception.receive(&connections) => {}
    }
    connections.close();
    app.connections.close();
    let drain = config.server.drain_timeout;
    let drained = async {
        // Half of the time is for the clients to answer.
        app.lines.leave(drain / 2).await;
        connections.wait().await;
        app.connections.wait().await;
    };
    // Whoever comes now is told so: load balancers by `/readyz`, others by a 503. For them nobody
    // waits.
    reception.terms.shutdown = None;
    let late = TaskTracker::new();
    tokio::select! {
        drained = tokio::time::timeout(drain, drained) => if drained.is_err() {
            let left = connections.len() + app.connections.len();
            tracing::warn!(left, "connections were still open when the time to drain was over");
        },
        () = reception.receive(&late) => {}
    }
    Ok(())
}

/// Lets connections in.
struct Reception<E> {
    gate: Gate,
    room: Room,
    terms: Terms,
    doors: Arc<Doors<E>>,
}

impl<E: Endpoint<Output = Response> + 'static> Reception<E> {
    /// Serves whoever comes, for ever, in tasks of this tracker.
    async fn receive(&mut self, connections: &TaskTracker) {
        loop {
            let (stream, peer) = self.gate.accept().await;
            match self.room.admit() {
                Admission::In(place) => {
                    let terms = self.terms.of(&place);
                    let doors = self.doors.clone();
                    connections.spawn(connection(stream, peer, place, terms, doors));
                }
                Admission::Doorstep(permit) => {
                    connections.spawn(async move {
                        turn_away(stream).await;
                        drop(permit);
                    });
                }
                Admission::Out => dismiss(stream),
            }
        }
    }
}

/// On which terms a connection is served.
#[derive(Clone)]
struct Terms {
    local: SocketAddr,
    /// How long the first head may take, and how long nothing may happen.
    head: Duration,
    idle: Duration,
    /// Until this says so the connection may be kept alive; without it there is one request.
    shutdown: Option<CancellationToken>,
}

impl Terms {
    fn of(&self, place: &Place) -> Self {
        let mut terms = self.clone();
        if place.is_kept() {
            terms.head = terms.head.min(KEPT_TIMEOUT);
            terms.idle = terms.idle.min(KEPT_TIMEOUT);
            terms.shutdown = None;
        }
        terms
    }
}

/// Serves a connection until it ends, its patience is over or the server stops. The place is taken
/// for that long, and for as long as a request of it is under way or a socket that it became open.
async fn connection<E: Endpoint<Output = Response> + 'static>(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    terms: Terms,
    doors: Arc<Doors<E>>,
) {
    // A frame is small and wants to go now.
    let _ = stream.set_nodelay(true);
    let patience = Patience::new(terms.head, terms.idle);
    let service = service_fn(|mut request: http::Request<Incoming>| {
        patience.rest();
        request.extensions_mut().insert(place.clone());
        let doors = doors.clone();
        // Taken before poem wraps it: a socket wants the stream itself.
        let upgrade = hyper::upgrade::on(&mut request);
        let request = (
            request,
            LocalAddr(Addr::SocketAddr(terms.local)),
            RemoteAddr(Addr::SocketAddr(peer)),
            Scheme::HTTP,
        );
        // In a task of its own a request is finished even if its client goes away: no transaction
        // is left half-way, and a panic ends this request only.
        let answered = tokio::spawn(async move {
            let mut request = poem::Request::from(request);
            request.set_data(upgrade);
            doors.get_response(request).await
        });
        let patience = &patience;
        async move {
            let response = answered.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a request failed");
                let text = "Something went wrong on the server.";
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
            });
            patience.resume();
            Ok::<http::Response<_>, Infallible>(response.into())
        }
    });
    let connection = http1::Builder::new()
        // hyper knows one deadline for all heads, and none for an answer that is not read.
        .header_read_timeout(None)
        .max_buf_size(HEAD_MAX)
        .keep_alive(terms.shutdown.is_some())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let shutdown = terms.shutdown.unwrap_or_default();
    let served = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    tokio::select! {
        ended = served => if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended early");
        },
        () = patience.over() => tracing::debug!(%peer, "a connection did nothing for too long"),
    }
}
