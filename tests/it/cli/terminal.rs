//! A terminal, with the real program on it.

use std::io::{Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use super::program::{PATIENCE, Running};
use crate::harness::Place;

/// A terminal with somebody at it who waits for the questions.
pub struct Terminal {
    child: Running,
    keys: Option<ChildStdin>,
    screen: Receiver<Vec<u8>>,
    shown: String,
    /// How much of `shown` was waited for.
    read: usize,
    _place: Arc<Place>,
}

impl Terminal {
    /// Opens one where this runs.
    pub fn open(mut command: Command, place: Arc<Place>) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = Running(command.spawn().expect("util-linux's script"));
        let keys = child.0.stdin.take();
        let mut from = child.0.stdout.take().expect("a pipe");
        let (tell, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(size @ 1..) = from.read(&mut piece) {
                let _ = tell.send(piece[..size].to_vec());
            }
        });
        Self {
            child,
            keys,
            screen,
            shown: String::new(),
            read: 0,
            _place: place,
        }
    }

    /// Waits until this is on the screen, behind all that was waited for before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown[self.read..].find(text) {
                self.read += at + text.len();
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(why) => panic!("no {text:?} ({why}) in:\n{}", self.shown),
            }
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) -> &mut Self {
        self.presses(&format!("{line}\r"))
    }

    /// Presses keys.
    pub fn presses(&mut self, keys: &str) -> &mut Self {
        let to = self.keys.as_mut().expect("a keyboard");
        to.write_all(keys.as_bytes()).expect("somebody reads");
        to.flush().expect("somebody reads");
        self
    }

    /// Waits until what ran has ended: the exit code, and the whole screen.
    pub fn end(mut self) -> (i32, String) {
        loop {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.shown),
            }
        }
        let code = self.child.code();
        drop(self.keys);
        (code, self.shown)
    }
}
