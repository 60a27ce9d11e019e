//! `chatroom createsuperuser`: makes a user who may do everything, by asking or without.

use std::path::PathBuf;

use serde_json::json;

use super::database::{self, NO_KEY};
use super::environment::{Wanted, password_in};
use super::error::{Error, Exit, Result};
use super::output::{escape, note, print, print_json};
use super::prompt;
use crate::chat::{Chat, Existing, Superuser};
use crate::config::Config;
use crate::model::User;

const EXAMPLES: &str = "\
Examples:
  chatroom createsuperuser
  chatroom createsuperuser --email ann@example.org --username ann --password-file /run/secrets/ann
  chatroom createsuperuser --noinput --if-not-exists     with everything in the environment

Environment, where nothing is asked:
  CHATROOM_SUPERUSER_EMAIL, CHATROOM_SUPERUSER_USERNAME, CHATROOM_SUPERUSER_PASSWORD
  or the same names with DJANGO_ instead of CHATROOM_. Flags are stronger.";

/// Make a user who may do everything.
///
/// Asks for what is not given. A password is never an argument: others could read it in the list of
/// processes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that people type"
)]
pub struct Args {
    /// The address, which nobody else may have.
    #[arg(long)]
    email: Option<String>,
    /// The name shown to others, which nobody else may have.
    #[arg(long)]
    username: Option<String>,
    /// Ask nothing; what no flag gives is taken from the environment.
    #[arg(long, alias = "no-input")]
    noinput: bool,
    /// Read the password from standard input: its first line.
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the password from a file: its first line.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Change nothing, and exit with 0, if somebody has the email or the username.
    #[arg(long, conflicts_with = "update")]
    if_not_exists: bool,
    /// If somebody has the email, set their password and make them a superuser.
    #[arg(long)]
    update: bool,
    /// Print one JSON document, {"id", "username", "email", "created"}.
    #[arg(long)]
    json: bool,
}

/// What is known without asking.
struct Given {
    email: Option<String>,
    username: Option<String>,
    password: Option<String>,
    asks: bool,
}

impl Args {
    /// Makes the superuser.
    pub async fn run(&self, config: &Config) -> Result<()> {
        let given = self.given().await?;
        let chat = database::open(config, NO_KEY).await?;
        database::with(chat, async |chat| {
            database::bring_up_to_date(chat, false).await?;
            self.create(chat, given).await
        })
        .await
    }

    /// Puts together what is given; if that is not enough, there must be somebody to ask.
    async fn given(&self) -> Result<Given> {
        let (email, username) = (self.email.clone(), self.username.clone());
        let password = match &self.password_file {
            Some(file) => Some(password_in(file)?),
            None if self.password_stdin => Some(prompt::password_from_stdin().await?),
            None => None,
        };
        if !self.noinput && !self.password_stdin && prompt::is_possible() {
            return Ok(Given {
                email,
                username,
                password,
                asks: true,
            });
        }
        if !self.noinput && password.is_none() {
            return Err(Exit::Usage.hinting(
                "standard input is not a terminal: nobody can be asked",
                "give --email and --username with --password-stdin or --password-file FILE; or \
                 --noinput with CHATROOM_SUPERUSER_EMAIL, CHATROOM_SUPERUSER_USERNAME and \
                 CHATROOM_SUPERUSER_PASSWORD (or the DJANGO_SUPERUSER_ names) in the environment",
            ));
        }
        let wanted = Wanted::read()?;
        let given = Given {
            email: email.or(wanted.email),
            username: username.or(wanted.username),
            password: password.or(wanted.password),
            asks: false,
        };
        for (value, name, flag, needed) in [
            (&given.email, "EMAIL", "--email", true),
            // Whoever is updated keeps that name.
            (&given.username, "USERNAME", "--username", !self.update),
            (
                &given.password,
                "PASSWORD",
                "--password-stdin or --password-file",
                true,
            ),
        ] {
            if needed && value.is_none() {
                return Err(Exit::Usage.hinting(
                    format!(
                        "no {} is given, and nobody can be asked",
                        name.to_lowercase()
                    ),
                    format!("use {flag}, or set CHATROOM_SUPERUSER_{name} in the environment"),
                ));
            }
        }
        Ok(given)
    }

