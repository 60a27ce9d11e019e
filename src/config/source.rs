//! Where values come from: the layers, what each calls its keys, and which one wins.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::hint;
use super::keys::{self, Holds, KEYS, Key};
use super::value::Raw;

/// A value and where it was found, ready to stand before what is wrong with it.
pub(super) struct Found {
    pub(super) raw: Raw,
    pub(super) origin: String,
}

/// A variable, of the environment or of `.env`.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    origin: String,
    /// The line as it stands in `.env`.
    line: Option<String>,
}

/// The values of all layers. Layers are laid weakest first; each covers what lies below.
pub(super) struct Layers<'a> {
    dir: &'a Path,
    found: BTreeMap<&'static str, Found>,
    /// What replaces the address of `server.bind`.
    pub(super) host: Option<Found>,
    /// What replaces the port of `server.bind`.
    pub(super) port: Option<Found>,
    /// What was wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Layers<'a> {
    /// No layer yet. Paths that a layer names start at `dir`.
    pub(super) fn new(dir: &'a Path) -> Self {
        Self {
            dir,
            found: BTreeMap::new(),
            host: None,
            port: None,
            problems: Vec::new(),
        }
    }

    /// What the strongest layer says about a key.
    pub(super) fn take(&mut self, name: &str) -> Option<Found> {
        self.found.remove(name)
    }

    fn lay(&mut self, key: &'static Key, raw: Raw, origin: String) {
        if key.name == "server.bind" {
            self.host = None;
            self.port = None;
        }
        self.found.insert(key.name, Found { raw, origin });
    }

    /// Lays the text of a TOML file, which messages call `file`.
    pub(super) fn file(&mut self, file: &str, text: &str) {
        let line = |at: usize| {
            let before = text.get(..at).unwrap_or(text);
            before.matches('\n').count() + 1
        };
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                // Not the error's own Display: that quotes the line, which may hold a secret.
                let at = error.span().map_or(1, |span| line(span.start));
                let what = error.message().replace('\n', ", ");
                self.problems.push(
                    Problem::new(format!("{file}:{at}: {what}"))
                        .hint("the file is TOML: https://toml.io"),
                );
                return;
            }
        };
        let mut entries = Vec::new();
        for (key, value) in table.get_ref() {
            let at = line(key.span().start);
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(section) if keys::is_section(name) => {
                    for (key, value) in section {
                        let name = format!("{name}.{}", key.get_ref());
                        entries.push((line(key.span().start), name, raw(value.get_ref())));
                    }
                }
                DeValue::Table(_) if keys::find(name).is_none() => self.problems.push(
                    Problem::new(format!("{file}:{at}: unknown section {name}"))
                        .hint(hint::for_section(name)),
                ),
                _ if keys::is_section(name) => self.problems.push(
                    Problem::new(format!("{file}:{at}: {name} is a section, not a key")).hint(
                        format!("write [{name}] on a line of its own, and its keys below"),
                    ),
                ),
                value => entries.push((at, name.to_owned(), raw(value))),
            }
        }
        entries.sort_by_key(|(line, ..)| *line);
        for (line, name, raw) in entries {
            match keys::find(&name) {
                Some(key) => self.lay(key, raw, format!("{file}:{line}: {name}")),
                None => self.problems.push(
                    Problem::new(format!("{file}:{line}: unknown key {name}"))
                        .hint(hint::for_key(&name)),
                ),
            }
        }
    }

    /// Lays variables. Of a key's names the first that is set wins; the same name twice: the last.
    ///
    /// An empty variable counts as not set, for that is what `NAME=${NAME:-}` in a compose file means, except a
    /// list's own name: there it is the empty list.
    pub(super) fn variables(&mut self, variables: Vec<Variable>) {
        let mut by_name = BTreeMap::new();
        for variable in variables {
            by_name.insert(variable.name.clone(), variable);
        }
        for key in KEYS {
            if let Some(own) = by_name.remove(&key.env_name())
                && (key.is_list() || !own.is_empty())
            {
                self.lay_variable(key, own, Holds::Value);
                for alias in key.aliases {
                    by_name.remove(alias.name);
                }
                continue;
            }
            for alias in key.aliases {
                let Some(variable) = by_name.remove(alias.name).filter(|it| !it.is_empty()) else {
                    continue;
                };
                self.lay_variable(key, variable, alias.holds);
                if matches!(alias.holds, Holds::Value | Holds::Path) {
                    for weaker in key.aliases {
                        by_name.remove(weaker.name);
                    }
                }
            }
        }
        for variable in by_name.values() {
            if keys::is_stray(&variable.name, &variable.value) {
                let message = match variable
                    .origin
                    .strip_suffix(&format!(": {}", variable.name))
                {
                    Some(place) => format!("{place}: unknown key {}", variable.name),
                    None => format!("{}: unknown key", variable.origin),
                };
                self.problems
                    .push(Problem::new(message).hint(hint::for_variable(&variable.name)));
            }
        }
    }

    fn lay_variable(&mut self, key: &'static Key, variable: Variable, holds: Holds) {
        let Variable {
            value,
            origin,
            line,
            ..
        } = variable;
        if key.secret && line.is_some_and(|line| has_bare_dollar(&line)) {
            self.problems.push(
                Problem::new(format!(
                    "{origin}: has a $, which a .env file replaces by a variable"
                ))
                .hint("put the value in single quotes; or write ${NAME}, if a variable is meant"),
            );
            return;
        }
        match holds {
            Holds::Value => self.lay(key, Raw::Word(value), origin),
            Holds::Path => self.lay(key, Raw::File(self.dir.join(value)), origin),
            Holds::Host => {
                self.host = Some(Found {
                    raw: Raw::Word(value),
                    origin,
                });
            }
            Holds::Port => {
                self.port = Some(Found {
                    raw: Raw::Word(value),
                    origin,
                });
            }
        }
    }

    /// Lays flags, `section.key` and a value.
    pub(super) fn flags(&mut self, flags: &[(String, String)]) {
        for (name, value) in flags {
            match keys::find(name) {
                Some(key) => self.lay(key, Raw::Word(value.clone()), format!("--set {name}")),
                None => self.problems.push(
                    Problem::new(format!("--set {name}: unknown key")).hint(hint::for_key(name)),
                ),
            }
        }
    }

    /// The variables in the text of a `.env` file.
    pub(super) fn dotenv(&mut self, text: &str) -> Vec<Variable> {
        let count = Rc::new(Cell::new(0));
        let lines = Lines {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes(),
            count: Rc::clone(&count),
        };
        let mut variables = Vec::new();
        for entry in dotenvy::from_read_iter(lines) {
            let line = count.get();
            match entry {
                Ok((name, value)) => variables.push(Variable {
                    origin: format!(".env:{line}: {name}"),
                    line: text.lines().nth(line - 1).map(str::to_owned),
                    name,
                    value,
                }),
                // Not the error's own text: that quotes the line, which may hold a secret.
                Err(_) => self.problems.push(
                    Problem::new(format!(".env:{line}: cannot be understood"))
                        .hint("write NAME=value; a value with spaces, quotes or backslashes goes in single quotes"),
                ),
            }
        }
        variables
    }
}

