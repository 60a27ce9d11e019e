//! A server, as the real program.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::program::{PATIENCE, Ran, Running, Started};
use crate::harness::{Place, User};

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    child: Running,
    stdout: Receiver<String>,
    lines: Receiver<String>,
    said: String,
    /// The working folder stays as long as somebody works in it.
    _place: Arc<Place>,
}

impl Server {
    /// Waits until it says that it is up; panics with what it said if it ends before.
    #[track_caller]
    pub fn up(started: Started, place: Arc<Place>) -> Self {
        let mut server = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child: started.child,
            stdout: started.stdout,
            lines: lines(started.stderr),
            said: String::new(),
            _place: place,
        };
        let line = server.line("listening on http://");
        let (_, address) = line.split_once("http://").expect("a URL");
        server.address = address.parse().expect("an address");
        server
    }

    /// Waits for a line on stderr with this text in it.
    #[track_caller]
    pub fn line(&mut self, with: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                    if line.contains(with) {
                        return line;
                    }
                }
                Err(why) => panic!("no {with:?} ({why}) in:\n{}", self.said),
            }
        }
    }

    /// What it has said on stderr, up to the last line that was waited for.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// The time on a processor that it has used, by user and system together: fields 14 and 15 of
    /// `/proc/<pid>/stat`, in ticks of 10 ms (proc(5)).
    pub fn cpu(&self) -> Duration {
        let pid = self.child.pid().as_raw_nonzero();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
        let (_, after_name) = stat.rsplit_once(')').expect("a name");
        let ticks = after_name.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|t| t.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(10 * ticks)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.child.pid(), signal).expect("a process");
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Ran {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push_str(&line);
                    self.said.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.said),
            }
        }
        Ran {
            stdout: self.stdout.recv_timeout(PATIENCE).expect("an end in time"),
            code: self.child.code(),
            stderr: self.said,
        }
    }

    /// Stops it as an operator does; returns what it said.
    #[track_caller]
    pub fn stop(self) -> String {
        self.signal(Signal::TERM);
        let ran = self.end();
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
        ran.stderr
    }

    /// Someone who has not logged in.
    pub fn stranger(&self) -> User {
        User::stranger(self.address)
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    told
}
