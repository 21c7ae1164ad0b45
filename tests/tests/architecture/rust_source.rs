//! Rust source as the walls read it: tokens, string literals, comments, paths and functions.
//!
//! rustfmt and the compiler have accepted the files, so no more than the lexical structure has to be recognised.

/// A piece of text and the number of the line on which it begins, counted from 1.
pub type OnLine<T> = (usize, T);

/// A file, taken apart.
#[derive(Debug, Default)]
pub struct Source {
    /// Identifiers, `::` and single punctuation characters.
    pub tokens: Vec<OnLine<String>>,
    /// The contents of string literals, as written; a line that is continued by a backslash is joined.
    pub strings: Vec<OnLine<String>>,
    /// Comments, with their slashes.
    pub comments: Vec<OnLine<String>>,
}

impl Source {
    /// Takes `text` apart.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader { rest: text, line: 1, source: Self::default() };
        while let Some(next) = reader.rest.chars().next() {
            reader.step(next);
        }
        reader.source
    }

    /// The same without the items marked `#[cfg(test)]`.
    pub fn without_tests(mut self) -> Self {
        let mut hidden = Vec::new();
        let words: Vec<&str> = self.tokens.iter().map(|(_, token)| token.as_str()).collect();
        let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
        let mut at = 0;
        while at < words.len() {
            if words[at..].starts_with(&marker) {
                let end = end_of_item(&words, at + marker.len());
                hidden.push((at, end));
                at = end;
            }
            at += 1;
        }
        let lines: Vec<(usize, usize)> =
            hidden.iter().map(|&(from, to)| (self.tokens[from].0, self.tokens[to].0)).collect();
        let is_visible = |line: usize| !lines.iter().any(|(from, to)| (*from..=*to).contains(&line));
        self.tokens.retain(|(line, _)| is_visible(*line));
        self.strings.retain(|(line, _)| is_visible(*line));
        self.comments.retain(|(line, _)| is_visible(*line));
        self
    }

    /// Every path that begins with `root`, with the groups of a `use` expanded: `a::{b, c::d}` is `a::b` and
    /// `a::c::d`.
    pub fn paths(&self, root: &str) -> Vec<OnLine<Vec<&str>>> {
        let mut found = Vec::new();
        for at in 0..self.tokens.len() {
            let begins_here = at == 0 || self.token(at - 1) != "::" || at > 1 && self.token(at - 2) == "use";
            if self.token(at) == root && self.token(at + 1) == "::" && begins_here {
                self.expand(at, Vec::new(), &mut found);
            }
        }
        found
    }

    /// Every function that has a body.
    pub fn functions(&self) -> Vec<Function> {
        let words: Vec<&str> = self.tokens.iter().map(|(_, token)| token.as_str()).collect();
        let mut functions = Vec::new();
        for at in 1..words.len() {
            // `fn(` is a type, and `fn $name` a part of a macro.
            if words[at - 1] != "fn" || !is_word(words[at]) {
                continue;
            }
            let end = end_of_item(&words, at);
            if words[end] == "}" {
                let line = self.tokens[at - 1].0;
                functions.push(Function {
                    name: words[at].into(),
                    line,
                    lines: self.tokens[end].0 - line + 1,
                });
            }
        }
        functions
    }

    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |(_, token)| token)
    }

    fn expand<'a>(
        &'a self,
        mut at: usize,
        mut path: Vec<&'a str>,
        found: &mut Vec<OnLine<Vec<&'a str>>>,
    ) -> usize {
        loop {
            if self.token(at) == "{" {
                at += 1;
                while !["}", ""].contains(&self.token(at)) {
                    at = self.expand(at, path.clone(), found);
                    while self.token(at) != "}" && self.token(at) != "" && self.token(at) != "," {
                        at += 1;
                    }
                    at += usize::from(self.token(at) == ",");
                }
                return at + 1;
            }
            if !is_word(self.token(at)) && self.token(at) != "*" {
                return at;
            }
            path.push(self.token(at));
            let continues = self.token(at + 1) == "::" && self.token(at + 2) != "<";
            if !continues {
                found.push((self.tokens[at].0, path));
                return at + 1;
            }
            at += 2;
        }
    }
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    /// From the line of `fn` to that of the closing brace, both included.
    pub lines: usize,
}

/// Whether the file holds tests or benchmarks only.
pub fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
}

/// Whether the token is an identifier, a keyword or a number.
pub fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// The last token of the item that begins at `start`: its semicolon, or the brace that closes its body.
fn end_of_item(words: &[&str], start: usize) -> usize {
    let mut braces = 0;
    let mut brackets = 0;
    for (at, word) in words.iter().enumerate().skip(start) {
        match *word {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                // `use a::{b};` ends with its semicolon.
                if braces == 0 && brackets == 0 && words.get(at + 1) != Some(&";") {
                    return at;
                }
            }
            ";" if braces == 0 && brackets == 0 => return at,
            _ => {}
        }
    }
    words.len() - 1
}

