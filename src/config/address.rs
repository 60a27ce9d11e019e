//! Where the database and Redis are: the URLs that are accepted, and how they are shown.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use super::error::Problem;
use super::secret::Secret;

/// Where the data is kept. Shown, the password is `***`.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A `postgres://` or `postgresql://` URL.
    Postgres(Secret),
}

impl DatabaseUrl {
    /// Understands `sqlite:///relative`, which starts at `dir`, `sqlite:////absolute`, and a `PostgreSQL` URL.
    ///
    /// The three slashes are Django's and `SQLAlchemy`'s: the third belongs to the URL and not to the path.
    pub(super) fn parse(text: &str, dir: &Path) -> Result<Self, Problem> {
        match text.split_once(':').map(|(scheme, rest)| (scheme.to_lowercase(), rest)) {
            Some((scheme, rest)) if scheme == "sqlite" => Ok(Self::Sqlite(dir.join(sqlite(rest)?))),
            Some((scheme, rest)) if scheme == "postgres" || scheme == "postgresql" => {
                postgres(text, rest)?;
                Ok(Self::Postgres(Secret::new(text)))
            }
            _ => Err(Problem::new("not a database URL that the server can use").hint(
                "accepted are sqlite:///relative/file, sqlite:////absolute/file, postgres:// and postgresql://",
            )),
        }
    }
}

/// The path in what follows `sqlite:`.
fn sqlite(rest: &str) -> Result<&str, Problem> {
    let path = match rest.strip_prefix("//") {
        Some(path) => path.strip_prefix('/').unwrap_or(path),
        None => rest,
    };
    let escaped = path.as_bytes().windows(3).any(|three| {
        three[0] == b'%' && three[1].is_ascii_hexdigit() && three[2].is_ascii_hexdigit()
    });
    if path.contains(":memory:") {
        Err(
            Problem::new("a database in memory would be gone when the server stops")
                .hint("name a file: sqlite:///chatroom.sqlite3"),
        )
    } else if path.contains('?') || path.contains('#') {
        Err(Problem::new("a SQLite URL takes no parameters")
            .hint("leave out ? or # and what follows"))
    } else if escaped {
        Err(
            Problem::new("a SQLite URL takes its path as it is, without %-escapes")
                .hint("write the character itself"),
        )
    } else if path.is_empty() || path.ends_with('/') {
        Err(Problem::new("the SQLite URL names no file")
            .hint("name a file: sqlite:///chatroom.sqlite3"))
    } else {
        Ok(path)
    }
}

fn postgres(text: &str, rest: &str) -> Result<(), Problem> {
    let url = parts(text)?;
    let nowhere = url.host_str().unwrap_or_default().is_empty() && url.query().is_none();
    if !rest.starts_with("//") || nowhere {
        return Err(Problem::new("the PostgreSQL URL names no host")
            .hint("write postgres://user:password@host:5432/name"));
    }
    Ok(())
}

/// A Redis URL; empty means none.
pub(super) fn redis(text: &str) -> Result<Option<Secret>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |what: &str| {
        Problem::new(what).hint(
            "write redis://host:6379/0 or redis://:password@host:6379/0; rediss:// is over TLS",
        )
    };
    let url = parts(text).map_err(|problem| match problem.hint {
        Some(_) => problem,
        None => wrong(&problem.message),
    })?;
    if !matches!(url.scheme(), "redis" | "rediss") {
        return Err(wrong("not a Redis URL that the server can use"));
    }
    if url.host_str().unwrap_or_default().is_empty() {
        return Err(wrong("the Redis URL names no host"));
    }
    let database = url.path().trim_start_matches('/');
    if !database.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(
            "the path of the Redis URL is not the number of a database",
        ));
    }
    Ok(Some(Secret::new(text)))
}

/// Takes a URL apart, and refuses one whose password was cut short by a character that is special in URLs.
fn parts(text: &str) -> Result<Url, Problem> {
    let hint = "in a user name or password, write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25";
    let url = Url::parse(text)
        .map_err(|error| Problem::new(format!("not a valid URL: {error}")).hint(hint))?;
    let after = url.path().contains('@') || url.query().unwrap_or_default().contains('@');
    if after || url.fragment().is_some() {
        return Err(Problem::new("the URL has an @ or # where none can be").hint(hint));
    }
    Ok(url)
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:///{}", path.display()),
            Self::Postgres(url) => match Url::parse(url.expose()) {
                Ok(url) => f.write_str(masked(url).as_str()),
                Err(_) => f.write_str("***"),
            },
        }
    }
}

/// The URL with `***` for whatever may be a password.
fn masked(mut url: Url) -> Url {
    if url.password().is_some() {
        // Fails only for a URL without a host, which has no password.
        let _ = url.set_password(Some("***"));
    }
    let query = url.query().map(|query| {
        let pairs: Vec<_> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if may_be_password(name) => format!("{name}=***"),
                Some(_) => pair.to_owned(),
                None => "***".to_owned(),
            })
            .collect();
        pairs.join("&")
    });
    url.set_query(query.as_deref());
    url
}

