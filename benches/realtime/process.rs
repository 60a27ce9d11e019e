//! The processes of a run: the server, the bare broadcaster and the load generator.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Result;
use crate::http;
use crate::plan::{Outcome, Plan};

/// What the last line of the server's banner begins with.
const LISTENING: &str = "listening on http://";
/// No server takes this long to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// The role that is asked of this very program in a process of its own.
pub const ROLE: &str = "--role";

/// A folder with the server's data, and who and what is in it.
pub struct Place {
    pub folder: TempDir,
    /// As `database.url` takes it, empty for SQLite in the folder.
    database: String,
    pub rooms: Vec<String>,
    pub tokens: Vec<String>,
}

impl Place {
    /// With so many users, each a member of so many rooms.
    ///
    /// The server that makes them ends here: the one that is measured has not hashed passwords,
    /// which leaves memory behind that sockets would then take.
    pub fn new(database: String, users: usize, rooms: usize) -> Result<Self> {
        let folder = folder()?;
        let mut place = Self {
            folder,
            database,
            rooms: Vec::new(),
            tokens: Vec::new(),
        };
        let server = Server::start(&place)?;
        for user in 0..users {
            place.tokens.push(register(server.address, user)?);
        }
        for room in 0..rooms {
            let form = json!({"chat_room_name": format!("room{room}")});
            let owner = &place.tokens[0];
            let made = http::post(server.address, owner, "/rooms/create/", &form)?;
            let id = made["room_id"].as_str().ok_or("a room without an id")?;
            for guest in &place.tokens[1..] {
                http::post(
                    server.address,
                    guest,
                    "/room/join/",
                    &json!({"room_id": id}),
                )?;
            }
            place.rooms.push(id.to_owned());
        }
        server.stop()?;
        Ok(place)
    }
}

/// A new folder on the disk of the build, which is gone with the value. The usual place for such
/// folders is in memory on many machines, where nothing is ever written to disk.
pub fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("realtime")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn register(address: SocketAddr, user: usize) -> Result<String> {
    let name = format!("bench{user}");
    let password = "correct horse battery";
    let form =
        json!({"username": name, "email": format!("{name}@example.org"), "password": password});
    http::post(address, "", "/register/", &form)?;
    let form = json!({"username": name, "password": password});
    let answer = http::post(address, "", "/login/", &form)?;
    let token = answer["token"].as_str().ok_or("a login without a token")?;
    Ok(token.to_owned())
}

/// A running `chatroom serve`, killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts it as it is installed, but without rate limits, and without a log of each request.
    pub fn start(place: &Place) -> Result<Self> {
        let folder = place.folder.path();
        let log = folder.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_chatroom"))
            .args(["serve", "--bind", "127.0.0.1:0", "--migrate"])
            .current_dir(folder)
            .env_clear()
            .env("DATABASE_URL", &place.database)
            .env("CHATROOM_LIMITS_ENABLED", "false")
            .env("CHATROOM_LOG_LEVEL", "warn")
            .env(
                "SECRET_KEY",
                "a-secret-that-only-the-benchmark-knows-0123456789",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        // Nowhere yet; whatever goes wrong from here on, it is killed.
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let began = Instant::now();
        loop {
            let said = fs::read_to_string(&log)?;
            let mut lines = said.lines().filter(|_| said.ends_with('\n'));
            let line = lines.find_map(|line| line.strip_prefix(LISTENING));
            if let Some(address) = line {
                server.address = address.trim().parse()?;
                return Ok(server);
            }
            if server.child.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                return Err(format!("the server does not start:\n{said}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                return Err("the server does not stop".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running broadcaster. It ends when dropped, with the pipe to it.
pub struct Broadcaster {
    child: Child,
    pub address: SocketAddr,
}

impl Broadcaster {
    pub fn start(faulty: bool) -> Result<Self> {
        let mut child = role(if faulty { "faulty" } else { "broadcaster" })?.spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no pipe")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse();
        let address = address.map_err(|_| "the broadcaster does not start")?;
        Ok(Self { child, address })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the load generator to its end.
pub fn load(plan: &Plan) -> Result<Outcome> {
    let mut child = role("load")?.stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    stdin.write_all(&serde_json::to_vec(plan)?)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the load generator gave up: {}", why.trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// This program once more.
fn role(role: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ROLE, role]).stdin(Stdio::piped());
    command.stdout(Stdio::piped());
    Ok(command)
}

/// Compares what the server says that it has stored with what was said and acked.
pub fn verify(server: &Server, place: &Place, outcome: &mut Outcome) -> Result<()> {
    for (room, said) in place.rooms.iter().zip(&outcome.said) {
        let path = format!("/messages/{room}/?limit=1");
        let page: Value = http::get(server.address, &place.tokens[0], &path)?;
        let stored = page["messages"][0]["id"].as_u64().unwrap_or(0);
        outcome.faults.lost += said.saturating_sub(stored);
        outcome.faults.doubled += stored.saturating_sub(*said);
    }
    Ok(())
}
