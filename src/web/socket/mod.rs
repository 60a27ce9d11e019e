//! Sockets: the upgrade of a request to a WebSocket (RFC 6455), and who may have one.

mod close;
mod codec;
mod connection;
mod frame;
mod line;
mod pulse;
mod queue;
mod seat;
mod session;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Request, Response};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::App;
use super::identity::Tokens;
use super::rest::refusal;
use super::server::Place;
use crate::chat::Error;
use crate::model::{RoomId, Seq};
use close::Close;
use connection::Reader;
use line::Line;
use seat::{Seat, Start};
use session::Session;

pub use pulse::Lines;

/// What a client asks for with the upgrade.
#[derive(Debug)]
struct Ask {
    /// The room's UUID or name; without one it is for all the user's rooms.
    room: Option<String>,
    /// The access token that counts.
    token: Option<String>,
    /// A refresh cookie came along, so a token that is gone or has run out can be renewed.
    renewable: bool,
    /// Where it wants to begin.
    start: Start,
}

/// `GET /ws/chat/<room>/`, and `GET /ws/`.
pub fn upgrade(request: &Request) -> Response {
    answer(request).unwrap_or_else(|refused| refused)
}

fn answer(request: &Request) -> Result<Response, Response> {
    let app = App::of(request).clone();
    let accept = accept_key(request)?;
    let ask = ask(&app, request)?;
    let upgrading = request.data::<OnUpgrade>().cloned();
    let upgrading = upgrading.ok_or_else(|| no_websocket("upgrade"))?;
    let place = request.data::<Place>().cloned();
    let tasks = app.connections.clone();
    tasks.spawn(async move {
        if let Some(open) = begin(app.clone(), upgrading, ask).await {
            // A task of its own: what it took to open is given back, and not kept for as long as the
            // socket lives.
            app.connections.spawn(run(open, place));
        }
    });
    Ok(Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .finish())
}

/// A connection that is served.
struct Open {
    reader: Reader,
    line: Arc<Line>,
    session: Session,
    /// Its place among the sockets.
    entry: pulse::Entry,
}

/// Waits for the stream, and opens the connection, or ends it.
async fn begin(app: Arc<App>, upgrading: OnUpgrade, ask: Ask) -> Option<Open> {
    // It is what `server` made it of.
    let parts = upgrading.await.ok()?.downcast::<TokioIo<TcpStream>>();
    let parts = parts.ok()?;
    let (reader, writer) = parts.io.into_inner().into_split();
    let mut reader = Reader::new(reader);
    let many = ask.room.is_none();
    let line = Line::new(writer, app.dialect, many);
    reader.feed(&parts.read_buf);
    match open(&app, ask, &line).await {
        Ok(session) => {
            let entry = app.lines.add(line.clone());
            if app.shutdown.is_cancelled() {
                // It came too late to be among those that are told so.
                line.leave();
            }
            Some(Open {
                reader,
                line,
                session,
                entry,
            })
        }
        Err(close) => {
            let code = connection::refuse(reader, &line, close).await;
            tracing::info!(target: "chatroom::access", code, "socket refused");
            None
        }
    }
}

/// Serves an open connection to its end. The place is the connection's for as long.
async fn run(open: Open, place: Option<Place>) {
    let (user, room) = (open.session.user(), open.session.room_id());
    let of = |room: Option<RoomId>| room.map_or_else(|| "all".to_owned(), |room| room.to_string());
    tracing::info!(target: "chatroom::access", %user, room = of(room), "socket opened");
    let code = connection::run(open.reader, open.line, open.session).await;
    drop((open.entry, place));
    tracing::info!(target: "chatroom::access", %user, room = of(room), code, "socket closed");
}

