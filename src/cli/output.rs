//! What a command prints: data on stdout, all else on stderr, and nothing that could harm a terminal.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use super::error::{Error, Exit, Result};
use crate::model::Instant;

/// The space between two columns.
const GAP: u16 = 2;
/// The least width of a column that is broken into lines; a terminal without room for it breaks the
/// lines by itself.
const NARROWEST: u16 = 12;

/// Prints data as it is.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Error::of_output(&error))
}

/// Prints one JSON document on a line of its own.
pub fn print_json(document: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", json(document)?))
}

/// The text of a JSON document.
pub fn json(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(|error| Exit::Failed.saying(error.to_string()))
}

/// Tells something that is not data. If nobody can be told, that is no reason to stop.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A table for people: a line of titles, columns that fit the terminal, every cell made harmless.
/// Only the columns marked `true` are broken into several lines where the terminal is too narrow.
pub fn table(columns: &[(&str, bool)], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        table.add_row(row.iter().map(|cell| escape(cell)));
    }
    let width = terminal_width();
    if let Some(width) = width {
        let widths = table.column_max_content_widths();
        let least = widths.iter().zip(columns).map(|(width, (_, breaks))| {
            let least = if *breaks { NARROWEST } else { u16::MAX };
            (*width).min(least).saturating_add(GAP)
        });
        let least = least.fold(0, u16::saturating_add);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width.max(least));
    }
    for (column, (_, breaks)) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, GAP));
        if width.is_some() && !breaks {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    format!("{}\n", table.trim_fmt())
}

/// One thing for people: a line for each of its properties.
pub fn properties(of: &[(&str, String)]) -> String {
    let widest = of.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    of.iter().fold(String::new(), |mut text, (title, value)| {
        let _ = writeln!(text, "{title:widest$}  {}", escape(value));
        text
    })
}

/// A moment for people. The titles say that it is UTC.
pub fn moment(at: Instant) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The text on one line, without the characters that a terminal would obey: controls, and those
/// that change the direction or the lines of what is around them ("Trojan Source", CVE-2021-42574).
pub fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut safe, c| {
            if c.is_control() || turns(c) {
                safe.extend(c.escape_default());
            } else {
                safe.push(c);
            }
            safe
        })
}

/// Whether the character changes the direction of text, or breaks a line.
fn turns(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}'
        | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The columns of the terminal that the data goes to; none if it goes elsewhere.
fn terminal_width() -> Option<u16> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, safe) in [
            ("hello, Welt 👩‍👩‍👧 שלום", "hello, Welt 👩‍👩‍👧 שלום"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("user\u{202e}nimda\u{2066}", "user\\u{202e}nimda\\u{2066}"),
            ("two\u{2028}lines", "two\\u{2028}lines"),
        ] {
            assert_eq!(escape(text), safe, "{text:?}");
        }
    }

    #[test]
    fn a_table_that_goes_to_a_file_has_no_frame_and_is_not_broken() {
        let long = "x".repeat(300);
        let rows = [
            vec!["1".to_owned(), "a\nb".to_owned()],
            vec!["22".to_owned(), long.clone()],
        ];
        let text = table(&[("ID", false), ("NAME", true)], rows.into_iter());
        assert_eq!(text, format!("ID  NAME\n1   a\\nb\n22  {long}\n"));
    }
}
