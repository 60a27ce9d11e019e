//! Single values: how each kind is read from text or TOML, and what to write instead of a wrong one.

use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::error::Problem;

/// The longest duration, ten years: far enough for any use, and small enough to add to any time.
const LONGEST: Duration = Duration::from_hours(3650 * 24);

/// The levels of a log, the quietest first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A value as it was found, before anything is known about its meaning.
pub(super) enum Raw {
    /// Text from a variable or a flag, where everything is text.
    Word(String),
    /// The path of a file that holds the text.
    File(PathBuf),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML integer.
    Integer(i64),
    /// A TOML string.
    String(String),
    /// A TOML array of strings.
    Array(Vec<String>),
    /// Anything else in TOML, by its name there.
    Other(&'static str),
}

impl Raw {
    fn expected(&self, what: &str) -> Problem {
        let found = match self {
            Self::Word(_) | Self::File(_) | Self::String(_) => "a string",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Array(_) => "an array",
            Self::Other(name) => name,
        };
        Problem::new(format!("expected {what}, found {found}"))
    }

    /// Text without the space around it.
    pub(super) fn text(&self) -> Result<Cow<'_, str>, Problem> {
        match self {
            Self::Word(text) | Self::String(text) => Ok(text.trim().into()),
            Self::File(path) => {
                let shown = path.display();
                let text = fs::read_to_string(path)
                    .map_err(|error| Problem::new(format!("cannot read {shown}: {error}")))?;
                match text.trim() {
                    "" => Err(Problem::new(format!("the file {shown} is empty"))),
                    text => Ok(text.to_owned().into()),
                }
            }
            other => Err(other.expected("a string").hint("put the value in quotes")),
        }
    }

    /// Text as it is, for a key whose every byte counts.
    pub(super) fn exact(&self) -> Result<Cow<'_, str>, Problem> {
        match self {
            Self::Word(text) | Self::String(text) => Ok(text.into()),
            other => other.text(),
        }
    }

    /// Yes or no; in a variable as Django's operators write it.
    pub(super) fn bool(&self) -> Result<bool, Problem> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Word(text) => match text.trim().to_lowercase().as_str() {
                "true" | "t" | "1" | "yes" | "y" | "on" => Ok(true),
                "false" | "f" | "0" | "no" | "n" | "off" => Ok(false),
                _ => Err(Problem::new(format!("{text:?} is neither true nor false"))
                    .hint("write true or false")),
            },
            other => Err(other
                .expected("a boolean")
                .hint("write true or false, without quotes")),
        }
    }

    /// A number of things, at least one.
    pub(super) fn count(&self) -> Result<NonZeroU32, Problem> {
        let count = self.number(1)?;
        Ok(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
    }

    /// A number of things, at least `least`.
    pub(super) fn number(&self, least: u32) -> Result<u32, Problem> {
        let (shown, count) = match self {
            Self::Integer(number) => (number.to_string(), u32::try_from(*number).ok()),
            Self::Word(text) => (format!("{text:?}"), text.trim().parse().ok()),
            other => {
                return Err(other
                    .expected("an integer")
                    .hint("write a number, without quotes"));
            }
        };
        count.filter(|count| *count >= least).ok_or_else(|| {
            Problem::new(format!("{shown} is not a number that can be used here"))
                .hint(format!("write a whole number from {least} to {}", u32::MAX))
        })
    }

    /// A list of what `entry` reads.
    pub(super) fn list(
        &self,
        entry: fn(&str) -> Result<String, Problem>,
    ) -> Result<Vec<String>, Problem> {
        let entries: Vec<&str> = match self {
            Self::Array(entries) => entries.iter().map(String::as_str).collect(),
            Self::Word(text) => text
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .collect(),
            Self::String(text) => {
                let entries: Vec<_> = text
                    .split(',')
                    .map(|entry| format!("{:?}", entry.trim()))
                    .collect();
                let advice = format!("write [{}]", entries.join(", "));
                return Err(self.expected("an array").hint(advice));
            }
            other => {
                return Err(other
                    .expected("an array of strings")
                    .hint("write [\"…\", \"…\"]"));
            }
        };
        entries.into_iter().map(entry).collect()
    }

    /// A length of time, from `least` to ten years.
    pub(super) fn duration(&self, least: Duration) -> Result<Duration, Problem> {
        let bare = |number: &dyn std::fmt::Display| {
            Problem::new(format!("{number} has no unit")).hint(format!(
                "write \"{number}s\" for seconds; the units are ms, s, m, h and d"
            ))
        };
        if let Self::Integer(number) = self {
            return Err(bare(number));
        }
        let text = self.text()?;
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit {
            "" if digits > 0 => return Err(bare(&number)),
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => 0,
        };
        if digits == 0 || milliseconds == 0 {
            return Err(Problem::new(format!("{text:?} is not a duration"))
                .hint("write a number and its unit: 500ms, 30s, 15m, 1h or 7d"));
        }
        // A number that does not fit is too long in any unit.
        let number: u64 = number.parse().unwrap_or(u64::MAX);
        let duration = Duration::from_millis(number.saturating_mul(milliseconds));
        if duration < least {
            return Err(Problem::new(format!("{text} is too short")).hint("write 1s or more"));
        }
        if duration > LONGEST {
            return Err(Problem::new(format!("{text} is too long")).hint("write 3650d or less"));
        }
        Ok(duration)
    }
}

