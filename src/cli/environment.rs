//! The superuser that the environment describes, for containers and scripts.

use std::env;
use std::path::Path;

use super::error::{Exit, Result};
use super::prompt::first_line;

/// The beginnings of the variables' names, the stronger first; the second is Django's.
const PREFIXES: [&str; 2] = ["CHATROOM_SUPERUSER_", "DJANGO_SUPERUSER_"];

/// What the environment says of a superuser.
#[derive(Default)]
pub struct Wanted {
    /// `…_EMAIL`.
    pub email: Option<String>,
    /// `…_USERNAME`.
    pub username: Option<String>,
    /// `…_PASSWORD`.
    pub password: Option<String>,
}

impl Wanted {
    /// What this process's environment says.
    pub fn read() -> Result<Self> {
        Ok(Self {
            email: variable("EMAIL")?,
            username: variable("USERNAME")?,
            password: variable("PASSWORD")?,
        })
    }
}

/// The variable of this name that is set and not empty.
fn variable(name: &str) -> Result<Option<String>> {
    for prefix in PREFIXES {
        let name = format!("{prefix}{name}");
        match env::var(&name) {
            Ok(value) if !value.is_empty() => return Ok(Some(value)),
            Err(env::VarError::NotUnicode(_)) => {
                let message = format!("environment variable {name}: is not UTF-8");
                return Err(Exit::Failed.saying(message));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The password in a file: its first line.
pub fn password_in(file: &Path) -> Result<String> {
    let failed = |what: String| Exit::Failed.saying(format!("{}: {what}", file.display()));
    let text = std::fs::read(file).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(text).map_err(|_| failed("is not UTF-8".to_owned()))?;
    Ok(first_line(&text).to_owned())
}
