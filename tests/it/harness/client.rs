//! A user at the other end of HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Socket;

/// The password of every user that the harness makes.
pub const PASSWORD: &str = "correct horse battery";

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON; panics with the text if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The body, if the status is that one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Asserts the status and the error's code, and that the body has the one shape.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert!(body["detail"].is_string(), "{body}");
        assert_eq!(body["error"], body["detail"], "{body}");
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/json"), "{kind}");
        body
    }

    /// A header, or an empty text.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).map(|v| v.to_str().expect("text"));
        value.unwrap_or_default().to_owned()
    }

    /// A cookie that was set: its value, or an empty text if it was not.
    pub fn cookie(&self, name: &str) -> String {
        let cookies = self.cookies();
        let pairs = cookies.iter().filter_map(|cookie| cookie.split(';').next());
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// All `Set-Cookie` headers.
    pub fn cookies(&self) -> Vec<String> {
        let all = self.headers.get_all("set-cookie").iter();
        all.map(|v| v.to_str().expect("text").to_owned()).collect()
    }
}

/// A user, or a stranger without tokens.
#[derive(Debug, Clone)]
pub struct User {
    pub address: SocketAddr,
    pub id: i64,
    pub username: String,
    /// The access token; empty for a stranger.
    pub token: String,
    pub refresh: String,
    http: reqwest::Client,
}

impl User {
    pub fn stranger(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            address,
            id: 0,
            username: String::new(),
            token: String::new(),
            refresh: String::new(),
            http,
        }
    }

    /// Registers `name` with the address `name@example.org`, and logs in.
    pub async fn register(address: SocketAddr, name: &str) -> Self {
        let stranger = Self::stranger(address);
        let email = format!("{name}@example.org");
        let form = json!({"username": name, "email": email, "password": PASSWORD});
        stranger.post("/register/", form).await.expect(201);
        stranger.log_in(name, PASSWORD).await
    }

    /// Logs in, as a user with tokens of his own.
    pub async fn log_in(&self, name: &str, password: &str) -> Self {
        let form = json!({"username": name, "password": password});
        let body = self.post("/login/", form).await.expect(200);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            id: body["user"]["id"].as_i64().expect("an id"),
            username: text(&body["user"]["username"]),
            token: text(&body["token"]),
            refresh: text(&body["refresh_token"]),
            ..self.clone()
        }
    }

    /// The same user at another node.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// A request with the user's token, if he has one, to be finished by the test.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("http://{}{path}", self.address));
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    /// Any request, with these headers besides the token; a body goes as it is.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.request(method, path).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// The same user with another access token, or with none.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Makes a room; returns its id.
    pub async fn room(&self, name: &str) -> String {
        let body = self
            .post("/rooms/create/", json!({"chat_room_name": name}))
            .await
            .expect(201);
        body["room_id"].as_str().expect("an id").to_owned()
    }

    /// Joins a room.
    pub async fn join(&self, room: &str) {
        self.post("/room/join/", json!({"room_id": room}))
            .await
            .expect(200);
    }

    /// Sends a message by REST; returns it.
    pub async fn say(&self, room: &str, text: &str) -> Value {
        let path = format!("/messages/{room}/send/");
        self.post(&path, json!({"message": text})).await.expect(201)
    }

    /// All messages of a room, oldest first, page by page.
    pub async fn history(&self, room: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map_or(0, |m| m["id"].as_i64().expect("an id"));
            let path = format!("/messages/{room}/?limit=200&after={after}");
            let body = self.get(&path).await.expect(200);
            all.extend(body["messages"].as_array().expect("messages").clone());
            if body["has_more"] == false {
                return all;
            }
        }
    }

    /// Opens the room's socket with the token in the query.
    pub async fn socket(&self, room: &str) -> Socket {
        Socket::open(
            self.address,
            &format!("/ws/chat/{room}/?token={}", self.token),
            &[],
        )
        .await
    }

    /// The same, to resume after a change.
    pub async fn socket_after(&self, room: &str, after: i64) -> Socket {
        let path = format!("/ws/chat/{room}/?token={}&after={after}", self.token);
        Socket::open(self.address, &path, &[]).await
    }
}

/// Sends a request and reads the answer.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let status: StatusCode = response.status();
    Answer {
        status: status.as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("a body"),
    }
}

/// Sends bytes that no HTTP library would send, and reads the answer up to the end of the
/// connection; an answer without a status line has the status 0.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut tcp = TcpStream::connect(address).await.expect("a connection");
    // The server may have heard enough and hung up in the middle of either.
    let _ = tcp.write_all(request).await;
    let mut bytes = Vec::new();
    let reading = timeout(Duration::from_secs(20), tcp.read_to_end(&mut bytes));
    let _ = reading.await.expect("an end of the connection");
    let all = String::from_utf8_lossy(&bytes).into_owned();
    let (head, text) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((
            name.parse::<HeaderName>().ok()?,
            HeaderValue::from_str(value).ok()?,
        ))
    };
    Answer {
        status: status.unwrap_or(0),
        headers: lines.filter_map(pair).collect(),
        text: text.to_owned(),
    }
}