/// What is left of a file, and what has been found in it.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    source: Source,
}

impl<'a> Reader<'a> {
    /// Takes one token, literal, comment or space; `next` is the first character of the rest.
    fn step(&mut self, next: char) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(end);
        } else if self.rest.starts_with("/*") {
            self.comment(block_comment(self.rest));
        } else if let Some((skipped, content, length)) = string(self.rest) {
            let content = self.rest[skipped..skipped + content].to_owned();
            self.source.strings.push((self.line, join_continued(&content)));
            self.take(length);
        } else if next == '\'' {
            self.take(character(self.rest));
        } else if is_word(self.rest) {
            let end = self.rest.find(|it: char| !it.is_alphanumeric() && it != '_');
            self.token(end.unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("::") {
            self.token(2);
        } else if next.is_whitespace() {
            self.take(next.len_utf8());
        } else {
            self.token(next.len_utf8());
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn token(&mut self, length: usize) {
        let line = self.line;
        let token = self.take(length).to_owned();
        self.source.tokens.push((line, token));
    }

    fn comment(&mut self, length: usize) {
        let line = self.line;
        let comment = self.take(length).to_owned();
        self.source.comments.push((line, comment));
    }
}

/// The length of the block comment with which the text begins; such comments can be nested.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// If the text begins with a string literal: the position and length of its content, and the length of the whole.
fn string(text: &str) -> Option<(usize, usize, usize)> {
    let unprefixed = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let raw = unprefixed.strip_prefix('r');
    let quoted = raw.map_or(unprefixed, |raw| raw.trim_start_matches('#'));
    let content = quoted.strip_prefix('"')?;
    let start = text.len() - content.len();
    let Some(raw) = raw else {
        let mut escaped = false;
        let end = content.find(|it: char| {
            let ends = it == '"' && !escaped;
            escaped = it == '\\' && !escaped;
            ends
        })?;
        return Some((start, end, start + end + 1));
    };
    let closing = format!("\"{}", "#".repeat(raw.len() - quoted.len()));
    let end = content.find(&closing)?;
    Some((start, end, start + end + closing.len()))
}

/// The length of the character literal with which the text begins; 1 if it is the quote of a lifetime.
fn character(text: &str) -> usize {
    let content = &text[1..];
    let length = match content.chars().next() {
        Some('\\') => content[2..].find('\'').map_or(0, |end| end + 2),
        Some(first) => first.len_utf8(),
        None => 0,
    };
    if length > 0 && content[length..].starts_with('\'') { length + 2 } else { 1 }
}

/// Joins the lines that a backslash continues.
fn join_continued(content: &str) -> String {
    let mut parts = content.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |joined, part| joined + part.trim_start())
}

const SAMPLE: &str = r##"//! Opens.
use std::{env, fs::{self, File}, io as input};
/* one /* nested */ comment */
fn short<'a>(text: &'a str) -> char { crate::a::b::<u8>('"', '\'', "a \"quoted\" if \
    continued", r#"raw " one"#) }
type Call = fn(u8) -> u8;

pub const fn long(
    array: [u8; 2],
) {
    inner();
}
#[cfg(test)]
mod tests {
    use super::*;
    fn hidden() { "in a test"; }
}
#[cfg(test)]
use std::net::{TcpStream};
struct After;
"##;

#[test]
fn comments_strings_and_characters_are_not_tokens() {
    let source = Source::read(SAMPLE);
    let strings: Vec<&str> = source.strings.iter().map(|(_, content)| content.as_str()).collect();
    assert_eq!(strings, [r#"a \"quoted\" if continued"#, "raw \" one", "in a test"]);
    assert_eq!(source.comments.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
    assert!(
        !source.tokens.iter().any(|(_, token)| ["nested", "raw", "if", "\"", "\\"].contains(&token.as_str()))
    );
}

#[test]
fn groups_of_a_use_are_expanded() {
    let source = Source::read(SAMPLE).without_tests();
    let paths: Vec<String> = source.paths("std").iter().map(|(_, path)| path.join("::")).collect();
    assert_eq!(paths, ["std::env", "std::fs::self", "std::fs::File", "std::io"]);
    assert_eq!(source.paths("crate"), [(4, vec!["crate", "a", "b"])]);
}

#[test]
fn items_of_tests_are_left_out() {
    let source = Source::read(SAMPLE).without_tests();
    assert_eq!(source.strings.len(), 2);
    assert_eq!(source.tokens.last().unwrap(), &(20, ";".into()));
    assert!(!source.tokens.iter().any(|(_, token)| token == "hidden" || token == "TcpStream"));
}

#[test]
fn a_function_is_measured_from_its_signature_to_its_brace() {
    let functions = Source::read(SAMPLE).functions();
    let measured: Vec<(&str, usize, usize)> =
        functions.iter().map(|it| (it.name.as_str(), it.line, it.lines)).collect();
    assert_eq!(measured, [("short", 4, 2), ("long", 8, 5), ("hidden", 16, 1)]);
}
