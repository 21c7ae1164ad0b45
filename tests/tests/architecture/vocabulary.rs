//! Words that name nothing of this field do not come back.

use super::repository::{File, assert_found, assert_none, files, with_extension};
use super::rust_source::{OnLine, Source, is_test, is_word};

/// Names of types that [the glossary](../../../docs/glossary.md) replaces; in small letters, since this file is
/// searched, too.
const REPLACED_NAMES: [&str; 10] = [
    "desk",
    "letters",
    "notes",
    "policy_book",
    "city_book",
    "library",
    "patience",
    "weather",
    "fate",
    "tally",
];
/// A document that the repository does not hold; CONTRACT and ARCHITECTURE are cited instead. In small letters
/// for the same reason.
const FOREIGN_DOCUMENT: &str = "house";
/// Words with which a sentence has no subject that acts in the system, or is not the one that operators search.
const VAGUE_WORDS: [&str; 3] = ["nobody", "told", "is no "];

/// The name of a type, in camel case.
fn type_name(name: &str) -> String {
    let mut capital = true;
    let letters = name.chars().filter_map(|letter| {
        let next = if capital { letter.to_ascii_uppercase() } else { letter };
        capital = letter == '_';
        (!capital).then_some(next)
    });
    letters.collect()
}

fn replaced_names(file: &File) -> Vec<String> {
    let names = REPLACED_NAMES.map(type_name);
    let found = file.text.lines().zip(1..).flat_map(|(text, line)| {
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        words.filter(|word| names.iter().any(|name| name == word)).map(move |word| (line, word))
    });
    let describe = found.map(|(line, word)| {
        format!(
            "{}:{line}: `{word}` is not a term of this field; docs/glossary.md has the one in use",
            file.path
        )
    });
    describe.collect()
}

fn foreign_document(file: &File) -> Vec<String> {
    let name = FOREIGN_DOCUMENT.to_uppercase();
    let cites = file.text.lines().zip(1..).filter(|(text, _)| text.contains(&name));
    let advice = "is not in the repository; cite `CONTRACT §n` or ARCHITECTURE";
    cites.map(|(_, line)| format!("{}:{line}: {name} {advice}", file.path)).collect()
}

/// The vague words in pieces of text that a user reads.
fn vague_words(path: &str, texts: impl Iterator<Item = OnLine<String>>) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in texts {
        let text = text.to_lowercase();
        for word in VAGUE_WORDS.iter().filter(|&&word| contains_word(&text, word)) {
            let advice = "name what acts: the function, the store, the client";
            findings.push(format!("{path}:{line}: \"{}\": {advice}", word.trim_end()));
        }
    }
    findings
}

/// Whether `word` is in `text`, and not as a part of a longer one.
fn contains_word(text: &str, word: &str) -> bool {
    let is_end = |rest: &str| word.ends_with(' ') || !is_word(rest);
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|it| !it.is_alphanumeric()) && is_end(&text[at + word.len()..])
    })
}

/// Each line is read with the beginning of the next one, so that no break hides "is no".
fn vague_words_of_document(file: &File) -> Vec<String> {
    let following = file.text.lines().skip(1).chain([""]);
    let texts = file.text.lines().zip(following).map(|(text, next)| {
        let next: String = next.chars().take("no ".len()).collect();
        format!("{text} {next}")
    });
    vague_words(&file.path, (1..).zip(texts))
}

/// String literals are logs, errors and answers; doc comments of the arguments are `--help`.
fn vague_words_of_source(file: &File) -> Vec<String> {
    let source = Source::read(&file.text).without_tests();
    let help = source
        .comments
        .iter()
        .filter(|(_, text)| file.path == "functions/local/src/main.rs" && text.starts_with("///"));
    let texts = source.strings.iter().chain(help).cloned();
    vague_words(&file.path, texts)
}

fn is_product(file: &File) -> bool {
    let path = &file.path;
    (path.starts_with("shared/") || path.starts_with("functions/"))
        && path.contains("/src/")
        && !is_test(path)
}

#[test]
fn replaced_names_do_not_come_back() {
    assert_none(&with_extension(files(), "rs").flat_map(replaced_names).collect::<Vec<_>>());
}

#[test]
fn only_documents_of_the_repository_are_cited() {
    assert_none(&files().iter().flat_map(foreign_document).collect::<Vec<_>>());
}

#[test]
fn documents_say_what_acts() {
    assert_none(&with_extension(files(), "md").flat_map(vague_words_of_document).collect::<Vec<_>>());
}

#[test]
fn messages_and_help_say_what_acts() {
    let product = with_extension(files(), "rs").filter(|file| is_product(file));
    assert_none(&product.flat_map(vague_words_of_source).collect::<Vec<_>>());
}

#[test]
fn a_replaced_name_is_found_in_code_and_in_comments() {
    let name = type_name("policy_book");
    assert_eq!(name, ["Policy", "Book"].concat());
    let sample = format!("//! A.\nstruct {name};\n// The {name}.\nstruct My{name}s; // policy_book\n");
    assert_found(&replaced_names(&File::new("a.rs", sample)), &["a.rs:2: ", "a.rs:3: "]);
}

#[test]
fn a_foreign_document_is_found() {
    let sample = format!("one\n({}, \"part\")\nhouse\n", FOREIGN_DOCUMENT.to_uppercase());
    assert_found(&foreign_document(&File::new("a.toml", sample)), &["a.toml:2: "]);
}

#[test]
fn a_vague_word_is_found_in_a_document() {
    let sample = "A told-you-so.\nUntold, it is\nno city.\nThis no longer holds. Nobody.\nIt is not one, it is nothing.\n";
    let expected = ["a.md:1: \"told\"", "a.md:2: \"is no\"", "a.md:4: \"nobody\""];
    assert_found(&vague_words_of_document(&File::new("a.md", sample)), &expected);
}

#[test]
fn a_vague_word_is_found_in_a_message_and_in_help() {
    let sample = "//! Nobody.\n/// Asks nobody.\nfn a() { log(\"there is no \\\n    city\") }\n#[cfg(test)]\nmod tests { fn b() { \"told\" } }\n";
    assert_found(
        &vague_words_of_source(&File::new("shared/a/src/a.rs", sample)),
        &["shared/a/src/a.rs:3: \"is no\""],
    );
    let expected = ["functions/local/src/main.rs:3: \"is no\"", "functions/local/src/main.rs:2: \"nobody\""];
    assert_found(&vague_words_of_source(&File::new("functions/local/src/main.rs", sample)), &expected);
}
