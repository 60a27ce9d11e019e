//! Checks the rules of the house over the sources: what a file may import, name and leave behind.

mod source;

use source::{Source, collect, is_word, tokens};
use std::path::Path;

/// What each top-level module may name besides itself: the floors below it, `main` at the top.
#[rustfmt::skip]
const FLOORS: &[(&str, &[&str])] = &[
    ("main", &["cli", "config"]),
    // The map: it declares the modules and may show any of them.
    ("lib", &["cli", "web", "chat", "store", "bus", "model", "config"]),
    ("cli", &["web", "chat", "model", "config"]),
    // `config` for the doors' own section.
    ("web", &["chat", "model", "config"]),
    ("chat", &["store", "bus", "model", "config"]),
    ("store", &["model"]),
    ("bus", &["model"]),
    ("model", &[]),
    ("config", &["model"]),
];

/// The crates that only one top-level module may name.
#[rustfmt::skip]
const CRATES: &[(&str, &[&str])] = &[
    ("store", &["sqlx"]),
    ("web", &["poem", "poem_openapi", "hyper", "hyper_util", "tungstenite", "tokio_tungstenite"]),
    ("cli", &["clap"]),
    ("bus", &["redis"]),
];

/// The nouns: on every floor each has its own file, and none of these names another.
const NOUNS: &[&str] = &["users", "rooms", "messages", "sessions"];

/// The exceptions, each a file and the neighbour that it may name all the same.
const NEIGHBOURS: &[(&str, &str)] = &[
    // Their rows are joined with a user's: the columns are written once, with the users.
    ("src/store/rooms.rs", "users"),
    ("src/store/sessions.rs", "users"),
];

/// What may not stay in `src`, as code and as a word anywhere.
const UNDONE_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
const UNDONE_WORDS: &[&str] = &["TODO", "FIXME"];

/// By this many lines a file in `src` has been split.
const MOST_LINES: usize = 400;

/// A rule gives the faults of a file.
type Rule = fn(&Source) -> Vec<String>;

/// Faults for the rules to find: the rule, the file, its text, the line.
#[rustfmt::skip]
const PLANTED: &[(Rule, &str, &str, usize)] = &[
    (says_nothing, "src/bus/hub.rs", "use std::fmt;\n", 1),
    // Upwards, in every shape that a path can have.
    (upward, "src/chat/mod.rs", "\nuse crate::web::json;", 2),
    (upward, "src/chat/mod.rs", "fn f() { crate::cli::run() }", 1),
    (upward, "src/chat/mod.rs", "use crate::{\n model::{Body, Id},\n web as w,\n};", 3),
    (upward, "src/web/rest/mod.rs", "use super::super::{store::Store, chat};", 1),
    (upward, "src/model.rs", "mod tests {\n use super::super::chat::Chat; }", 2),
    (upward, "src/main.rs", "use chatroom::store;", 1),
    (upward, "src/queue.rs", "", 1),
    // Sideways, between nouns of a floor.
    (sideways, "src/chat/users.rs", "use super::rooms;", 1),
    (sideways, "src/store/rooms.rs", "use crate::{store::{messages, Store}};", 1),
    (sideways, "src/web/rest/rooms.rs", "use super::{error, users::Shape};", 1),
    // A crate away from its floor.
    (foreign, "src/chat/users.rs", "fn f() -> sqlx::Result<()> {}", 1),
    (foreign, "src/web/mod.rs", "#[derive(clap::Args)] struct S;", 1),
    (foreign, "src/web/mod.rs", "\nuse redis as r;", 2),
    (foreign, "src/model/user.rs", "#[sqlx(transparent)] struct S;", 1),
    (foreign, "src/chat/users.rs", "fn f(c: char) { c == '\"' || ::poem::x() }", 1),
    // Left undone.
    (undone, "src/chat/users.rs", "\n\nfn f() { todo!() }", 3),
    (undone, "src/chat/users.rs", "// FIXME: later", 1),
];

/// What looks like a fault and is none.
const HARMLESS: &str = r##"//! `crate::web::x` and sqlx::query are only spoken of here.
    /* use sqlx; /* crate::cli */ dbg!(1) */
    use crate::model::{self, Body};
    use crate::{store::Store, bus};
    const A: &str = "crate::web::y \" use poem; todo!()";
    const B: &str = r#"use clap; " crate::web"#;
    const C: (char, u8, &'static [u8]) = ('"', b'"', b"sqlx::query");
    fn f<'a>(bus: &'a bus::redis::Cable) { let redis = 1; todo(redis); }
    mod tests { use super::rooms; use super::super::error; }
"##;

#[test]
fn every_file_says_what_it_is_for() {
    check(&["src", "tests"], says_nothing);
}

#[test]
fn no_file_is_too_long() {
    check(&["src"], too_long);
}

#[test]
fn imports_point_down() {
    check(&["src"], upward);
}

#[test]
fn nouns_do_not_import_each_other() {
    check(&["src"], sideways);
}

