//! A server as a process of its own, which can be killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Place, SECRET};

/// No server takes this long to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the last line of its banner begins with.
const LISTENING: &str = "listening on http://";

/// A running `chatroom serve`. It is killed when dropped; what it stored stays in its place.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Told when it has closed its standard error, which it does by ending.
    silent: oneshot::Receiver<()>,
}

impl Process {
    /// Starts the program in this place, on a free port, without rate limits, and with nothing in
    /// its environment but that and `extra`.
    pub async fn start(place: &Place, extra: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chatroom"))
            .args(["serve", "--bind", "127.0.0.1:0", "--migrate"])
            .current_dir(place.folder.path())
            .env_clear()
            .env("CHATROOM_DATA_DIR", place.folder.path())
            .env("DATABASE_URL", &place.database_url)
            .env("CHATROOM_DATABASE_MAX_CONNECTIONS", "6")
            .env("CHATROOM_LIMITS_ENABLED", "false")
            .env("SECRET_KEY", SECRET)
            .envs(extra.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("a pipe");
        let log = Arc::new(Mutex::new(String::new()));
        let (told, address) = oneshot::channel();
        let (ended, silent) = oneshot::channel();
        thread::spawn({
            let log = log.clone();
            move || {
                listen(stderr, &log, told);
                let _ = ended.send(());
            }
        });
        let address = timeout(PATIENCE, address).await.expect("it starts in time");
        let address = address.unwrap_or_else(|_| {
            let ended = child.wait().expect("its end");
            let log = log.lock().expect("the log");
            panic!("the server ended before it listened, {ended}:\n{log}")
        });
        Self {
            address,
            child,
            log,
            silent,
        }
    }

    /// The memory that it holds, in bytes; none where the system has no `/proc`.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let mut lines = status.lines();
        let resident = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes = resident.trim().strip_suffix(" kB")?;
        Some(kilobytes.parse::<u64>().ok()? * 1024)
    }

    /// Ends it without a warning (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("its end");
    }

    /// Asks it to end (SIGTERM), waits until it has, and returns how.
    pub async fn end(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it can be told");
        let silent = timeout(PATIENCE, &mut self.silent).await;
        silent
            .expect("it ends in time")
            .expect("the thread that reads its log");
        self.child.wait().expect("its end")
    }

    /// Asks it to end, and makes sure that it ends well.
    pub async fn stop(self) {
        let log = self.log.clone();
        let ended = self.end().await;
        assert!(
            ended.success(),
            "{ended}:\n{}",
            log.lock().expect("the log")
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking()
            && let Ok(log) = self.log.lock()
        {
            eprintln!("the server's log:\n{log}");
        }
    }
}

/// Reads what the server prints, to its end, and tells the address once it is there.
fn listen(stderr: ChildStderr, log: &Mutex<String>, told: oneshot::Sender<SocketAddr>) {
    let mut told = Some(told);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(address) = line.strip_prefix(LISTENING)
            && let Some(told) = told.take()
        {
            let _ = told.send(address.trim().parse().expect("an address"));
        }
        let mut log = log.lock().expect("the log");
        log.push_str(&line);
        log.push('\n');
    }
}
