//! A user at the other end of a WebSocket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};

/// No answer takes this long, unless there is none.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client's socket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    /// Opens a socket; panics if the server refuses the handshake.
    pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(address, path, headers)
            .await
            .expect("a handshake")
    }

    /// Opens a socket, or says with which status the handshake was refused.
    pub async fn try_open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        Self::over(tcp, address, path, headers).await
    }

    /// Opens a socket whose system takes in little before the client reads.
    pub async fn open_narrow(address: SocketAddr, path: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let tcp = socket.connect(address).await.expect("a connection");
        Self::over(tcp, address, path, &[])
            .await
            .expect("a handshake")
    }

    async fn over(
        tcp: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let url = format!("ws://{address}{path}");
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            let value = HeaderValue::from_str(value).expect("a value");
            request.headers_mut().append(name, value);
        }
        tcp.set_nodelay(true).expect("no delay");
        let opening = tokio_tungstenite::client_async(request, tcp);
        match timeout(PATIENCE, opening)
            .await
            .expect("an answer to the handshake")
        {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(e) => panic!("{e}"),
        }
    }

    /// The next frame, as JSON. Pings are answered on the way.
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.next_or_close().await {
                Ok(frame) => frame,
                Err(code) => panic!("closed with {code} instead of a frame, at {caller}"),
            }
        }
    }

    /// The next frame, or the code that the socket was closed with (1006: without one).
    pub async fn next_or_close(&mut self) -> Result<Value, u16> {
        loop {
            match timeout(PATIENCE, self.stream.next())
                .await
                .expect("a frame in time")
            {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    // Sends the answer that the library has prepared.
                    let _ = self.stream.flush().await;
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame, which must be of that type.
    #[track_caller]
    pub fn expect(&mut self, kind: &'static str) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.next_or_close().await {
                Ok(frame) if frame["type"] == kind => frame,
                other => panic!("not a {kind}: {other:?}, at {caller}"),
            }
        }
    }

    /// Reads up to the close, and returns its code.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next_or_close().await {
                return code;
            }
        }
    }

    /// Sends a frame of JSON.
    pub async fn send(&mut self, frame: Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    /// Sends any frame.
    pub async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.expect("to send");
    }

    /// Sends any frame; whether it could be.
    pub async fn try_send_raw(&mut self, message: Message) -> bool {
        self.stream.send(message).await.is_ok()
    }

    /// Sends a message, waits for its ack, and returns that. Frames before it are passed over.
    pub async fn say(&mut self, text: &str, nonce: &str) -> Value {
        self.send(json!({"type": "message", "message": text, "nonce": nonce, "ref": nonce}))
            .await;
        loop {
            let frame = self.next().await;
            if frame["ref"] == nonce {
                return frame;
            }
        }
    }

    /// Sends the numbers of this range as messages, as fast as the server takes them, and waits
    /// until all are stored. Each is filled up to `bytes` with dots.
    pub async fn say_numbers(&mut self, numbers: std::ops::RangeInclusive<i64>, bytes: usize) {
        let numbers: Vec<i64> = numbers.collect();
        // Few enough that neither side waits for the other to read.
        for some in numbers.chunks(50) {
            for number in some {
                let text = format!("{number:.<bytes$}");
                self.send(json!({"type": "message", "message": text, "ref": number}))
                    .await;
            }
            let mut acked = 0;
            while acked < some.len() {
                acked += usize::from(self.next().await["type"] == "ack");
            }
        }
    }

    /// Sends a message with that `ref`; returns the ack and the message itself, which come in
    /// either order.
    pub async fn say_and_hear(&mut self, frame: Value) -> (Value, Value) {
        self.send(frame).await;
        let (first, second) = (self.next().await, self.next().await);
        let (ack, message) = if first["type"] == "ack" {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(
            (&ack["type"], &message["type"]),
            (&json!("ack"), &json!("chat_message"))
        );
        (ack, message)
    }

    /// Proves that nothing else was on its way: a ping is answered with the very next frame.
    #[track_caller]
    pub fn quiet(&mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            self.send(json!({"type": "ping"})).await;
            let next = self.next_or_close().await;
            assert_eq!(next, Ok(json!({"type": "pong"})), "at {caller}");
        }
    }

    /// Closes as a browser does.
    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
    }

    /// The stream itself, for tests of the protocol below the frames.
    pub fn stream(&mut self) -> &mut WebSocketStream<TcpStream> {
        &mut self.stream
    }
}
