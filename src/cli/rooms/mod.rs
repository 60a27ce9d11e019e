//! `chatroom rooms …`: looks at the rooms and changes them, with the server up or down.

mod history;
mod shape;

use super::database;
use super::error::{Exit, Result};
use super::output::{escape, json, note, print, print_json, properties, table};
use super::prompt;
use crate::chat::Chat;
use crate::config::Config;
use crate::model::{Actor, Field, Member, Room, UserId};

const EXAMPLES: &str = "\
Examples:
  chatroom rooms list
  chatroom rooms create general --owner ann
  chatroom rooms history general --limit 10
  chatroom rooms members general --json
  chatroom rooms delete general --yes

ROOM is a room's id or its name, USER a username or an email address. A server that is running
on the same database notices changes within about a second.";

/// Look at the rooms and change them, with the server up or down.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List all rooms, by name.
    #[command(visible_alias = "ls")]
    List {
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show one room.
    Show {
        /// Its id or its name.
        room: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Make a room; prints its id.
    Create {
        /// What it is called: 1 to 255 characters, unlike every other room's name.
        name: String,
        /// Who it belongs to: a username or an email address.
        #[arg(long, value_name = "USER")]
        owner: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Delete a room with all its messages, after asking.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its id or its name.
        room: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// List a room's members, by id.
    Members {
        /// Its id or its name.
        room: String,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show what was said in a room: its newest messages, or those before or after one of them.
    History(history::Args),
}

impl Args {
    /// Does what is asked.
    pub async fn run(&self, config: &Config) -> Result<()> {
        let chat = database::open_current(config).await?;
        database::with(chat, async |chat| self.action.run(chat).await).await
    }
}

impl Action {
    async fn run(&self, chat: &Chat) -> Result<()> {
        match self {
            Self::List { json } => list(chat, *json).await,
            Self::Show { room, json } => show(chat, room, *json).await,
            Self::Create { name, owner, json } => create(chat, name, owner, *json).await,
            Self::Delete { room, yes, json } => delete(chat, room, *yes, *json).await,
            Self::Members { room, json } => members(chat, room, *json).await,
            Self::History(args) => args.run(chat).await,
        }
    }
}

/// All rooms, a page at a time, so that their number does not matter.
async fn list(chat: &Chat, as_json: bool) -> Result<()> {
    let mut listing = Listing::new(as_json, "{\"rooms\":[", "There are no rooms.");
    let mut after = String::new();
    loop {
        let rooms = chat.all_rooms(&after).await?;
        let Some(last) = rooms.last() else {
            return listing.end();
        };
        after.clone_from(&last.name);
        if as_json {
            listing.entries(rooms.iter().map(shape::room))?;
        } else {
            listing.rows(shape::ROOMS, rooms.iter().map(shape::room_row))?;
        }
    }
}

async fn members(chat: &Chat, room: &str, as_json: bool) -> Result<()> {
    let room = chat.find_room(Actor::Operator, room).await?;
    let head = format!("{{\"room_id\":\"{}\",\"members\":[", room.id);
    let mut listing = Listing::new(as_json, &head, "The room has no members.");
    let mut after = UserId(0);
    loop {
        let members: Vec<Member> = chat.members_of(Actor::Operator, &room, after).await?;
        let Some(last) = members.last() else {
            return listing.end();
        };
        after = last.user.id;
        if as_json {
            listing.entries(members.iter().map(shape::member))?;
        } else {
            listing.rows(shape::MEMBERS, members.iter().map(shape::member_row))?;
        }
    }
}

async fn show(chat: &Chat, room: &str, as_json: bool) -> Result<()> {
    let room = chat.find_room(Actor::Operator, room).await?;
    let members = count_members(chat, &room).await?;
    if as_json {
        let mut document = shape::room(&room);
        document["member_count"] = members.into();
        return print_json(&document);
    }
    print(&properties(&shape::room_properties(&room, members)))
}

async fn create(chat: &Chat, name: &str, owner: &str, as_json: bool) -> Result<()> {
    let owner = chat.find_user(owner).await?;
    let room = chat.create_room(&owner, Field::from(name)).await?;
    note(format_args!(
        "Room {} created; it belongs to {}.",
        quoted(&room.name),
        escape(&owner.username)
    ));
    if as_json {
        return print_json(&shape::room(&room));
    }
    print(&format!("{}\n", room.id))
}

async fn delete(chat: &Chat, room: &str, yes: bool, as_json: bool) -> Result<()> {
    let room = chat.find_room(Actor::Operator, room).await?;
    if !yes {
        if !prompt::is_possible() {
            return Err(Exit::Usage.hinting(
                "standard input is not a terminal: nobody can be asked",
                "--yes deletes without asking",
            ));
        }
        let question = format!(
            "Delete room {} with {} message(s) and {} member(s)? [y/N]",
            quoted(&room.name),
            room.last_id,
            count_members(chat, &room).await?
        );
        if !prompt::confirm(&question).await? {
            return Err(Exit::Failed.saying("nothing was deleted"));
        }
    }
    chat.delete_room(Actor::Operator, &room).await?;
    note(format_args!("Room {} deleted.", quoted(&room.name)));
    if as_json {
        return print_json(&shape::deleted(&room));
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", escape(name))
}

async fn count_members(chat: &Chat, room: &Room) -> Result<usize> {
    let (mut count, mut after) = (0, UserId(0));
    loop {
        let members = chat.members_of(Actor::Operator, room, after).await?;
        let Some(last) = members.last() else {
            return Ok(count);
        };
        count += members.len();
        after = last.user.id;
    }
}

/// A list that is printed while it is read: for programs one document, for people tables.
struct Listing<'a> {
    count: usize,
    head: Option<&'a str>,
    as_json: bool,
    none: &'static str,
}

impl<'a> Listing<'a> {
    /// `head` is the document up to its first entry, `none` what people read when there is none.
    fn new(as_json: bool, head: &'a str, none: &'static str) -> Self {
        Self {
            count: 0,
            head: Some(head),
            as_json,
            none,
        }
    }

    fn entries(&mut self, entries: impl Iterator<Item = serde_json::Value>) -> Result<()> {
        let mut text = self.head.take().unwrap_or_default().to_owned();
        for entry in entries {
            if self.count > 0 {
                text.push(',');
            }
            text.push_str(&json(&entry)?);
            self.count += 1;
        }
        print(&text)
    }

    fn rows(
        &mut self,
        columns: &[(&str, bool)],
        rows: impl ExactSizeIterator<Item = Vec<String>>,
    ) -> Result<()> {
        self.count += rows.len();
        print(&table(columns, rows))
    }

    fn end(&mut self) -> Result<()> {
        if self.as_json {
            self.entries(std::iter::empty())?;
            return print(&format!("],\"count\":{}}}\n", self.count));
        }
        if self.count == 0 {
            note(self.none);
        }
        Ok(())
    }
}