/// An address and a port.
pub(super) fn bind(text: &str) -> Result<SocketAddr, Problem> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let advice = if let Ok(address) = ip(text) {
        SocketAddr::new(address, 8000).to_string()
    } else if let Ok(port) = text.trim_start_matches(':').parse() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port).to_string()
    } else if let Some((address, port)) = text.rsplit_once(':')
        && let (Ok(address), Ok(port)) = (ip(address), port.parse())
    {
        return Ok(SocketAddr::new(address, port));
    } else {
        "127.0.0.1:8000".to_owned()
    };
    Err(
        Problem::new(format!("{text:?} is not an IP address with a port"))
            .hint(format!("write {advice}")),
    )
}

/// An address alone.
pub(super) fn host(text: &str) -> Result<IpAddr, Problem> {
    ip(text).map_err(|()| {
        Problem::new(format!("{text:?} is not an IP address")).hint(
            "write 127.0.0.1, or 0.0.0.0 for every address; CHATROOM_SERVER_BIND overrules HOST",
        )
    })
}

/// A port alone.
pub(super) fn port(text: &str) -> Result<u16, Problem> {
    text.parse().map_err(|_| {
        Problem::new(format!("{text:?} is not a port")).hint("write a number from 0 to 65535")
    })
}

fn ip(text: &str) -> Result<IpAddr, ()> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match (bare, text) {
        (_, "localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
        (Some(v6), _) => v6.parse::<Ipv6Addr>().map(IpAddr::from).map_err(drop),
        (None, address) => address.parse().map_err(drop),
    }
}

/// An entry of `server.allowed_hosts`, in lower case.
pub(super) fn allowed_host(text: &str) -> Result<String, Problem> {
    let host = text.to_lowercase();
    if host == "*" {
        return Ok(host);
    }
    if let Ok(IpAddr::V6(address)) = ip(&host) {
        let bracketed = format!("[{address}]");
        return if host.starts_with('[') {
            Ok(bracketed)
        } else {
            Err(not_a_host(text, &bracketed))
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if host
        .strip_prefix('.')
        .unwrap_or(&host)
        .split('.')
        .all(label)
    {
        return Ok(host);
    }
    let below = host.strip_prefix("*.");
    let address = host
        .split_once("://")
        .map_or(host.as_str(), |(_, rest)| rest);
    let advice = match below {
        Some(domain) => format!(".{domain}"),
        None => Url::parse(&format!("http://{address}"))
            .ok()
            .and_then(|url| url.host_str().map(|host| host.trim_matches('.').to_owned()))
            .unwrap_or_else(|| "chat.example.org".to_owned()),
    };
    Err(not_a_host(text, &advice))
}

fn not_a_host(text: &str, advice: &str) -> Problem {
    Problem::new(format!("{text:?} is not a host name")).hint(format!("write {advice}"))
}

/// An entry of `cors.allowed_origins`, in lower case: exactly what a browser sends as `Origin` (RFC 6454, section 6.1).
pub(super) fn origin(text: &str) -> Result<String, Problem> {
    let origin = text.to_lowercase();
    let wrong = |advice: &str| Problem::new(format!("{text:?} is not an origin")).hint(advice);
    if origin == "*" || origin == "null" {
        return Err(wrong(
            "name each origin: pages of any other could act as whoever is logged in",
        ));
    }
    if origin.contains('*') {
        return Err(wrong("name each origin: * stands for none"));
    }
    let web = |text: &str| {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .map(|url| url.origin().ascii_serialization())
    };
    match web(&origin) {
        Some(exact) if exact == origin => Ok(origin),
        Some(exact) => Err(wrong(&format!("a browser sends {exact}, so write that"))),
        None if origin.contains("://") => Err(wrong("write http://host:port or https://host:port")),
        None => match web(&format!("https://{origin}")) {
            Some(exact) => Err(wrong(&format!("write {exact}"))),
            None => Err(wrong("write http://host:port or https://host:port")),
        },
    }
}

/// What is logged: a level, or levels by module, `info,chatroom=debug`.
pub(super) fn level(text: &str) -> Result<String, Problem> {
    let hint =
        "write off, error, warn, info, debug or trace, or levels by module: info,chatroom=debug";
    if text.is_empty() {
        return Err(Problem::new("no level is given").hint(hint));
    }
    for part in text.split(',').map(str::trim) {
        // Filters on spans, `[…]`, are left to the log itself.
        if part.contains('[') {
            continue;
        }
        let (module, level) = match part.split_once('=') {
            Some((module, level)) => (module, Some(level)),
            None if is_nearly_a_level(part) => ("", Some(part)),
            None => (part, None),
        };
        if let Some(level) = level
            && !LEVELS.contains(&level.to_lowercase().as_str())
        {
            return Err(Problem::new(format!("{level:?} is not a level")).hint(hint));
        }
        if !module
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_:-./".contains(&byte))
        {
            return Err(Problem::new(format!("{module:?} is not a module")).hint(hint));
        }
    }
    Ok(text.to_owned())
}

/// Whether a word is a level or a slip of the pen: as the module that it would be, it would silence the log.
fn is_nearly_a_level(word: &str) -> bool {
    let word = word.to_lowercase();
    word == "warning"
        || LEVELS
            .iter()
            .any(|level| strsim::osa_distance(&word, level) <= 2)
}
