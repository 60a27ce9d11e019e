//! The network's doors: which path leads where, and what holds for every request.

mod cors;
mod host;
mod identity;
pub mod json;
mod rest;
mod server;
mod socket;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use poem::http::{HeaderValue, Method, StatusCode, Uri, header};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route, RouteMethod,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use server::serve;

use crate::chat::{Chat, Error};
use crate::config::{Config, Sockets};
use json::Dialect;
use rest::{Document, Refused, refusal};

/// What every request can reach.
pub struct App {
    chat: Chat,
    dialect: Dialect,
    hosts: host::Hosts,
    cors: cors::Cors,
    document: Document,
    sockets: Sockets,
    shutdown: CancellationToken,
    /// The sockets that are open.
    connections: TaskTracker,
    lines: socket::Lines,
}

impl App {
    fn new(chat: Chat, config: &Config, document: Document, shutdown: CancellationToken) -> Self {
        Self {
            chat,
            dialect: Dialect {
                shh: config.compat.shh_frontend,
            },
            hosts: host::Hosts::new(config.hosts()),
            cors: cors::Cors::new(config.cors.allowed_origins.clone()),
            document,
            sockets: config.sockets,
            shutdown,
            connections: TaskTracker::new(),
            lines: socket::Lines::default(),
        }
    }

    /// The one that the request came in by.
    fn of(request: &Request) -> &Arc<Self> {
        // `Doors` puts it into every request before anything else sees it.
        request
            .data::<Arc<Self>>()
            .unwrap_or_else(|| unreachable!("a request that did not come through the doors"))
    }
}

/// The address of whoever is at the other end of the connection.
fn peer(request: &Request) -> IpAddr {
    let peer = request.remote_addr().as_socket_addr();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}

/// The document that a server of this version serves as `/openapi.yaml`.
pub fn openapi_yaml() -> String {
    String::from_utf8_lossy(&rest::api().1.yaml).into_owned()
}

/// All paths, behind what holds for each of them.
struct Doors<E> {
    app: Arc<App>,
    routes: E,
}

fn doors(
    chat: Chat,
    config: &Config,
    shutdown: CancellationToken,
) -> Doors<impl Endpoint<Output = Response> + use<>> {
    let (service, document) = rest::api();
    let upgrade = || poem::get(poem::endpoint::make_sync(|r| socket::upgrade(&r)));
    let routes = Route::new()
        .at("/ws", upgrade())
        .at("/ws/chat/:room", upgrade())
        .at(
            "/docs",
            text("text/html; charset=utf-8", |document| &document.page),
        )
        .at(
            "/openapi.json",
            text("application/json; charset=utf-8", |document| &document.json),
        )
        .at(
            "/openapi.yaml",
            text("application/yaml; charset=utf-8", |document| &document.yaml),
        )
        .nest_no_strip("/", service.into_endpoint())
        .map_to_response();
    Doors {
        app: Arc::new(App::new(chat, config, document, shutdown)),
        routes,
    }
}

/// A page with one form of the API's document.
fn text(kind: &'static str, form: fn(&Document) -> &Bytes) -> RouteMethod {
    poem::get(poem::endpoint::make_sync(move |request| {
        let text = form(&App::of(&request).document).clone();
        Response::builder().content_type(kind).body(text)
    }))
}

impl<E: Endpoint<Output = Response>> Endpoint for Doors<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let began = Instant::now();
        request.set_data(self.app.clone());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let peer = peer(&request);
        let request_id = request_id(&request);

        let mut response = self.answer(request, &path).await;
        self.app.cors.mark(origin.as_ref(), response.headers_mut());
        let headers = response.headers_mut();
        headers.insert(
            "x-content-type-options",
            HeaderValue::from_static("nosniff"),
        );
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert("x-request-id", request_id.clone());

        let status = response.status().as_u16();
        let ms = began.elapsed().as_millis();
        let id = request_id.to_str().unwrap_or_default();
        tracing::info!(target: "chatroom::access", %method, path, status, ms, %peer, id, "request");
        Ok(response)
    }
}

impl<E: Endpoint<Output = Response>> Doors<E> {
    async fn answer(&self, mut request: Request, path: &str) -> Response {
        let health = matches!(path.trim_end_matches('/'), "/healthz" | "/readyz");
        if !health && !self.app.hosts.allow(&request) {
            let text = "This server does not answer to that host name; see server.allowed_hosts.";
            return refusal(StatusCode::BAD_REQUEST, "host_not_allowed", text);
        }
        if !health && self.app.shutdown.is_cancelled() {
            return Refused(Error::Unavailable).into_response();
        }
        if !health && let Some(refused) = server::refuse(&self.app, &request, path).await {
            return refused;
        }
        trim_slash(&mut request);
        let allowed = self.methods(request.uri().path());
        if request.method() == Method::OPTIONS
            && let Some(methods) = &allowed
        {
            return self.app.cors.preflight(&request, methods);
        }
        let response = match self.routes.call(request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
        in_shape(response, allowed).await
    }

    /// The methods that a path takes.
    fn methods(&self, path: &str) -> Option<String> {
        let page = matches!(path, "/docs" | "/openapi.json" | "/openapi.yaml" | "/ws");
        if page || path.starts_with("/ws/chat/") {
            return Some("GET, HEAD, OPTIONS".to_owned());
        }
        self.app.document.methods(path).map(str::to_owned)
    }
}

/// Gives the errors that poem makes by itself, which are plain text, the one shape.
async fn in_shape(response: Response, allowed: Option<String>) -> Response {
    let status = response.status();
    let json = response
        .content_type()
        .is_some_and(|kind| kind.starts_with("application/json"));
    if json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    match (status, allowed) {
        (StatusCode::METHOD_NOT_ALLOWED, Some(methods)) => {
            let text = format!("This path takes {methods}.");
            let mut response = refusal(status, "method_not_allowed", &text);
            if let Ok(methods) = HeaderValue::from_str(&methods) {
                response.headers_mut().insert(header::ALLOW, methods);
            }
            response
        }
        (StatusCode::NOT_FOUND, _) => refusal(status, "not_found", "There is nothing here."),
        (StatusCode::BAD_REQUEST, _) => {
            // What poem says of a parameter that it could not read.
            let text = response.into_body().into_string().await.unwrap_or_default();
            refusal(status, "invalid_parameter", &text)
        }
        _ if status.is_server_error() => {
            refusal(status, "internal", "Something went wrong on the server.")
        }
        _ => refusal(
            status,
            "refused",
            status.canonical_reason().unwrap_or("Refused."),
        ),
    }
}

/// Both spellings of a path are one path.
fn trim_slash(request: &mut Request) {
    let uri = request.uri();
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') {
        return;
    }
    let trimmed = path.trim_end_matches('/');
    let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
    let target = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    if let Ok(target) = target.parse::<Uri>() {
        *request.uri_mut() = target;
    }
}

/// The client's own id for the request, if it is a plain word, or else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let sent = request.header("x-request-id").filter(|id| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    let id = sent.map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), str::to_owned);
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("-"))
}
