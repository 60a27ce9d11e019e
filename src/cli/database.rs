//! The database as a command finds it: opened, looked at, brought up to date.

use super::error::{Exit, Result};
use super::output::note;
use crate::chat::{Chat, Schema};
use crate::config::{Config, DatabaseUrl};

/// Commands sign no tokens, so they need no key, and make none by accident.
pub const NO_KEY: &str = "";

/// Whether the database is a file that is not there yet.
pub fn is_missing(config: &Config) -> bool {
    matches!(&config.database.url, DatabaseUrl::Sqlite(file) if !file.exists())
}

/// Opens the database and leaves its schema as it is. A file that is missing is made.
pub async fn open(config: &Config, secret: &str) -> Result<Chat> {
    Chat::open(config, secret).await.map_err(|error| {
        let hint = format!("the database is {}", config.database.url);
        Exit::Failed.hinting(error.to_string(), hint)
    })
}

/// Opens a database for a command that works with what is in it: it must be there, and be up to date.
pub async fn open_current(config: &Config) -> Result<Chat> {
    if is_missing(config) {
        return Err(Exit::Failed.hinting(
            format!("there is no database yet: {}", config.database.url),
            "`chatroom serve` makes it, and so does `chatroom migrate`; --data-dir names the data folder",
        ));
    }
    let chat = open(config, NO_KEY).await?;
    let schema = chat.schema().await?;
    refuse_newer(&schema)?;
    refuse_pending(&schema)?;
    Ok(chat)
}

/// Brings the schema up to date where the program `may` do so, or the database is its own.
pub async fn bring_up_to_date(chat: &Chat, may: bool) -> Result<()> {
    let schema = chat.schema().await?;
    refuse_newer(&schema)?;
    if !(may || chat.owns_schema()) {
        refuse_pending(&schema)?;
    }
    apply(chat, &schema, |step| note(applied(step))).await
}

/// Applies what is pending, after a copy of what there is to lose.
pub async fn apply(chat: &Chat, schema: &Schema, told: impl FnMut(&str)) -> Result<()> {
    if schema.pending.is_empty() {
        return Ok(());
    }
    if let Some(copy) = chat.set_copy_aside(schema).await? {
        note(format_args!(
            "the database was copied to {}",
            copy.display()
        ));
    }
    Ok(chat.migrate(told).await?)
}

/// What Django says of a step that is done.
pub fn applied(step: &str) -> String {
    format!("Applying {step}... OK")
}

/// A schema that a newer version made is not to be touched.
pub fn refuse_newer(schema: &Schema) -> Result<()> {
    if schema.unknown.is_empty() {
        return Ok(());
    }
    let steps: Vec<_> = schema
        .unknown
        .iter()
        .map(|step| format!("{step:04}"))
        .collect();
    Err(Exit::Failed.hinting(
        format!(
            "a newer version has changed the database: chatroom {} does not know its migration {}",
            env!("CARGO_PKG_VERSION"),
            steps.join(", ")
        ),
        "run that version, or go back to the copy of the database from before",
    ))
}

/// An old schema would make every statement a gamble.
pub fn refuse_pending(schema: &Schema) -> Result<()> {
    match schema.pending.len() {
        0 => Ok(()),
        count => Err(Exit::Failed.saying(format!(
            "You have {count} unapplied migration(s). Run 'chatroom migrate' to apply them."
        ))),
    }
}

/// Does the work and closes the database, whatever came of it.
pub async fn with<T>(chat: Chat, work: impl AsyncFnOnce(&Chat) -> Result<T>) -> Result<T> {
    let done = work(&chat).await;
    chat.close().await;
    done
}
