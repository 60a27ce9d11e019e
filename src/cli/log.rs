//! The log of this process, on stderr.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt;

use super::error::{Exit, Result};
use crate::config::{Log, LogFormat};

/// Starts the log. `quiet` is for commands that are over in a moment and say what they do: the
/// default level is then `warn`.
pub fn start(log: &Log, quiet: bool) -> Result<()> {
    let level = log.level.as_str();
    let directives = match level {
        "info" if quiet => "warn",
        // PostgreSQL notes at each migration that the table of migrations is there already.
        "info" => "info,sqlx::postgres::notice=warn",
        other => other,
    };
    let filter = |directives: &str| {
        EnvFilter::try_new(directives).map_err(|error| {
            Exit::Failed.hinting(
                format!("log.level: {level:?} is not a filter for the log: {error}"),
                "write off, error, warn, info, debug or trace, or levels by module: info,chatroom=debug",
            )
        })
    };
    let mut filtered = filter(directives)?;
    // At that level tungstenite prints whole frames: what people say, and the tokens they send.
    if filtered.max_level_hint() == Some(LevelFilter::TRACE) && !level.contains("tungstenite") {
        filtered = filter(&format!("{directives},tungstenite=debug"))?;
    }
    let terminal = io::stderr().is_terminal();
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let builder = fmt().with_env_filter(filtered).with_writer(io::stderr);
    let started = if pretty {
        builder
            .with_ansi(terminal && !no_colour())
            .compact()
            .try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    started.map_err(|error| Exit::Failed.saying(format!("the log could not be started: {error}")))
}

/// Whether `NO_COLOR` is set to anything at all: <https://no-color.org>.
fn no_colour() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
