//! Reads Rust files as the tidiness checks see them: as words outside comments and literals.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file, its path relative to the package's root with `/` between the parts.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// One piece of code outside comments and literals: a word, `::`, or a single character.
pub struct Token {
    pub line: usize,
    pub text: String,
}

/// A path of the crate's own modules, from the crate's root, as one place in the code names it.
pub struct Reference {
    pub line: usize,
    pub path: Vec<String>,
}

/// Adds every Rust file below this folder, in order of names.
pub fn collect(folder: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the file is text");
            let inside = path
                .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                .expect("inside the package");
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            sources.push(Source {
                path: parts.join("/"),
                text,
            });
        }
    }
}

impl Source {
    /// A fault at this line, as an editor can follow it.
    pub fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The file's place in the tree of modules: `src/web/rest/mod.rs` is `web`, `rest`, and
    /// `src/lib.rs` is the root.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut parts: Vec<&str> = inside
            .strip_suffix(".rs")
            .unwrap_or(inside)
            .split('/')
            .collect();
        parts.pop_if(|last| ["mod", "lib", "main"].contains(last));
        parts
    }

    /// The top-level module that the file belongs to; `main.rs` and `lib.rs` are their own.
    pub fn floor(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split(['/', '.']).next().unwrap_or(inside)
    }

    /// Every path that begins with `crate`, `super` or the library's name; groups in braces are
    /// taken apart.
    pub fn references(&self) -> Vec<Reference> {
        let tokens = tokens(&self.text);
        let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
        let mut found = Vec::new();
        // The modules that enclose the token: the file's own, then one for each open brace, named
        // if it is a module's.
        let mut open: Vec<Option<&str>> = self.module().into_iter().map(Some).collect();
        let mut index = 0;
        while index < tokens.len() {
            match text(index) {
                "{" => {
                    let is_module = index >= 2 && text(index - 2) == "mod";
                    open.push(is_module.then(|| text(index - 1)));
                }
                "}" => drop(open.pop()),
                word @ ("crate" | "super" | env!("CARGO_PKG_NAME")) if text(index + 1) == "::" => {
                    let mut base: Vec<String> = Vec::new();
                    if word == "super" {
                        base.extend(open.iter().flatten().map(|&module| module.to_owned()));
                        base.pop();
                        while text(index + 2) == "super" && text(index + 3) == "::" {
                            base.pop();
                            index += 2;
                        }
                    }
                    index = expand(&tokens, index + 2, &base, &mut found);
                    continue;
                }
                _ => {}
            }
            index += 1;
        }
        found
    }
}

/// Adds the paths that begin at this token, below `base`; returns where they end.
fn expand(
    tokens: &[Token],
    mut index: usize,
    base: &[String],
    found: &mut Vec<Reference>,
) -> usize {
    let mut path = base.to_vec();
    while let Some(token) = tokens.get(index) {
        if token.text == "{" {
            index += 1;
            while tokens.get(index).is_some_and(|token| token.text != "}") {
                // What follows `as` is no module, nor is a comma or a star.
                let part = is_word(&tokens[index].text) && tokens[index - 1].text != "as";
                index = if part {
                    expand(tokens, index, &path, found)
                } else {
                    index + 1
                };
            }
            return index + 1;
        }
        if is_word(&token.text) && token.text != "self" {
            path.push(token.text.clone());
        }
        index += 1;
        if tokens.get(index).is_none_or(|next| next.text != "::") {
            found.push(Reference {
                line: token.line,
                path,
            });
            return index;
        }
        index += 1;
    }
    index
}

/// The code without its comments and literals.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, is_code) = piece(rest, first);
        let (taken, left) = rest.split_at(length);
        if is_code {
            tokens.push(Token {
                line,
                text: taken.to_owned(),
            });
        }
        line += taken.matches('\n').count();
        rest = left;
    }
    tokens
}

/// How long the piece at the start of the text is, and whether it is code.
fn piece(text: &str, first: char) -> (usize, bool) {
    let until = |end: &str, from: usize| {
        text[from..]
            .find(end)
            .map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        (until("\n", 0), false)
    } else if text.starts_with("/*") {
        (block_comment(text), false)
    } else if first == '"' {
        (quoted(text, '"'), false)
    } else if first == '\'' {
        // A lifetime has no closing quote behind its first character.
        let second = text[1..].chars().next();
        let is_char = second == Some('\\') || text[1..].chars().nth(1) == Some('\'');
        (if is_char { quoted(text, '\'') } else { 1 }, false)
    } else if is_word_char(first) {
        let length = text.find(|c| !is_word_char(c)).unwrap_or(text.len());
        let behind = &text[length..];
        let hashes = behind.len() - behind.trim_start_matches('#').len();
        if ["r", "br", "cr"].contains(&&text[..length]) && behind[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return (until(&end, length + hashes + 1), false);
        }
        (length, true)
    } else if text.starts_with("::") {
        (2, true)
    } else {
        (first.len_utf8(), !first.is_whitespace())
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal between quotes, in which a backslash takes the next character with it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Whether a token is a word: a name, a keyword or a number.
pub fn is_word(text: &str) -> bool {
    text.chars().next().is_some_and(is_word_char)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
