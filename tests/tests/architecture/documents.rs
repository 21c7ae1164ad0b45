//! Documents lead somewhere: links, anchors, paths, and the sections of the contract that are cited.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{File, assert_found, assert_none, exists, file, files, with_extension};

const CONTRACT: &str = "docs/contract.md";
/// A path in a document begins with one of these.
const FOLDERS: [&str; 7] = [".github", "docs", "events", "functions", "infra", "shared", "tests"];
/// Or with the name of a crate in `shared/`: `app/checkpoint` is short for `shared/app/src/checkpoint`.
const SHARED: [&str; 8] = ["app", "aws", "domain", "embedded", "event_source", "http", "lambda", "simulator"];
/// The example of CONTRIBUTING, what npm installs, and what the contract plans.
const ABSENT: [&str; 5] = [
    "functions/hello",
    "shared/app/src/hello/",
    "infra/lib/functions/hello.ts",
    "infra/node_modules",
    "events/capacity/",
];

/// Sections that are cited (`CONTRACT §3`) without a heading (`## 3. …`) in the contract.
fn unknown_sections(files: &[File]) -> Vec<String> {
    let headings = file(files, CONTRACT).text.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: BTreeSet<&str> = headings.filter_map(|heading| Some(heading.split_once(". ")?.0)).collect();
    let mut findings = Vec::new();
    for file in files {
        for (text, line) in file.text.lines().zip(1..) {
            for cited in cited_sections(text).filter(|cited| !sections.contains(cited)) {
                findings
                    .push(format!("{}:{line}: {CONTRACT} has no section {cited}: cite another", file.path));
            }
        }
    }
    findings
}

/// The sections that a line cites: 3, 6 and 8 in `CONTRACT §3, §6 and §8`.
fn cited_sections(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("CONTRACT §").flat_map(|(at, name)| {
        let list = &text[at + name.len()..];
        let sections = list.split('§').scan(true, |continues, part| {
            let number = part.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(part.len());
            let section = part[..number].trim_end_matches('.');
            let is_cited = *continues && !section.is_empty();
            *continues = [", ", " and ", ", and "].contains(&&part[number..]);
            is_cited.then_some(section)
        });
        sections.collect::<Vec<_>>()
    })
}

/// Relative links of Markdown files whose file or anchor does not exist.
fn broken_links(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        with_extension(files, "md").map(|file| (file.path.as_str(), anchors(&file.text))).collect();
    let mut findings = Vec::new();
    for file in with_extension(files, "md") {
        for (line, link) in links(&file.text) {
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if target.is_empty() { file.path.clone() } else { resolve(&file.path, target) };
            if !exists(&path) {
                findings
                    .push(format!("{}:{line}: the link {link} leads to {path}, which is missing", file.path));
            } else if !anchor.is_empty() && !anchors.get(&*path).is_some_and(|known| known.contains(anchor)) {
                findings.push(format!("{}:{line}: {path} has no heading for the link {link}", file.path));
            }
        }
    }
    findings
}

/// Paths between backticks, in Markdown files, that do not exist.
fn missing_paths(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for file in with_extension(files, "md") {
        for (text, line) in without_fences(&file.text).lines().zip(1..) {
            for span in text.split('`').skip(1).step_by(2) {
                let candidates = candidates(&file.path, span);
                let is_there = |path: &String| exists(path) || exists(&format!("{path}.rs"));
                if !candidates.is_empty() && !candidates.iter().any(is_there) {
                    findings.push(format!("{}:{line}: {span} does not exist", file.path));
                }
            }
        }
    }
    findings
}

/// The paths that a piece of code in the document `from` can mean; none if it is not a path, or a pattern.
fn candidates(from: &str, span: &str) -> Vec<String> {
    let is_pattern = |it: char| " *{<…".contains(it) || it.is_ascii_uppercase();
    let is_made_up = ABSENT.iter().any(|start| span.starts_with(start));
    if is_made_up || span.strip_suffix("README.md").unwrap_or(span).contains(is_pattern) {
        return vec![];
    }
    let span = span.trim_end_matches('/');
    let (first, rest) = span.split_once('/').unwrap_or((span, ""));
    if SHARED.contains(&first) && !rest.is_empty() {
        return vec![format!("shared/{first}/src/{rest}"), resolve(from, span)];
    }
    if FOLDERS.contains(&first) { vec![span.to_owned()] } else { vec![] }
}

/// The relative links of a Markdown text, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let prose = without_code(text);
    let targets = prose.match_indices("](").filter_map(|(at, open)| {
        let target = &prose[at + open.len()..];
        let target = &target[..target.find(')')?];
        let line = prose[..at].matches('\n').count() + 1;
        let is_relative = !target.contains("://") && !target.starts_with("mailto:");
        is_relative.then(|| (line, target.to_owned()))
    });
    targets.collect()
}

/// The same text without fenced blocks and without code within a line; its lines keep their numbers.
fn without_code(text: &str) -> String {
    let unfenced = without_fences(text);
    let lines = unfenced.lines().map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same text with blank lines instead of fenced blocks.
fn without_fences(text: &str) -> String {
    let mut is_fenced = false;
    let lines = text.lines().map(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        if is_fence || is_fenced { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The anchors that GitHub gives to the headings of a text.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in without_fences(text).lines() {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = [anchor.clone()].into_iter().chain(numbered).find(|it| !anchors.contains(it));
        anchors.extend(free);
    }
    anchors
}

/// The path of `target` as seen from the folder of `from`.
fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_cited_section_of_the_contract_exists() {
    assert_none(&unknown_sections(files()));
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    assert_none(&broken_links(files(), exists));
}

#[test]
fn every_path_in_a_document_exists() {
    assert_none(&missing_paths(files(), exists));
}

#[test]
fn an_unknown_section_is_found() {
    let sample = [
        File::new("a.rs", "//! (CONTRACT §1, §3), and §9.\n// CONTRACT §2. CONTRACT §n"),
        File::new(CONTRACT, "# The contract\n\n## 1. Events\n\n### 3. Not a section\n"),
    ];
    assert_found(&unknown_sections(&sample), &["a.rs:1: docs/contract.md has no section 3", "a.rs:2: "]);
}

#[test]
fn a_broken_link_is_found() {
    let text = "# One: `two`\n# One: two\n[a](#one-two-1) [b](../b.md#there) `[c](no)`\n```\n[d](no)\n```\n\
        [e](#three)\n[f](no.md) [g](https://example.com/no)\n[h](../b.md#here)\n";
    let sample = [File::new("docs/a.md", text), File::new("b.md", "## There\n")];
    let exists = |path: &str| sample.iter().any(|file| file.path == path);
    let expected =
        ["docs/a.md:7: docs/a.md has no", "docs/a.md:8: the link no.md", "docs/a.md:9: b.md has no"];
    assert_found(&broken_links(&sample, exists), &expected);
}

#[test]
fn a_missing_path_is_found() {
    let text = "`app/a` `shared/app/src/a.rs` `app` `a/b` `functions/*/src`\n`app/b` `docs/a/` `docs/b.md`\n";
    let sample = [File::new("docs/a.md", text), File::new("shared/app/src/a.rs", "")];
    let exists = |path: &str| path == "docs/a" || sample.iter().any(|file| file.path == path);
    let expected = ["docs/a.md:2: app/b does not exist", "docs/a.md:2: docs/b.md does not exist"];
    assert_found(&missing_paths(&sample, exists), &expected);
}
