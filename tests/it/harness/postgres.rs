//! A throw-away Postgres server for the tests of one process, gone when that process is.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Names the parts of the tests that the caller does without, separated by commas.
const SKIP: &str = "CHATROOM_TEST_SKIP";

/// Names the one folder to take Postgres's programs from.
const FOLDER: &str = "CHATROOM_TEST_POSTGRES_BIN";

/// The programs that must lie together in one folder.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "createdb"];

/// Who runs the server when the tests run as root: the first of these that exists. When none does,
/// the last is made.
const USERS: [&str; 2] = ["postgres", "chatroom-test"];

/// How many ports the server may try, each free a moment before.
const PORTS: usize = 4;

/// Starts the server, says `ready PORT`, and takes it down at the end of its standard input.
///
/// A process of its own, because it must outlive every kind of death of the test process. `$1` is
/// the programs' folder, `$2` where to make the server's folder, the rest are ports to try. On
/// failure it prints the end of the server's log.
const WATCHER: &str = r#"
umask 077
bin=$1 temp=$2
shift 2
dir=$(mktemp -d "$temp/chatroom-test-postgres.XXXXXX") || exit 1
pidfile=$dir/data/postmaster.pid log=$dir/log server=

finish() {
    trap '' HUP INT PIPE TERM
    if [ -n "$server" ]; then
        # INT: fast shutdown. QUIT: at once. KILL: it was not yet listening to signals.
        for signal in INT QUIT; do
            kill -s "$signal" "$server" 2>/dev/null
            tries=0
            while [ -e "$pidfile" ] && kill -0 "$server" 2>/dev/null && [ "$tries" -lt 50 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
            [ -e "$pidfile" ] || break
        done
        kill -s KILL "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    fi
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' HUP INT PIPE TERM

fail() {
    tail -n 40 "$log"
    exit 1
}

"$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C --no-sync \
    </dev/null >"$log" 2>&1 || fail

for port in "$@"; do
    "$bin/postgres" -D "$dir/data" -p "$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories="$dir" \
        -c fsync=on -c synchronous_commit=on -c max_connections=200 -c shared_buffers=32MB \
        </dev/null >>"$log" 2>&1 &
    server=$! tries=0
    while kill -0 "$server" 2>/dev/null; do
        if grep -q '^ready' "$pidfile" 2>/dev/null; then
            echo "ready $port"
            exec >/dev/null 2>&1
            while read -r _; do :; done
            exit 0
        fi
        # A minute: starting in a fresh folder takes a fraction of a second.
        [ "$tries" -lt 1200 ] || fail
        sleep 0.05
        tries=$((tries + 1))
    done
    wait "$server"
    server=
done
fail
"#;

/// A running server. It lasts as long as its watcher's standard input is open.
struct Server {
    port: u16,
    createdb: PathBuf,
    /// Held for its standard input. No other child inherits that: the standard library opens pipes
    /// with `O_CLOEXEC`.
    _watcher: Child,
}

/// Whether the tests on Postgres are to run; if not, prints that `test` is skipped and why.
///
/// # Panics
///
/// When Postgres's programs are missing and the caller has not said, by
/// `CHATROOM_TEST_SKIP=postgres`, to do without.
pub fn available(test: &str) -> bool {
    if env::var(SKIP).is_ok_and(|parts| parts.split(',').any(|part| part.trim() == "postgres")) {
        let line = format!("skipped: {test} ({SKIP} names postgres)\n");
        // Straight to the stream: the test runner keeps back what `eprintln!` prints in a test
        // that passes.
        let _ = io::stderr().write_all(line.as_bytes());
        return false;
    }
    if let Err(missing) = programs() {
        panic!("{missing}");
    }
    true
}

/// The address of a fresh and empty database, `postgres://postgres@127.0.0.1:PORT/NAME`.
///
/// The first call in a process starts the server, the others share it.
///
/// # Panics
///
/// When the server cannot be started, with the end of its log; when [`available`] says no.
pub fn database() -> String {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(1);

    let test = thread::current().name().unwrap_or("a test").to_owned();
    assert!(
        available(&test),
        "{test} wants a database all the same: let it ask available() first"
    );
    let server = SERVER
        .get_or_init(start)
        .as_ref()
        .unwrap_or_else(|why| panic!("{why}"));

    let name = format!("chatroom_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let mut createdb = Command::new(&server.createdb);
    for (key, _) in env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"PG")) {
        createdb.env_remove(key);
    }
    let port = server.port.to_string();
    let made = createdb
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-w"])
        .args(["-T", "template0", &name])
        .output()
        .expect("createdb starts");
    assert!(
        made.status.success(),
        "createdb {name}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    format!("postgres://postgres@127.0.0.1:{port}/{name}")
}

/// The folder with all of [`PROGRAMS`], or what to say when there is none.
fn programs() -> Result<&'static Path, &'static str> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND
        .get_or_init(find_programs)
        .as_deref()
        .map_err(String::as_str)
}

fn find_programs() -> Result<PathBuf, String> {
    let (folders, looked_in) = match env::var_os(FOLDER) {
        Some(folder) => (
            vec![PathBuf::from(&folder)],
            format!("{} ({FOLDER})", folder.display()),
        ),
        None => (
            usual_folders(),
            "PATH and /usr/lib/postgresql/*/bin".to_owned(),
        ),
    };
    let has = |folder: &Path, program: &str| folder.join(program).is_file();

    if let Some(folder) = folders
        .iter()
        .find(|folder| PROGRAMS.iter().all(|program| has(folder, program)))
    {
        return Ok(folder.clone());
    }
    let missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|program| !folders.iter().any(|folder| has(folder, program)))
        .collect();
    let what = match missing.as_slice() {
        [] => format!("{}, all in one folder,", PROGRAMS.join(", ")),
        missing => missing.join(", "),
    };
    Err(format!(
        "PostgreSQL's {what} not found; looked in {looked_in}.\n\
         Install PostgreSQL's server (scripts/test does so, on Debian `apt-get install postgresql`), name the folder \
         of its programs in {FOLDER}, or do without these tests by {SKIP}=postgres."
    ))
}

