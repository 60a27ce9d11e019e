//! Sockets: the upgrade of a request to a WebSocket (RFC 6455), and who may have one.

mod close;
mod connection;
mod frame;
mod meter;
mod session;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Request, Response};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::App;
use super::identity::Tokens;
use super::rest::refusal;
use crate::model::Seq;
use close::Close;
use session::{Session, Start};

/// Longest frame and message from a client, in bytes: a message of 16 KiB fits however its text is
/// escaped in practice.
const FRAME_MAX: usize = 64 * 1024;
/// A connection's read buffer, in bytes. It is there for each idle socket, so it is small.
const READ_BUFFER: usize = 4 * 1024;
/// Frames are gathered here, and written when the connection says so.
const WRITE_BUFFER: usize = 16 * 1024 * 1024;

/// What a client asks for with the upgrade.
#[derive(Debug)]
struct Ask {
    /// The room's UUID or name.
    room: String,
    /// The access token that counts.
    token: Option<String>,
    /// A refresh cookie came along, so a token that is gone or has run out can be renewed.
    renewable: bool,
    /// Where it wants to begin.
    start: Start,
}

/// `GET /ws/chat/<room>/`.
pub fn upgrade(request: &Request) -> Response {
    answer(request).unwrap_or_else(|refused| refused)
}

fn answer(request: &Request) -> Result<Response, Response> {
    let app = App::of(request).clone();
    let accept = accept_key(request)?;
    let ask = ask(&app, request)?;
    let upgrading = request
        .take_upgrade()
        .map_err(|_| no_websocket("upgrade"))?;
    app.connections.clone().spawn(async move {
        let Ok(stream) = upgrading.await else { return };
        run(app, stream, ask).await;
    });
    Ok(Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .finish())
}

async fn run(app: Arc<App>, stream: poem::Upgraded, ask: Ask) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(2 * WRITE_BUFFER)
        .max_message_size(Some(FRAME_MAX))
        .max_frame_size(Some(FRAME_MAX));
    let (stream, written) = meter::metered(stream);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    match open(&app, ask).await {
        Ok((session, attachment)) => {
            let (user, room) = (session.who().user.id, session.room());
            tracing::info!(target: "chatroom::access", %user, %room, "socket opened");
            let code = connection::run(socket, session, attachment, written, &app).await;
            tracing::info!(target: "chatroom::access", %user, %room, code, "socket closed");
        }
        Err(close) => {
            let code = connection::refuse(socket, close).await;
            tracing::info!(target: "chatroom::access", code, "socket refused");
        }
    }
}

/// Decides after the upgrade, so that a browser sees the code.
async fn open(app: &Arc<App>, ask: Ask) -> Result<(Session, crate::chat::Attachment), Close> {
    let Some(token) = ask.token else {
        return Err(if ask.renewable {
            Close::TokenExpired
        } else {
            Close::NoCredentials
        });
    };
    let who = app
        .chat
        .authenticate(&token)
        .await
        .map_err(|e| Close::of(&e))?;
    Session::open(app.chat.clone(), app.dialect, who, &ask.room, ask.start)
        .await
        .map_err(|e| Close::of(&e))
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
        room: request.path_params().unwrap_or_default(),
        token: own.or(tokens.access_cookie),
        renewable: by_cookie && tokens.refresh_cookie.is_some(),
        start: match parameter("after").map(|text| text.parse()) {
            None => Start::Newest,
            Some(Ok(after @ 0..)) => Start::After(Seq(after)),
            Some(_) => Start::Unreadable,
        },
    })
}

/// The stream under a WebSocket.
type Stream = meter::Metered<poem::Upgraded>;
/// A WebSocket.
type Socket = WebSocketStream<Stream>;
