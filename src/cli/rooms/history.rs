//! `chatroom rooms history`: what was said in a room.

use crate::chat::Chat;
use crate::cli::error::Result;
use crate::cli::output::{note, print, print_json, table};
use crate::model::message::{PAGE_DEFAULT, PAGE_MAX};
use crate::model::{Actor, MessageId, Page, Point};
use crate::web::json::{Dialect, HistoryBody};

use super::shape;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its id or its name.
    room: String,
    /// How many messages.
    #[arg(long, default_value_t = PAGE_DEFAULT, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE_MAX)))]
    limit: u32,
    /// Those just before the message with this id.
    #[arg(long, value_name = "ID", conflicts_with = "after",
          value_parser = clap::value_parser!(i64).range(1..))]
    before: Option<i64>,
    /// Those just after the message with this id; 0 begins with the first.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Print one JSON document, as GET /messages/<room>/ answers.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Shows it.
    pub async fn run(&self, chat: &Chat) -> Result<()> {
        let point = match (self.before, self.after) {
            (Some(id), _) => Point::Before(MessageId(id)),
            (None, Some(id)) => Point::After(MessageId(id)),
            (None, None) => Point::Newest,
        };
        let page = chat
            .read(Actor::Operator, &self.room, point, self.limit)
            .await?;
        if self.json {
            return print_json(&HistoryBody::new(&page, Dialect::default()));
        }
        if page.messages.is_empty() {
            note("There are no messages.");
            return Ok(());
        }
        print(&table(
            shape::MESSAGES,
            page.messages.iter().map(|m| shape::message_row(m)),
        ))?;
        if let Some(more) = more(&page, point) {
            note(more);
        }
        Ok(())
    }
}

/// How to read on, if there is more.
fn more(page: &Page, point: Point) -> Option<String> {
    let (first, last) = (page.messages.first()?.id, page.messages.last()?.id);
    page.has_more.then(|| match point {
        Point::Newest | Point::Before(_) => format!("There are older messages: --before {first}"),
        Point::After(_) | Point::Since(_) => format!("There are newer messages: --after {last}"),
    })
}
