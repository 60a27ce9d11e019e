//! Questions to the person at the terminal, and answers that are not shown.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::error::{Error, Exit, Result};

/// Bytes of standard input that are read for a password, far more than one may have.
const STDIN_MAX: u64 = 64 * 1024;

/// Whether there is somebody to ask.
pub fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks for a line.
pub async fn line(question: &str) -> Result<String> {
    ask(question);
    read(|| {
        let mut line = String::new();
        match io::stdin().read_line(&mut line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(first_line(&line).to_owned()),
        }
    })
    .await
}

/// Asks for a line that is not shown while it is typed.
pub async fn hidden(question: &str) -> Result<String> {
    // Before the question, so that not even the first key is shown. Whoever stops waiting, as for a
    // signal, drops this, and the terminal is as before.
    let _restored = Terminal::without_echo();
    line(question).await
}

/// The password that somebody hands in: the first line of standard input.
pub async fn password_from_stdin() -> Result<String> {
    let first = read(|| {
        let mut line = String::new();
        io::stdin().lock().take(STDIN_MAX).read_line(&mut line)?;
        Ok(first_line(&line).to_owned())
    });
    first.await
}

/// Asks a question that only a clear yes answers with yes.
pub async fn confirm(question: &str) -> Result<bool> {
    Ok(is_yes(&line(question).await?))
}

/// The text up to the end of its first line.
pub fn first_line(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    line.strip_suffix('\r').unwrap_or(line)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

fn ask(question: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question} ");
    let _ = err.flush();
}

/// Waits for an answer on a thread of its own: nothing else can stop a read from a terminal.
async fn read(from: impl FnOnce() -> io::Result<String> + Send + 'static) -> Result<String> {
    let answer = tokio::task::spawn_blocking(from).await;
    answer
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| match error.kind() {
            ErrorKind::Interrupted | ErrorKind::UnexpectedEof => Error::Cancelled,
            _ => Exit::Failed.saying(format!("cannot read the answer: {error}")),
        })
}

/// How the terminal was; it is so again when this is dropped.
struct Terminal(Option<Termios>);

impl Terminal {
    fn without_echo() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            // All but the end of the line.
            silent.local_modes.insert(LocalModes::ECHONL);
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &silent);
        }
        Self(before)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for yes in ["y", "Y", " yes ", "YES"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "n", "no", "ye", "yes please", "1"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }

    #[test]
    fn a_line_ends_before_its_end_and_keeps_its_spaces() {
        for (text, line) in [
            ("secret", "secret"),
            (" two words \n", " two words "),
            ("dos\r\nsecond", "dos"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(first_line(text), line);
        }
    }
}
