//! Files and functions are short and say what they are for, and composition roots do not branch.

use super::repository::{File, assert_found, assert_none, files, with_extension};
use super::rust_source::{Source, is_test};

/// Lines of a file.
const MAX_FILE_LINES: usize = 600;
/// Lines of a function of the product, and of a test or benchmark.
const MAX_FUNCTION_LINES: usize = 60;
const MAX_TEST_FUNCTION_LINES: usize = 80;
/// The command line has no rules and no adapters of its own: lines of a file, and of all files together.
const MAX_LOCAL_FILE_LINES: usize = 300;
const MAX_LOCAL_LINES: usize = 3_400;
const LOCAL: &str = "functions/local/src/";

fn without_opening(file: &File) -> Option<String> {
    let opens = file.text.starts_with("//! ");
    (!opens)
        .then(|| format!("{}:1: open the file with one `//!` sentence that says what it is for", file.path))
}

fn long_functions(file: &File) -> Vec<String> {
    let source = Source::read(&file.text);
    let product =
        if is_test(&file.path) { vec![] } else { Source::read(&file.text).without_tests().functions() };
    let limit =
        |function| if product.contains(function) { MAX_FUNCTION_LINES } else { MAX_TEST_FUNCTION_LINES };
    let functions = source.functions();
    let long = functions.iter().filter(|function| function.lines > limit(function));
    let describe = long.map(|function| {
        let (line, name, lines) = (function.line, &function.name, function.lines);
        format!("{}:{line}: {name} has {lines} lines, at most {}: name its parts", file.path, limit(function))
    });
    describe.collect()
}

fn long_file(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    let limit = if file.path.starts_with(LOCAL) { MAX_LOCAL_FILE_LINES } else { MAX_FILE_LINES };
    let second = "look for its second subject";
    (lines > limit).then(|| format!("{}:{lines}: the file has more than {limit} lines: {second}", file.path))
}

fn large_command_line(files: &[File]) -> Option<String> {
    let rust = with_extension(files, "rs").filter(|file| file.path.starts_with(LOCAL));
    let lines: usize = rust.map(|file| file.text.lines().count()).sum();
    let elsewhere = "rules, adapters and the simulator have crates of their own";
    (lines >= MAX_LOCAL_LINES)
        .then(|| format!("{LOCAL}: {lines} lines, fewer than {MAX_LOCAL_LINES}: {elsewhere}"))
}

fn branches(file: &File) -> Vec<String> {
    let is_root = file.path.starts_with("functions/")
        && file.path.ends_with("/src/main.rs")
        && !file.path.starts_with(LOCAL);
    if !is_root {
        return vec![];
    }
    let source = Source::read(&file.text);
    let branching =
        source.tokens.iter().filter(|(_, token)| ["if", "match", "for"].contains(&token.as_str()));
    let describe = branching.map(|(line, token)| {
        format!("{}:{line}: `{token}` in a composition root: move the decision to a library", file.path)
    });
    describe.collect()
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    assert_none(&with_extension(files(), "rs").filter_map(without_opening).collect::<Vec<_>>());
}

#[test]
fn functions_are_short() {
    assert_none(&with_extension(files(), "rs").flat_map(long_functions).collect::<Vec<_>>());
}

#[test]
fn files_are_short() {
    assert_none(&with_extension(files(), "rs").filter_map(long_file).collect::<Vec<_>>());
}

#[test]
fn the_command_line_is_small() {
    assert_none(&large_command_line(files()).into_iter().collect::<Vec<_>>());
}

#[test]
fn a_composition_root_does_not_branch() {
    assert_none(&with_extension(files(), "rs").flat_map(branches).collect::<Vec<_>>());
}

#[test]
fn a_file_without_an_opening_is_found() {
    assert!(without_opening(&File::new("a.rs", "//! Opens.\nfn a() {}")).is_none());
    let found = without_opening(&File::new("a.rs", "use b;\n//! Late."));
    assert_found(&found.into_iter().collect::<Vec<_>>(), &["a.rs:1: "]);
}

#[test]
fn a_long_function_is_found() {
    let function = |lines: usize| format!("//! A.\nfn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2));
    assert_none(&long_functions(&File::new("shared/a/src/a.rs", function(60))));
    let found = long_functions(&File::new("shared/a/src/a.rs", function(61)));
    assert_found(&found, &["shared/a/src/a.rs:2: a has 61 lines, at most 60"]);
    assert_none(&long_functions(&File::new("tests/tests/a.rs", function(80))));
    assert_found(
        &long_functions(&File::new("tests/tests/a.rs", function(81))),
        &["tests/tests/a.rs:2: a has 81"],
    );
    let in_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(80));
    assert_none(&long_functions(&File::new("shared/a/src/a.rs", in_tests)));
}

#[test]
fn a_long_file_is_found() {
    let long =
        |path: &str, lines| long_file(&File::new(path, "\n".repeat(lines))).into_iter().collect::<Vec<_>>();
    assert_none(&long("shared/a/src/a.rs", 600));
    assert_found(&long("shared/a/src/a.rs", 601), &["shared/a/src/a.rs:601: "]);
    assert_none(&long("functions/local/src/a.rs", 300));
    assert_found(&long("functions/local/src/a.rs", 301), &["functions/local/src/a.rs:301: "]);
}

#[test]
fn a_large_command_line_is_found() {
    let half = |name: &str, lines| File::new(format!("{LOCAL}{name}.rs"), "\n".repeat(lines));
    assert!(large_command_line(&[half("a", 1_500), half("b", 1_899)]).is_none());
    assert!(large_command_line(&[half("a", 1_500), half("b", 1_900)]).is_some());
}

#[test]
fn a_branch_in_a_composition_root_is_found() {
    let main = "//! If it matches.\nfn main() {\n    for a in b { run(if_set(\"match\")) }\n    if c {}\n}\n";
    let path = "functions/count/src/main.rs";
    let expected = [format!("{path}:3: `for`"), format!("{path}:4: `if`")];
    assert_found(&branches(&File::new(path, main)), &expected);
    assert_none(&branches(&File::new("functions/local/src/main.rs", main)));
}
