//! The operator's door: what stands on the command line, and what becomes of it.
//!
//! Each command is a file with a struct `Args` and its `run`. Data goes to stdout, all else to
//! stderr; the exit codes are in [`Exit`].

mod banner;
mod createsuperuser;
mod database;
mod django;
mod environment;
mod error;
mod log;
mod migrate;
mod output;
mod prompt;
mod rooms;
mod serve;
mod signals;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args as _, CommandFactory as _, FromArgMatches as _};

pub use error::{Error, Exit, Result};

use crate::config::{Config, Flags, KEYS};
use signals::Signals;

const ABOUT: &str = "Chat rooms for any application: REST, WebSockets and this command line";

const LONG_ABOUT: &str = "\
Chat rooms for any application: REST, WebSockets and this command line in one program.

`chatroom serve` works in an empty folder without any configuration.";

const EXAMPLES: &str = "\
Examples:
  chatroom serve                   start a server on http://127.0.0.1:8000
  chatroom createsuperuser         make a user who may do everything
  chatroom rooms list              look at the rooms
  chatroom help rooms create       more about a command

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 exists already, 130 interrupted.";

/// Columns of the help that [`help`] returns.
const HELP_WIDTH: usize = 100;

/// A command line, understood.
#[derive(Debug, clap::Parser)]
#[command(name = "chatroom", bin_name = "chatroom", version)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[arg(skip)]
    global: Global,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(visible_alias = "runserver")]
    Serve(serve::Args),
    Migrate(migrate::Args),
    Createsuperuser(createsuperuser::Args),
    Rooms(rooms::Args),
}

// What may stand before and after every command. Not `///`: clap would take that for its help.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Read this file in place of config.toml in the working folder.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a key of the configuration, as log.level=debug; may be given several times. For secrets
    /// there are environment variables.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Keep the data in this folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

impl Global {
    /// What a level of the command line has, and the levels below it, which are stronger.
    fn of(matches: &ArgMatches) -> Result<Self> {
        let mut global = Self::from_arg_matches(matches)?;
        if let Some((_, below)) = matches.subcommand() {
            let below = Self::of(below)?;
            global.config = below.config.or(global.config);
            global.data_dir = below.data_dir.or(global.data_dir);
            global.set.extend(below.set);
        }
        Ok(global)
    }

    fn flags(&self) -> Result<Flags> {
        let mut set = Vec::new();
        for setting in &self.set {
            let Some((name, value)) = setting.split_once('=') else {
                return Err(Exit::Usage.hinting(
                    "--set: there is no = between a key and its value",
                    "write --set log.level=debug",
                ));
            };
            if let Some(key) = KEYS.iter().find(|key| key.name == name && key.secret) {
                let names: Vec<_> = std::iter::once(key.env_name())
                    .chain(key.aliases.iter().map(|alias| alias.name.to_owned()))
                    .collect();
                return Err(Exit::Usage.hinting(
                    format!("--set {name}: others could read a secret in the list of processes"),
                    format!("use the environment, or .env: {}", names.join(", ")),
                ));
            }
            set.push((name.to_owned(), value.to_owned()));
        }
        if let Some(folder) = &self.data_dir {
            set.push(("data_dir".to_owned(), folder.clone()));
        }
        Ok(Flags {
            config: self.config.clone(),
            set,
        })
    }
}

impl Cli {
    /// Understands a command line, the program's name first. Help that is asked for is an "error".
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let matches = command().try_get_matches_from(words).map_err(explain)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.global = Global::of(&matches)?;
        Ok(cli)
    }

    /// Reads the configuration, and starts the log as it says.
    pub fn start(&self) -> Result<Config> {
        let config = Config::load(&self.global.flags()?)?;
        log::start(&config.log, !matches!(self.command, Command::Serve(_)))?;
        Ok(config)
    }

    /// Does it. What is interrupted is dropped where it waits; only `serve` finishes.
    pub async fn run(&self, config: &Config) -> Result<()> {
        if let Command::Serve(args) = &self.command {
            return args.run(config).await;
        }
        let work = async {
            match &self.command {
                Command::Serve(args) => args.run(config).await,
                Command::Migrate(args) => args.run(config).await,
                Command::Createsuperuser(args) => args.run(config).await,
                Command::Rooms(args) => args.run(config).await,
            }
        };
        Signals::listen()?.unless(Box::pin(work)).await
    }
}

/// The long help of the program and of every command, one after the other.
#[must_use]
pub fn help() -> String {
    let mut command = command();
    command.build();
    let mut text = String::new();
    describe(command, &mut text);
    text
}

fn describe(command: clap::Command, text: &mut String) {
    let mut command = command.term_width(HELP_WIDTH);
    let name = command.get_bin_name().unwrap_or("chatroom").to_owned();
    let help = command.render_long_help().to_string();
    let _ = writeln!(text, "# {name}\n\n{}\n", help.trim_end());
    let below = command
        .get_subcommands()
        .filter(|below| below.get_name() != "help");
    for below in below.cloned().collect::<Vec<_>>() {
        describe(below, text);
    }
}

/// The whole command line. clap's own global arguments keep only one level's values; these are on
/// every level, and [`Global::of`] joins them.
fn command() -> clap::Command {
    with_global(Cli::command())
}

fn with_global(command: clap::Command) -> clap::Command {
    Global::augment_args(command.mut_subcommands(with_global))
}

/// clap's error, unless the word that it does not know is one of Django's.
fn explain(error: clap::Error) -> Error {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(answer) = django::answer(word)
    {
        return answer;
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli> {
        Cli::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere_and_the_last_is_the_strongest() {
        let line = "chatroom --set log.level=warn --data-dir a --config c.toml rooms --set debug=1 \
                    list --set log.level=debug --data-dir b";
        let flags = parse(line)
            .expect("a command")
            .global
            .flags()
            .expect("flags");
        assert_eq!(flags.config, Some(PathBuf::from("c.toml")));
        let set: Vec<_> = flags.set.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            set,
            ["log.level=warn", "debug=1", "log.level=debug", "data_dir=b"]
        );
    }

    #[test]
    fn a_secret_is_no_flag_and_is_not_repeated() {
        for key in KEYS.iter().filter(|key| key.secret) {
            let line = format!("chatroom migrate --set {}=hunter2", key.name);
            match parse(&line).expect("a command").global.flags() {
                Err(Error::Told(Exit::Usage, problems)) => {
                    let hint = problems[0].hint.as_deref().unwrap_or_default();
                    assert!(hint.contains(&key.env_name()), "{hint}");
                    assert!(!format!("{problems:?}").contains("hunter2"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn words_of_django_are_answered() {
        for word in [
            "makemigrations",
            "collectstatic",
            "shell",
            "check",
            "changepassword ann",
        ] {
            match parse(&format!("chatroom {word}")) {
                Err(Error::Told(Exit::Usage, problems)) => assert!(problems[0].hint.is_some()),
                other => panic!("{word}: {other:?}"),
            }
        }
        assert!(matches!(parse("chatroom migrat"), Err(Error::Words(_))));
    }

    #[test]
    fn every_command_has_its_help() {
        let help = help();
        for name in [
            "",
            " serve",
            " migrate",
            " createsuperuser",
            " rooms",
            " rooms history",
        ] {
            assert!(help.contains(&format!("# chatroom{name}\n")), "{name}");
        }
        assert!(!help.contains('\u{1b}'));
    }
}
