//! What is wrong with a configuration: every problem at once, each with what to do about it.

use std::fmt;

/// A configuration that cannot be used.
///
/// Shown, it is one line for each problem, with its hint in brackets. No problem ever quotes a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", lines(problems))]
pub struct ConfigError {
    /// Everything that was found wrong, at least one thing.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where and what: `config.toml:7: unknown key server.bnid`.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same, found at `origin`.
    pub(super) fn at(self, origin: &str) -> Self {
        Self {
            message: format!("{origin}: {}", self.message),
            ..self
        }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
