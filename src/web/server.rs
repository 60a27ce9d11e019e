//! The accept loop: connections in, requests to the doors, and an orderly end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::uri::Scheme;
use poem::http::{self, StatusCode};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, doors, refusal};
use crate::chat::Chat;
use crate::config::Config;

/// How long a client may take to send the head of a request, and to begin the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest head of a request, in bytes, and the size of a connection's buffer at most.
const HEAD_MAX: usize = 16 * 1024;
/// How long to wait when the system has no file descriptor left for a new connection.
const BACK_OFF: Duration = Duration::from_millis(100);

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
    let connections = TaskTracker::new();
    let app: Arc<App> = doors.app.clone();
    let watching = CancellationToken::new();
    let _stop_watching = watching.clone().drop_guard();
    let lines = app.lines.clone();
    let timing = app.sockets;
    tokio::spawn(async move { lines.watch(timing, watching).await });
    loop {
        let accepted = tokio::select! {
            // First, so that whoever comes after it is turned away and not cut off.
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let doors = doors.clone();
                let shutdown = shutdown.clone();
                connections.spawn(connection(stream, local, peer, doors, Some(shutdown)));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no new connections can be accepted");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    let drain = config.server.drain_timeout;
    connections.close();
    app.connections.close();
    let drained = async {
        // Half of the time is for the clients to answer.
        app.lines.leave(drain / 2).await;
        connections.wait().await;
        app.connections.wait().await;
    };
    tokio::select! {
        drained = tokio::time::timeout(drain, drained) => if drained.is_err() {
            let left = connections.len() + app.connections.len();
            tracing::warn!(left, "connections were still open when the time to drain was over");
        },
        () = turn_away(&listener, local, &doors) => {}
    }
    Ok(())
}

/// While the server drains, whoever comes is told so: load balancers by `/readyz`, others by a 503.
async fn turn_away<E: Endpoint<Output = Response> + 'static>(
    listener: &TcpListener,
    local: SocketAddr,
    doors: &Arc<super::Doors<E>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, local, peer, doors.clone(), None));
            }
            Err(_) => tokio::time::sleep(BACK_OFF).await,
        }
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

/// Serves a connection until it ends or `shutdown` says so; without one, for a single request.
async fn connection<E: Endpoint<Output = Response> + 'static>(
    stream: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    doors: Arc<super::Doors<E>>,
    shutdown: Option<CancellationToken>,
) {
    // A frame is small and wants to go now.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        let doors = doors.clone();
        async move {
            // Taken before poem wraps it: a socket wants the stream itself.
            let upgrade = hyper::upgrade::on(&mut request);
            let request = (
                request,
                LocalAddr(Addr::SocketAddr(local)),
                RemoteAddr(Addr::SocketAddr(peer)),
                Scheme::HTTP,
            );
            // In a task of its own a request is finished even if its client goes away: no
            // transaction is left half-way, and a panic ends this request only.
            let answered = tokio::spawn(async move {
                let mut request: poem::Request = request.into();
                request.set_data(upgrade);
                doors.get_response(request).await
            });
            let response = answered.await.unwrap_or_else(|error| {
                tracing::error!(%error, "a request failed");
                let text = "Something went wrong on the server.";
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
            });
            Ok::<http::Response<_>, Infallible>(response.into())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .keep_alive(shutdown.is_some())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let shutdown = shutdown.unwrap_or_default();
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}
