//! Requests one at a time, to prepare a server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::Result;

/// Posts a form; anything but success is an error.
pub fn post(address: SocketAddr, token: &str, path: &str, form: &Value) -> Result<Value> {
    ask(address, "POST", path, token, &form.to_string())
}

/// Gets a page; anything but success is an error.
pub fn get(address: SocketAddr, token: &str, path: &str) -> Result<Value> {
    ask(address, "GET", path, token, "")
}

fn ask(address: SocketAddr, method: &str, path: &str, token: &str, body: &str) -> Result<Value> {
    let bearer = if token.is_empty() {
        String::new()
    } else {
        format!("Authorization: Bearer {token}\r\n")
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{bearer}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("{method} {path}: {head}\n{body}").into());
    }
    Ok(serde_json::from_str(body)?)
}