/// Decides after the upgrade, so that a browser sees the code.
async fn open(app: &Arc<App>, ask: Ask, line: &Arc<Line>) -> Result<Session, Close> {
    let Some(token) = ask.token else {
        return Err(if ask.renewable {
            Close::TokenExpired
        } else {
            Close::NoCredentials
        });
    };
    enter(app, &token, ask.room.as_deref(), ask.start, line)
        .await
        .map_err(|e| Close::of(&e))
}

async fn enter(
    app: &Arc<App>,
    token: &str,
    room: Option<&str>,
    start: Start,
    line: &Arc<Line>,
) -> Result<Session, Error> {
    let claim = app.chat.claim(token)?;
    let connection = app.chat.connect(&claim, room.is_none(), line.clone());
    let _ = line.id.set(connection.id());
    let (who, room) = if let Some(room) = room {
        let (who, room, head) = app.chat.enter(&connection, &claim, room).await?;
        line.sit_down([(room, Seat::new(start, head))], None);
        (who, Some(room))
    } else {
        let (who, rooms, whole) = app.chat.enter_all(&connection, &claim).await?;
        let seats = rooms
            .iter()
            .map(|room| (room.id, Seat::live(room.last_seq)));
        let ready = frame::ready(&who.user, &rooms, !whole);
        line.sit_down(seats, Some(&ready));
        for room in rooms {
            line.catch_up(room.id, app.chat.told(room.id));
        }
        (who, None)
    };
    line.expire_at(session::instant(&who));
    let line = line.clone();
    let dialect = app.dialect;
    Ok(Session::new(
        &app.chat, dialect, who, connection, room, line,
    ))
}

/// Checks the handshake's headers (RFC 6455, 4.2.1) and makes the answer to its key.
fn accept_key(request: &Request) -> Result<String, Response> {
    let has = |name: header::HeaderName, word: &str| {
        request.headers().get_all(name).iter().any(|value| {
            let words = value.to_str().unwrap_or_default().split(',');
            words
                .into_iter()
                .any(|w| w.trim().eq_ignore_ascii_case(word))
        })
    };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(no_websocket("Upgrade: websocket"));
    }
    if request.header(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        let mut refused = no_websocket("Sec-WebSocket-Version: 13");
        let headers = refused.headers_mut();
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return Err(refused);
    }
    let mut keys = request.headers().get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key.as_bytes(),
        _ => b"",
    };
    if STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        Ok(derive_accept_key(key))
    } else {
        let text = "Sec-WebSocket-Key must be 16 bytes in base64.";
        Err(refusal(StatusCode::BAD_REQUEST, "bad_handshake", text))
    }
}

fn no_websocket(missing: &str) -> Response {
    let text = format!("This is a WebSocket. The request lacks {missing}.");
    let mut response = refusal(StatusCode::UPGRADE_REQUIRED, "upgrade_required", &text);
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// Reads what the client asks for. A page on another origin may not use its visitor's cookies.
fn ask(app: &App, request: &Request) -> Result<Ask, Response> {
    let query: Vec<(String, String)> = request.params().unwrap_or_default();
    let parameter = |name: &str| {
        query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
    };
    let tokens = Tokens::of(request.headers());
    let own = tokens
        .header
        .or_else(|| parameter("token").filter(|t| !t.is_empty()));
    let by_cookie = own.is_none();
    let cookies = tokens.access_cookie.is_some() || tokens.refresh_cookie.is_some();
    if by_cookie && cookies && !app.cors.trusts(request) {
        let text = "This origin may not open sockets with cookies; see cors.allowed_origins.";
        return Err(refusal(StatusCode::FORBIDDEN, "origin_not_allowed", text));
    }
    Ok(Ask {
        room: request.path_params().ok(),
        token: own.or(tokens.access_cookie),
        renewable: by_cookie && tokens.refresh_cookie.is_some(),
        start: match parameter("after").map(|text| text.parse()) {
            None => Start::Newest,
            Some(Ok(after @ 0..)) => Start::After(Seq(after)),
            Some(_) => Start::Unreadable,
        },
    })
}
