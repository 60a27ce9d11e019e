//! Why a command was not done, and how that is told: sentences on stderr and an exit code.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use super::output::note;
use crate::chat;
use crate::config::{ConfigError, Problem};

/// What every command answers with.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command was not done.
#[derive(Debug)]
pub enum Error {
    /// Something to say, and the exit code.
    Told(Exit, Vec<Problem>),
    /// What clap says: that the words are wrong, or the help that was asked for.
    Words(Box<clap::Error>),
    /// The person at the terminal thought better of it.
    Cancelled,
    /// Whoever read the output has gone, as `head` does; there is nobody left to tell.
    OutputClosed,
}

/// The exit codes for what was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// There is one already.
    Exists = 4,
    /// It was interrupted; 128 and the number of SIGINT, as shells have it.
    Interrupted = 130,
}

impl Exit {
    /// With one sentence.
    pub fn saying(self, message: impl Into<String>) -> Error {
        self.with(message, None)
    }

    /// With one sentence, and what to do about it.
    pub fn hinting(self, message: impl Into<String>, hint: impl Into<String>) -> Error {
        self.with(message, Some(hint.into()))
    }

    fn with(self, message: impl Into<String>, hint: Option<String>) -> Error {
        let message = message.into();
        Error::Told(self, vec![Problem { message, hint }])
    }
}

impl Error {
    /// Tells the person at the terminal, or the log of whoever started this, and ends with the code.
    #[must_use]
    pub fn report(self) -> ExitCode {
        match self {
            Self::Told(exit, problems) => {
                for problem in problems {
                    note(format_args!("error: {}", problem.message));
                    if let Some(hint) = problem.hint {
                        note(format_args!("hint: {hint}"));
                    }
                }
                ExitCode::from(exit as u8)
            }
            Self::Words(error) => {
                // Help goes to stdout; it does not matter whether somebody reads it to its end.
                let _ = error.print();
                let _ = io::stdout().flush();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
            Self::Cancelled => {
                note("\nOperation cancelled.");
                ExitCode::from(Exit::Interrupted as u8)
            }
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }

    /// The output could not be written.
    #[must_use]
    pub fn of_output(error: &io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Exit::Failed.saying(format!("cannot write the output: {error}"))
        }
    }
}

impl From<clap::Error> for Error {
    fn from(error: clap::Error) -> Self {
        Self::Words(Box::new(error))
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let by_flag = |problem: &Problem| problem.message.starts_with("--set ");
        let exit = if error.problems.iter().all(by_flag) {
            Exit::Usage
        } else {
            Exit::Failed
        };
        Self::Told(exit, error.problems)
    }
}

impl From<chat::MigrationError> for Error {
    fn from(error: chat::MigrationError) -> Self {
        Exit::Failed.saying(format!("the database could not be migrated: {error}"))
    }
}

impl From<chat::Error> for Error {
    fn from(error: chat::Error) -> Self {
        let exit = match &error {
            chat::Error::RoomNotFound | chat::Error::UserNotFound => Exit::NotFound,
            taken if taken.is_taken() => Exit::Exists,
            _ => Exit::Failed,
        };
        match error {
            chat::Error::Invalid(problems) => {
                let told = problems.iter().flat_map(|(field, refusals)| {
                    refusals.iter().map(move |refusal| Problem {
                        message: format!("{field}: {refusal}"),
                        hint: None,
                    })
                });
                Self::Told(exit, told.collect())
            }
            chat::Error::Unavailable => exit.hinting(
                "the database cannot do it now",
                "the log says why; try again in a moment",
            ),
            chat::Error::Internal => {
                exit.hinting("something went wrong in the database", "the log says what")
            }
            other => exit.saying(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;

    fn told(error: chat::Error) -> (Exit, Vec<String>) {
        match Error::from(error) {
            Error::Told(exit, problems) => (
                exit,
                problems
                    .into_iter()
                    .map(|problem| problem.message)
                    .collect(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_kind_of_answer_has_its_exit_code() {
        assert_eq!(told(chat::Error::RoomNotFound).0, Exit::NotFound);
        assert_eq!(told(chat::Error::UserNotFound).0, Exit::NotFound);
        assert_eq!(told(chat::Error::RoomNameTaken).0, Exit::Exists);
        assert_eq!(told(chat::Error::Internal).0, Exit::Failed);
    }

    #[test]
    fn all_problems_of_a_form_are_told() {
        let mut problems = Problems::of("email", "Enter a valid email address.");
        problems.add("password", "This password is too common.");
        problems.add("password", "This password is entirely numeric.");
        let (exit, lines) = told(problems.into());
        assert_eq!(exit, Exit::Failed);
        assert_eq!(
            lines,
            [
                "email: Enter a valid email address.",
                "password: This password is too common.",
                "password: This password is entirely numeric.",
            ]
        );
    }
}
