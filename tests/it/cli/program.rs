//! The real program: where it runs, and what comes of it.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;

use super::server::Server;
use super::terminal::Terminal;
use crate::harness::{Db, Place};

/// Nothing that a test waits for takes this long, unless it never comes.
pub const PATIENCE: Duration = Duration::from_mins(1);
const PROGRAM: &str = env!("CARGO_BIN_EXE_chatroom");

/// Where the program runs: a working folder, and an environment of which only `PATH` and `HOME` are
/// the test's own.
pub struct Site {
    pub place: Arc<Place>,
    variables: Vec<(String, String)>,
}

impl Site {
    /// A folder with nothing in it and no configuration at all: the database is the default one.
    pub fn bare() -> Self {
        let mut place = Place::new(Db::Sqlite);
        let file = place.folder.path().join("data/chatroom.sqlite3");
        place.database_url = format!("sqlite:///{}", file.display());
        Self {
            place: place.into(),
            variables: Vec::new(),
        }
    }

    /// With `DATABASE_URL` set to an empty database.
    pub fn new(db: Db) -> Self {
        Self::at(Place::new(db).into())
    }

    /// With `DATABASE_URL` set to the database of a place that something else uses too.
    pub fn at(place: Arc<Place>) -> Self {
        let url = place.database_url.clone();
        let site = Self {
            place,
            variables: Vec::new(),
        };
        site.with("DATABASE_URL", &url)
    }

    /// The same with its schema, so that both databases serve.
    pub fn migrated(db: Db) -> Self {
        let site = Self::new(db);
        site.run("migrate").ok();
        site
    }

    /// The same with one more variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn folder(&self) -> &Path {
        self.place.folder.path()
    }

    /// Writes a file into the working folder.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.folder().join(file), text).expect("to write");
    }

    /// A call of the program; the words of the line are separated by spaces.
    pub fn call(&self, line: &str) -> Call {
        self.call_of(Command::new(PROGRAM), line)
    }

    /// A call under limits that a command of the shell sets first.
    pub fn call_under(&self, limits: &str, line: &str) -> Call {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!(r#"{limits} && exec "$0" "$@""#), PROGRAM]);
        self.call_of(shell, line)
    }

    fn call_of(&self, mut command: Command, line: &str) -> Call {
        self.furnish(&mut command);
        command.args(line.split_whitespace());
        Call {
            place: self.place.clone(),
            command,
            input: None,
        }
    }

    /// Runs the program to its end.
    pub fn run(&self, line: &str) -> Ran {
        self.call(line).run()
    }

    /// Starts a server on any free port.
    pub fn serve(&self) -> Server {
        self.call("serve --port 0").serve()
    }

    /// Puts somebody at a terminal where the shell runs this, with the program as `chatroom`.
    pub fn type_at(&self, script: &str) -> Terminal {
        let mut command = Command::new("script");
        self.furnish(&mut command);
        // Without `--echo always` the terminal would show nothing that is typed, password or not.
        command
            .args(["--quiet", "--return", "--echo", "always", "--command"])
            .arg(script.replace("chatroom", &format!("'{PROGRAM}'")))
            .arg("/dev/null")
            .env("TERM", "xterm");
        Terminal::open(command, self.place.clone())
    }

    fn furnish(&self, command: &mut Command) {
        command.env_clear().current_dir(self.folder());
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Whoever develops has this set, and still wants no backtrace of a wrong flag.
        command.env("RUST_BACKTRACE", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

/// A call of the program that is not made yet. Its standard input is no terminal.
pub struct Call {
    place: Arc<Place>,
    command: Command,
    input: Option<String>,
}

impl Call {
    /// Appends one word, which may have spaces.
    pub fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.command.arg(word);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// What stands on standard input; otherwise nothing does.
    pub fn input(mut self, text: &str) -> Self {
        self.input = Some(text.to_owned());
        self
    }

    /// Starts it, and does not wait.
    pub fn start(mut self) -> Started {
        let stdin = match self.input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        self.command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = Running(self.command.spawn().expect("the program starts"));
        if let (Some(text), Some(mut stdin)) = (self.input, child.0.stdin.take()) {
            // It may end without reading.
            let _ = stdin.write_all(text.as_bytes());
        }
        let stdout = collect(child.0.stdout.take().expect("a pipe"));
        let stderr = child.0.stderr.take().expect("a pipe");
        Started {
            child,
            stdout,
            stderr,
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        self.start().end()
    }

    /// Waits until it serves.
    #[track_caller]
    pub fn serve(self) -> Server {
        let place = self.place.clone();
        Server::up(self.start(), place)
    }
}

/// A process of ours. However the test ends, it does not stay behind.
pub struct Running(pub Child);

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// The exit code; its pipes are closed already.
    pub fn code(mut self) -> i32 {
        let status = self.0.wait().expect("a status");
        status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {status}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A call that is under way.
pub struct Started {
    pub child: Running,
    /// All of it, at the end.
    pub stdout: Receiver<String>,
    pub stderr: ChildStderr,
}

impl Started {
    pub fn end(self) -> Ran {
        let stderr = collect(self.stderr);
        let stdout = self.stdout.recv_timeout(PATIENCE).expect("an end in time");
        let stderr = stderr.recv_timeout(PATIENCE).expect("an end in time");
        Ran {
            code: self.child.code(),
            stdout,
            stderr,
        }
    }
}

/// All that a pipe brings until it is closed.
fn collect(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).expect("UTF-8");
        let _ = tell.send(text);
    });
    told
}

/// What came of a call.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// It was done; returns what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout
    }

    /// It was done, and printed one JSON document on one line.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// It was not done, for this reason: nothing on stdout, all of `sentences` on stderr.
    #[track_caller]
    pub fn refused(&self, code: i32, sentences: &[&str]) {
        assert_eq!(self.code, code, "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        for sentence in sentences {
            assert!(
                self.stderr.contains(sentence),
                "no {sentence:?} in {self:#?}"
            );
        }
        assert!(!self.stderr.contains("backtrace"), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }
}

/// The permissions of a file.
pub fn mode(path: impl AsRef<Path>) -> u32 {
    let metadata = fs::metadata(path).expect("a file");
    metadata.permissions().mode() & 0o777
}