/// Whether a parameter of this name may hold a password. An escaped name may be anything.
fn may_be_password(name: &str) -> bool {
    name.to_lowercase().contains("pass") || name.contains('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite_path(text: &str) -> PathBuf {
        match DatabaseUrl::parse(text, Path::new("/srv")) {
            Ok(DatabaseUrl::Sqlite(path)) => path,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn problem(text: &str) -> Problem {
        DatabaseUrl::parse(text, Path::new("/srv")).expect_err(text)
    }

    #[test]
    fn three_slashes_are_relative_and_four_absolute() {
        assert_eq!(sqlite_path("sqlite:///a/b.db"), Path::new("/srv/a/b.db"));
        assert_eq!(sqlite_path("sqlite:////a/b.db"), Path::new("/a/b.db"));
        assert_eq!(sqlite_path("sqlite://b.db"), Path::new("/srv/b.db"));
        assert_eq!(sqlite_path("sqlite:b.db"), Path::new("/srv/b.db"));
        assert_eq!(sqlite_path("SQLite:///b.db"), Path::new("/srv/b.db"));
    }

    #[test]
    fn a_sqlite_url_is_shown_as_it_can_be_written() {
        let shown = |path: &str| DatabaseUrl::Sqlite(path.into()).to_string();
        assert_eq!(shown("a.db"), "sqlite:///a.db");
        assert_eq!(shown("/a.db"), "sqlite:////a.db");
        assert_eq!(sqlite_path(&shown("/a.db")), Path::new("/a.db"));
    }

    #[test]
    fn a_database_that_would_be_gone_is_refused() {
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite:///:memory:"] {
            let problem = problem(url);
            assert_eq!(
                problem.message,
                "a database in memory would be gone when the server stops"
            );
            assert_eq!(
                problem.hint.unwrap(),
                "name a file: sqlite:///chatroom.sqlite3"
            );
        }
    }

    #[test]
    fn what_a_sqlite_url_cannot_say_is_refused() {
        assert_eq!(
            problem("sqlite:///a.db?mode=ro").message,
            "a SQLite URL takes no parameters"
        );
        assert_eq!(
            problem("sqlite:///").message,
            "the SQLite URL names no file"
        );
        assert_eq!(
            problem("sqlite:///data/").message,
            "the SQLite URL names no file"
        );
        assert!(
            problem("sqlite:///my%20data.db")
                .message
                .contains("%-escapes")
        );
        assert_eq!(sqlite_path("sqlite:///100%.db"), Path::new("/srv/100%.db"));
    }

    #[test]
    fn any_other_scheme_is_told_what_is_accepted() {
        for url in [
            "mysql://h/db",
            "chatroom.db",
            "postgis://h/db",
            "/var/lib/a.db",
        ] {
            let problem = problem(url);
            assert_eq!(
                problem.message,
                "not a database URL that the server can use"
            );
            let hint = problem.hint.unwrap();
            for scheme in ["sqlite:///", "sqlite:////", "postgres://", "postgresql://"] {
                assert!(hint.contains(scheme));
            }
        }
    }

    #[test]
    fn a_shown_postgres_url_has_no_password() {
        for (url, shown) in [
            (
                "postgres://ann:hunter2@db:5432/chat",
                "postgres://ann:***@db:5432/chat",
            ),
            ("postgresql://ann@db/chat", "postgresql://ann@db/chat"),
            ("postgres://a:p@hunter2@db/chat", "postgres://a:***@db/chat"),
            (
                "postgres://db/chat?user=ann&password=hunter2&sslmode=require",
                "postgres://db/chat?user=ann&password=***&sslmode=require",
            ),
            (
                "postgres://db/chat?PassWord=hunter2&hunter2",
                "postgres://db/chat?PassWord=***&***",
            ),
            (
                "postgres://db/chat?p%61ssword=hunter2",
                "postgres://db/chat?p%61ssword=***",
            ),
            (
                "postgres:///chat?host=/run/postgresql",
                "postgres:///chat?host=/run/postgresql",
            ),
        ] {
            let parsed = DatabaseUrl::parse(url, Path::new("")).expect(url);
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), "Postgres(***)");
            let DatabaseUrl::Postgres(secret) = parsed else {
                panic!("{url}")
            };
            assert_eq!(secret.expose(), url);
        }
    }

    #[test]
    fn a_password_that_breaks_its_url_is_refused_and_not_shown() {
        for url in [
            "postgres://ann:12#hunter2@db/chat",
            "postgres://ann:hunter2#@db/chat",
            "postgres://ann:12/hunter2@db/chat",
            "postgres://ann:12?hunter2@db/chat",
            "postgres://ann:hunter2/@db/chat",
        ] {
            let problem = problem(url);
            assert!(
                problem.hint.clone().unwrap().contains("%40"),
                "{url}: {problem}"
            );
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
        assert_eq!(
            problem("postgres:chat").message,
            "the PostgreSQL URL names no host"
        );
        assert_eq!(
            problem("postgres:///chat").message,
            "the PostgreSQL URL names no host"
        );
    }

    #[test]
    fn a_redis_url_names_a_host_and_perhaps_a_database() {
        for url in [
            "redis://r",
            "redis://r:6379/0",
            "rediss://:hunter2@r:6379/15",
            "redis://u:hunter2@[::1]/",
        ] {
            assert_eq!(redis(url).expect(url).unwrap().expose(), url);
        }
        assert!(redis("").unwrap().is_none());
        for (url, what) in [
            ("http://r", "not a Redis URL that the server can use"),
            ("redis:///0", "the Redis URL names no host"),
            (
                "redis://r/hunter2",
                "the path of the Redis URL is not the number of a database",
            ),
            ("redis://:hunter2#@r/0", "not a valid URL: empty host"),
            ("r:6379", "not a Redis URL that the server can use"),
        ] {
            let problem = redis(url).expect_err(url);
            assert_eq!(problem.message, what, "{url}");
            assert!(!problem.to_string().contains("hunter2"));
        }
    }
}
