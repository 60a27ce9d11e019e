//! What was probably meant by a name that does not exist.

use super::keys::{KEYS, Key, PREFIX, is_section};

/// What was probably meant by an unknown key, as a hint.
pub(super) fn for_key(name: &str) -> String {
    let plain = name.to_lowercase().replace('-', "_");
    let (section, last) = plain.rsplit_once('.').unwrap_or(("", &plain));
    let shout = last.to_uppercase();
    let known = KEYS
        .iter()
        .find(|key| key.env_name() == shout || key.aliases.iter().any(|alias| alias.name == shout))
        .or_else(|| KEYS.iter().find(|key| key.split().1 == last))
        .map(|key| key.name)
        .or_else(|| nearest(&plain, KEYS.iter().map(|key| key.name)));
    if let Some(known) = known {
        let above = if name.contains('.') && !known.contains('.') {
            ", which stands above the first [section]"
        } else {
            ""
        };
        return format!("did you mean {known}{above}?");
    }
    let (place, section) = if is_section(section) {
        (format!("[{section}] has"), section)
    } else {
        ("the top-level keys are".to_owned(), "")
    };
    let names: Vec<_> = KEYS
        .iter()
        .map(Key::split)
        .filter(|(of, _)| *of == section)
        .map(|(_, name)| name)
        .collect();
    format!("{place} {}", names.join(", "))
}

/// What was probably meant by an unknown section, as a hint.
pub(super) fn for_section(name: &str) -> String {
    let mut sections: Vec<_> = KEYS.iter().map(|key| key.split().0).collect();
    sections.dedup();
    sections.retain(|section| !section.is_empty());
    match nearest(&name.to_lowercase(), sections.iter().copied()) {
        Some(known) => format!("did you mean [{known}]?"),
        None => format!("the sections are {}", sections.join(", ")),
    }
}

/// What was probably meant by an unknown variable, as a hint.
pub(super) fn for_variable(name: &str) -> String {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let names: Vec<_> = KEYS.iter().map(Key::env_name).collect();
    let known = KEYS
        .iter()
        .find(|key| key.aliases.iter().any(|alias| alias.name == rest))
        .or_else(|| KEYS.iter().find(|key| key.split().1.to_uppercase() == rest))
        .map(Key::env_name)
        .or_else(|| nearest(name, names.iter().map(String::as_str)).map(str::to_owned));
    match known {
        Some(known) => format!("did you mean {known}?"),
        None => {
            format!("names that begin with {PREFIX} are the server's own; config.toml lists them")
        }
    }
}

/// The candidate with the fewest typing errors between it and `name`, if they are few for its length.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let bound = name.trim_start_matches(PREFIX).len() / 3;
    candidates
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= bound.max(2))
        .map(|(_, candidate)| candidate)
}
