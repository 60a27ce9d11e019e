//! The repository's `config.toml`, written from the table of keys.

use std::fmt::Write as _;

use super::keys::KEYS;

/// Where comments are broken.
const COLUMNS: usize = 100;

/// The text of the repository's `config.toml`: every key at its default, each below its sentence.
#[must_use]
pub fn document() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "The configuration of chatroom, every key at its default. The server reads config.toml in the working folder, \
         or the file that --config or CHATROOM_CONFIG names; keep only what you change.",
    );
    text.push_str("#\n");
    comment(
        &mut text,
        "Stronger than this file are .env in the working folder, then the environment, then flags. In those, a list is \
         separated by commas, and an empty variable counts as not set, unless it is the CHATROOM_ name of a list: \
         then the list is empty.",
    );
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.split();
        if of != section {
            section = of;
            let _ = write!(text, "\n[{section}]");
        }
        text.push('\n');
        comment(&mut text, key.doc);
        let names: Vec<_> = std::iter::once(key.env_name())
            .chain(key.aliases.iter().map(|alias| alias.name.to_owned()))
            .collect();
        comment(&mut text, &format!("Environment: {}", names.join(", ")));
        let _ = writeln!(text, "{name} = {}", key.default);
    }
    text
}

/// Appends `sentence` as comment lines of at most [`COLUMNS`] characters.
fn comment(text: &mut String, sentence: &str) {
    let mut column = 0;
    for word in sentence.split_whitespace() {
        if column > 0 && column + 1 + word.len() > COLUMNS {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.push('#');
            column = 1;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.len();
    }
    text.push('\n');
}