#[test]
fn each_foreign_crate_stays_on_its_floor() {
    check(&["src"], foreign);
}

#[test]
fn nothing_is_left_undone() {
    check(&["src"], undone);
}

#[test]
fn planted_faults_are_found() {
    for (rule, path, text, line) in PLANTED {
        let faults = faults_in(*rule, path, text);
        assert_eq!(faults.len(), 1, "{text:?} in {path}: {faults:?}");
        assert!(
            faults[0].starts_with(&format!("{path}:{line}: ")),
            "{text:?}: {faults:?}"
        );
    }
    let long = faults_in(too_long, "src/bus/hub.rs", &"\n".repeat(MOST_LINES + 1));
    assert_eq!(long.len(), 1);
}

#[test]
fn what_is_allowed_is_no_fault() {
    let rules: [Rule; 6] = [says_nothing, too_long, upward, sideways, foreign, undone];
    for rule in rules {
        assert_eq!(
            faults_in(rule, "src/chat/users.rs", HARMLESS),
            Vec::<String>::new()
        );
    }
}

fn faults_in(rule: Rule, path: &str, text: &str) -> Vec<String> {
    rule(&Source {
        path: path.to_owned(),
        text: text.to_owned(),
    })
}

/// Runs one rule over every Rust file below these folders and fails with all the faults.
fn check(folders: &[&str], rule: Rule) {
    let mut sources = Vec::new();
    for folder in folders {
        let before = sources.len();
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut sources,
        );
        assert!(sources.len() > before, "no Rust files in {folder}");
    }
    let mut faults: Vec<String> = sources.iter().flat_map(rule).collect();
    faults.dedup();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn says_nothing(source: &Source) -> Vec<String> {
    let says = source
        .text
        .strip_prefix("//! ")
        .is_some_and(|rest| !rest.trim_start().is_empty());
    if says {
        vec![]
    } else {
        vec![source.fault(1, "does not begin with a `//!` sentence")]
    }
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines <= MOST_LINES {
        vec![]
    } else {
        vec![source.fault(lines, "is too long: split it")]
    }
}

fn upward(source: &Source) -> Vec<String> {
    let own = source.floor();
    let Some((_, below)) = FLOORS.iter().find(|(floor, _)| *floor == own) else {
        return vec![source.fault(1, &format!("`{own}` has no row in the table of floors"))];
    };
    let faults = source.references().into_iter().filter_map(|reference| {
        let floor = reference.path.first()?;
        let known = FLOORS.iter().any(|(name, _)| name == floor);
        let fault = known && *floor != own && !below.contains(&floor.as_str());
        fault.then(|| source.fault(reference.line, &format!("`{own}` may not name `{floor}`")))
    });
    faults.collect()
}

fn sideways(source: &Source) -> Vec<String> {
    let module = source.module();
    let Some((own, floor)) = module.split_last().filter(|(own, _)| NOUNS.contains(own)) else {
        return vec![];
    };
    let faults = source.references().into_iter().filter_map(|reference| {
        let noun = reference
            .path
            .get(floor.len())
            .filter(|_| reference.path[..floor.len()] == *floor)?;
        let allowed = NEIGHBOURS.contains(&(source.path.as_str(), noun.as_str()));
        let fault = noun != own && NOUNS.contains(&noun.as_str()) && !allowed;
        fault.then(|| {
            source.fault(
                reference.line,
                &format!("`{own}` may not name its neighbour `{noun}`"),
            )
        })
    });
    faults.collect()
}

fn foreign(source: &Source) -> Vec<String> {
    let own = source.floor();
    let tokens = tokens(&source.text);
    let text = |index: Option<usize>| {
        index
            .and_then(|index| tokens.get(index))
            .map_or("", |token| &token.text)
    };
    let mut faults = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Some((floor, _)) = CRATES
            .iter()
            .find(|(_, names)| names.contains(&token.text.as_str()))
        else {
            continue;
        };
        let before = text(index.checked_sub(1));
        // `bus::redis` is a module of ours, `::redis` is the crate.
        let inner = before == "::" && is_word(text(index.checked_sub(2)));
        let named = text(Some(index + 1)) == "::" || ["use", "crate", "["].contains(&before);
        if own != *floor && named && !inner {
            faults.push(source.fault(
                token.line,
                &format!("only `{floor}` may name the crate `{}`", token.text),
            ));
        }
    }
    faults
}

fn undone(source: &Source) -> Vec<String> {
    let tokens = tokens(&source.text);
    let calls = tokens.windows(2).filter(|pair| pair[1].text == "!");
    let macros = calls.filter(|pair| UNDONE_MACROS.contains(&pair[0].text.as_str()));
    let mut faults: Vec<String> = macros
        .map(|pair| source.fault(pair[0].line, &format!("`{}!` is left", pair[0].text)))
        .collect();
    for (number, line) in (1..).zip(source.text.lines()) {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(word) = words.find(|word| UNDONE_WORDS.contains(word)) {
            faults.push(source.fault(number, &format!("{word} is left")));
        }
    }
    faults
}