/// `PATH`, then Debian's folders, the newest version first: Debian keeps the server's programs out
/// of `PATH`.
fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map_or_else(Vec::new, |path| env::split_paths(&path).collect());
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort_by_key(|path| {
        path.file_name()
            .and_then(OsStr::to_str)
            .and_then(|name| name.parse::<u32>().ok())
    });
    folders.extend(versions.iter().rev().map(|path| path.join("bin")));
    folders
}

fn start() -> Result<Server, String> {
    let bin = programs()?;
    let ports = free_ports().map_err(|err| format!("no free port on 127.0.0.1: {err}"))?;
    let mut shell = shell()?;
    let mut watcher = shell
        .args(["-c", WATCHER, "chatroom-test-postgres"])
        .args([bin, &env::temp_dir()])
        .args(ports.iter().map(u16::to_string))
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Out of the terminal's reach: Ctrl-C is for the tests, the watcher then sees its input end.
        .process_group(0)
        .spawn()
        .map_err(|err| format!("{} does not start: {err}", shell.get_program().display()))?;

    let mut said = String::new();
    let mut stdout = BufReader::new(
        watcher
            .stdout
            .take()
            .expect("the watcher's output is a pipe"),
    );
    let mut stderr = watcher
        .stderr
        .take()
        .expect("the watcher's errors are a pipe");
    let read = stdout.read_line(&mut said);
    if let Some(port) = said
        .strip_prefix("ready ")
        .and_then(|port| port.trim_end().parse().ok())
    {
        return Ok(Server {
            port,
            createdb: bin.join("createdb"),
            _watcher: watcher,
        });
    }
    let rest = read
        .and_then(|_| stdout.read_to_string(&mut said))
        .and_then(|_| stderr.read_to_string(&mut said));
    let ended = watcher
        .wait()
        .map_or_else(|err| err.to_string(), |status| status.to_string());
    let unread = rest
        .err()
        .map_or_else(String::new, |err| format!("{err}\n"));
    Err(format!(
        "PostgreSQL from {} does not start ({ended}); its last words:\n{said}{unread}",
        bin.display()
    ))
}

/// Ports that were free just now. All are held until the last is known, so that no two are equal.
fn free_ports() -> io::Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..PORTS)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<io::Result<_>>()?;
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}

/// A shell that is not root's: Postgres refuses to run as root.
fn shell() -> Result<Command, String> {
    if output("id", &["-u"])? != "0" {
        return Ok(Command::new("sh"));
    }
    let user = match existing_user() {
        Some(user) => user,
        None => make_user()?,
    };
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--", "sh"]);
    Ok(command)
}

fn existing_user() -> Option<&'static str> {
    USERS
        .into_iter()
        .find(|user| output("id", &["-u", user]).is_ok())
}

fn make_user() -> Result<&'static str, String> {
    let user = USERS[USERS.len() - 1];
    match output(
        "useradd",
        &[
            "--system",
            "--no-create-home",
            "--home-dir",
            "/",
            "--shell",
            "/bin/false",
            user,
        ],
    ) {
        Ok(_) => Ok(user),
        // Another test process may have made it in between.
        Err(why) => existing_user().ok_or(why),
    }
}

/// What a program printed, if it succeeded.
fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|err| format!("PostgreSQL's tests need the program {program}: {err}"))?;
    if ran.status.success() {
        Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    } else {
        let why = String::from_utf8_lossy(&ran.stderr);
        Err(format!(
            "{program} {} failed ({}): {}",
            arguments.join(" "),
            ran.status,
            why.trim()
        ))
    }
}