impl Variable {
    /// A variable of the environment.
    pub(super) fn of_environment((name, value): (String, String)) -> Self {
        Self {
            origin: format!("environment variable {name}"),
            line: None,
            name,
            value,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.value.trim().is_empty()
    }
}

/// Whether a line of `.env` has a `$` that is not `${NAME}`, not escaped and not in single quotes.
fn has_bare_dollar(line: &str) -> bool {
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => drop(characters.next()),
            '$' if !quoted && characters.peek() != Some(&'{') => return true,
            _ => {}
        }
    }
    false
}

/// Hands out one line at each read and counts them: an entry of `.env` comes without its place.
struct Lines<'a> {
    rest: &'a [u8],
    count: Rc<Cell<usize>>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| at + 1);
        let line = end.unwrap_or(self.rest.len());
        let size = line.min(buffer.len());
        buffer[..size].copy_from_slice(&self.rest[..size]);
        self.rest = &self.rest[size..];
        if size > 0 && size == line {
            self.count.set(self.count.get() + 1);
        }
        Ok(size)
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::String(text.to_string()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number too large"), Raw::Integer),
        DeValue::Array(values) => values
            .iter()
            .map(|value| value.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map_or(Raw::Other("an array with something else in it"), Raw::Array),
        DeValue::Float(_) => Raw::Other("a float"),
        DeValue::Datetime(_) => Raw::Other("a datetime"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