    async fn create(&self, chat: &Chat, given: Given) -> Result<()> {
        let asks = given.asks;
        let email = self.email(chat, given.email, asks).await?;
        let holder = chat.user_by_email(&email).await?;
        if let Some(user) = holder.as_ref().filter(|_| self.if_not_exists) {
            return self.tell_existing(user);
        }
        let username = match holder.filter(|_| self.update) {
            Some(user) => user.username,
            None => self.username(chat, given.username, asks).await?,
        };
        if self.if_not_exists
            && let Some(user) = chat.user_by_username(&username).await?
        {
            return self.tell_existing(&user);
        }
        let (password, any_password) = match given.password {
            Some(password) => (password, false),
            None => password(chat, &username, &email).await?,
        };
        let form = Superuser {
            email,
            username,
            password,
            any_password,
        };
        let existing = if self.update {
            Existing::Update
        } else {
            Existing::Refuse
        };
        let (user, created) = chat.create_superuser(form, existing).await?;
        let done = if created { "created" } else { "updated" };
        self.tell(&user, created, &format!("Superuser {done} successfully."))
    }

    /// The address: the one given, or one that is asked for until it will do.
    async fn email(&self, chat: &Chat, given: Option<String>, asks: bool) -> Result<String> {
        let fits = async |email: &str| {
            let refusal = chat.check_email(email).await?.err();
            let may_exist = self.update || self.if_not_exists;
            Ok(match refusal {
                Some(_) if may_exist && chat.user_by_email(email).await?.is_some() => None,
                refusal => refusal,
            })
        };
        settle("Email:", "email", given, asks, fits).await
    }

    /// The name, in the same way.
    async fn username(&self, chat: &Chat, given: Option<String>, asks: bool) -> Result<String> {
        let fits = async |name: &str| {
            let refusal = chat.check_username(name).await?.err();
            Ok(match refusal {
                Some(_) if self.if_not_exists && chat.user_by_username(name).await?.is_some() => {
                    None
                }
                refusal => refusal,
            })
        };
        settle("Username:", "username", given, asks, fits).await
    }

    fn tell_existing(&self, user: &User) -> Result<()> {
        let username = escape(&user.username);
        if !user.is_superuser {
            return Err(Exit::Exists.hinting(
                format!("there is a user {username} already, who is no superuser"),
                "--update makes one of whoever has the email, with a new password",
            ));
        }
        self.tell(
            user,
            false,
            &format!("There is a user {username} already; nothing was changed."),
        )
    }

    fn tell(&self, user: &User, created: bool, sentence: &str) -> Result<()> {
        if self.json {
            note(sentence);
            return print_json(&json!({
                "id": user.id.0,
                "username": user.username,
                "email": user.email,
                "created": created,
            }));
        }
        print(&format!("{sentence}\n"))
    }
}

/// Why a text will not do, if it will not.
type Verdict = Result<Option<crate::model::Refusal>>;

/// What is given, as it is, or else the first answer that fits. What is given is judged at once only
/// where questions follow: nobody should be asked for a password in vain.
async fn settle(
    question: &str,
    name: &str,
    given: Option<String>,
    asks: bool,
    fits: impl AsyncFn(&str) -> Verdict,
) -> Result<String> {
    match given {
        Some(text) if !asks => Ok(text),
        Some(text) => match fits(&text).await? {
            None => Ok(text),
            Some(refusal) => Err(refused(name, &refusal)),
        },
        None if !asks => Ok(String::new()),
        None => loop {
            let text = prompt::line(question).await?;
            match fits(&text).await? {
                None => return Ok(text),
                Some(refusal) => note(format_args!("Error: {refusal}")),
            }
        },
    }
}

fn refused(name: &str, refusal: &str) -> Error {
    let exit = if refusal.ends_with("is already taken.") {
        Exit::Exists
    } else {
        Exit::Failed
    };
    exit.saying(format!("{name}: {refusal}"))
}

/// Asks for a password until it will do; the flag says whether the rules were waived.
async fn password(chat: &Chat, username: &str, email: &str) -> Result<(String, bool)> {
    loop {
        let password = prompt::hidden("Password:").await?;
        if password != prompt::hidden("Password (again):").await? {
            note("Error: Your passwords didn't match.");
            continue;
        }
        if password.trim().is_empty() {
            note("Error: Blank passwords aren't allowed.");
            continue;
        }
        let weaknesses = chat.check_password(&password, username, email);
        if weaknesses.is_empty() {
            return Ok((password, false));
        }
        for weakness in weaknesses {
            note(weakness);
        }
        let question = "Bypass password validation and create user anyway? [y/N]:";
        if prompt::confirm(question).await? {
            return Ok((password, true));
        }
    }
}
