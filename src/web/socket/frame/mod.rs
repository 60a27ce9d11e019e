//! The protocol's frames, typed: every one that a client may send, and every one that it gets.

mod client;
mod server;

pub use client::{ClientFrame, Malformed, Received, parse};
pub use server::*;
