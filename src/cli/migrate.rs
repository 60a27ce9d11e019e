//! `chatroom migrate`: brings the database's schema up to date.

use serde::Serialize;

use super::database::{self, NO_KEY, applied};
use super::error::Result;
use super::output::{note, print, print_json};
use crate::chat::{Chat, Schema};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  chatroom migrate           apply what is pending
  chatroom migrate --check   is something pending? For scripts: exit code 1 if so

A SQLite database is copied aside before it is changed. Of a PostgreSQL database make a backup
yourself.";

/// Bring the database's schema up to date.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Change nothing; print what is pending and exit with 1 if there is something.
    #[arg(long, conflicts_with = "plan")]
    check: bool,
    /// Change nothing; print what is pending.
    #[arg(long)]
    plan: bool,
    /// Print one JSON document, {"applied": [...], "pending": [...]}. "applied" is what was applied
    /// by this run; with --check and --plan, what was applied before.
    #[arg(long)]
    json: bool,
}

/// The document that programs get.
#[derive(Debug, Serialize)]
struct Steps {
    applied: Vec<String>,
    pending: Vec<String>,
}

impl Args {
    /// Migrates, or only looks.
    pub async fn run(&self, config: &Config) -> Result<()> {
        let looks = self.check || self.plan;
        if looks && database::is_missing(config) {
            // To look at a file must not make it.
            return self.look(&Schema::of_nothing());
        }
        let chat = database::open(config, NO_KEY).await?;
        database::with(chat, async |chat| {
            let schema = chat.schema().await?;
            database::refuse_newer(&schema)?;
            if looks {
                self.look(&schema)
            } else {
                self.apply(chat, &schema).await
            }
        })
        .await
    }

    fn look(&self, schema: &Schema) -> Result<()> {
        if self.json {
            print_json(&Steps {
                applied: schema.applied.clone(),
                pending: schema.pending.clone(),
            })?;
        } else if schema.pending.is_empty() {
            note("No migrations to apply.");
        } else {
            print(&format!("{}\n", schema.pending.join("\n")))?;
        }
        if self.check {
            database::refuse_pending(schema)?;
        }
        Ok(())
    }

    async fn apply(&self, chat: &Chat, schema: &Schema) -> Result<()> {
        let mut done = Vec::new();
        let mut printed = Ok(());
        database::apply(chat, schema, |step| {
            done.push(step.to_owned());
            // That nobody reads on is no reason to stop half-way.
            if self.json {
                note(applied(step));
            } else if printed.is_ok() {
                printed = print(&format!("{}\n", applied(step)));
            }
        })
        .await?;
        printed?;
        if self.json {
            return print_json(&Steps {
                applied: done,
                pending: Vec::new(),
            });
        }
        if done.is_empty() {
            print("No migrations to apply.\n")?;
        }
        Ok(())
    }
}
