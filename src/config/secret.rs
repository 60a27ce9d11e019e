//! Values that must not be shown, and the key file that the server makes for itself.

use std::fmt::{self, Write as _};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::error::Problem;

/// Bytes that a key must have: HS256 wants a key as long as its hash (RFC 7518, section 3.2).
const LEAST_BYTES: usize = 32;

/// Different bytes that a key must have. 32 random hex digits fall short of 8 once in 27 million times.
const LEAST_DIFFERENT: usize = 8;

/// A value that prints as `***`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being shown.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for whoever must use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A configured key, empty meaning none. `debug` excuses a weak one, but not a blank one.
pub(super) fn key(value: &str, debug: bool) -> Result<Option<Secret>, Problem> {
    if value.is_empty() {
        return Ok(None);
    }
    let weakness = if value.trim().is_empty() {
        Some("is blank")
    } else if debug {
        None
    } else {
        weakness(value)
    };
    match weakness {
        None => Ok(Some(Secret::new(value))),
        Some(weakness) => Err(Problem::new(format!("the key {weakness}")).hint(
            "make one with `openssl rand -hex 32`, or set none: the server then makes one and keeps it in the data folder",
        )),
    }
}

/// Why a key is easily guessed, if it is.
fn weakness(key: &str) -> Option<&'static str> {
    let plain: String = key
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let mut different = [false; 256];
    for byte in key.bytes() {
        different[usize::from(byte)] = true;
    }
    if key.starts_with("django-insecure-") {
        Some("is one that Django made for development")
    } else if [
        "secret",
        "secretkey",
        "mysecretkey",
        "supersecret",
        "password",
    ]
    .contains(&plain.as_str())
        || ["yoursecretkey", "changeme", "replaceme"]
            .iter()
            .any(|known| plain.starts_with(known))
    {
        Some("is a placeholder that everyone knows")
    } else if key.len() < LEAST_BYTES {
        Some("is shorter than 32 bytes")
    } else if different.iter().filter(|seen| **seen).count() < LEAST_DIFFERENT {
        Some("has fewer than 8 different bytes")
    } else {
        None
    }
}

/// The key in the file `folder/secret_key`, which is made, and the folder with it, if it is not there.
///
/// Processes that start together agree on one key: the file appears whole, under its name, once; whoever comes second
/// reads the winner's.
pub(super) fn load_or_create(folder: &Path) -> Result<Secret, Problem> {
    let path = folder.join("secret_key");
    let failed = |doing: &str, error: io::Error| {
        Problem::new(format!("{}: cannot {doing}: {error}", path.display()))
            .hint("the server must be able to write to data_dir; or set SECRET_KEY")
    };
    match fs::read(&path) {
        Ok(bytes) => return read(&path, bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read the secret key", error)),
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| failed("make the data folder", error))?;
    create(folder, &path).map_err(|error| failed("make the secret key", error))?;
    let bytes = fs::read(&path).map_err(|error| failed("read the secret key", error))?;
    read(&path, bytes)
}

fn read(path: &Path, bytes: Vec<u8>) -> Result<Secret, Problem> {
    let text = String::from_utf8(bytes).unwrap_or_default();
    let key = text.trim();
    match weakness(key) {
        None => Ok(Secret::new(key)),
        Some(weakness) => {
            let weakness = if key.is_empty() {
                "is empty or not text"
            } else {
                weakness
            };
            Err(
                Problem::new(format!("{}: the key in this file {weakness}", path.display())).hint(
                    "restore the file; or delete it to have a new key made, then everyone must log in again",
                ),
            )
        }
    }
}

/// Makes the file, unless another process was faster.
fn create(folder: &Path, path: &Path) -> io::Result<()> {
    let draft = folder.join(format!(".secret_key.{}", random_hex::<8>()?));
    let made = write(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    });
    let removed = fs::remove_file(&draft);
    made?;
    removed?;
    File::open(folder)?.sync_all()
}

fn write(draft: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(draft)?;
    file.write_all(random_hex::<32>()?.as_bytes())?;
    file.sync_all()
}

fn random_hex<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;

    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_key_that_everyone_knows_is_refused_unless_debug() {
        for (bad, why) in [
            ("your_secret_key", "placeholder"),
            (
                "your-secret-key-goes-here-and-is-long-enough",
                "placeholder",
            ),
            ("changeme", "placeholder"),
            ("secret", "placeholder"),
            (
                "django-insecure-0123456789abcdefghijklmnopqrstuvwxyz",
                "Django",
            ),
            ("0123456789abcdef0123456789abcde", "shorter than 32 bytes"),
            (
                "abcdefgabcdefgabcdefgabcdefgabcdefg",
                "fewer than 8 different bytes",
            ),
        ] {
            let problem = key(bad, false).expect_err(bad);
            assert!(problem.message.contains(why), "{bad}: {problem}");
            assert!(problem.hint.is_some());
            assert!(bad == "secret" || !problem.to_string().contains(bad));
            assert_eq!(key(bad, true).unwrap().unwrap().expose(), bad);
        }
        assert_eq!(key(GOOD, false).unwrap().unwrap().expose(), GOOD);
    }

    #[test]
    fn debug_does_not_excuse_a_blank_key() {
        assert_eq!(key("  \t", true).unwrap_err().message, "the key is blank");
        assert!(key("", true).unwrap().is_none());
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep/data");
        let first = load_or_create(&folder).unwrap();
        let text = fs::read_to_string(folder.join("secret_key")).unwrap();
        assert_eq!(text.len(), 64);
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(first.expose(), text);
        assert_eq!(load_or_create(&folder).unwrap().expose(), text);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("secret_key")), 0o600);
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "the draft is gone"
        );
    }

    #[test]
    fn processes_that_start_together_agree_on_one_key() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("data");
            let barrier = Barrier::new(8);
            let keys: Vec<String> = std::thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    load_or_create(&folder).unwrap().expose().to_owned()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect()
            });
            assert!(keys.iter().all(|key| *key == keys[0]));
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_key_file_that_holds_no_key_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret_key");
        for (bytes, why) in [
            (&b""[..], "is empty or not text"),
            (b" \n", "is empty or not text"),
            (b"\xff\xfe", "is empty or not text"),
            (b"abc123\n", "is shorter than 32 bytes"),
        ] {
            fs::write(&path, bytes).unwrap();
            let problem = load_or_create(dir.path()).unwrap_err();
            assert_eq!(
                problem.message,
                format!("{}: the key in this file {why}", path.display())
            );
            assert!(problem.hint.unwrap().starts_with("restore the file"));
            assert_eq!(fs::read(&path).unwrap(), bytes, "left as it was");
        }
        fs::write(&path, format!("{GOOD}\n")).unwrap();
        assert_eq!(load_or_create(dir.path()).unwrap().expose(), GOOD);
    }
}
