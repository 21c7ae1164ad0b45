//! Every sample payload in `events/` is described, and sent by a test.

use super::repository::{File, assert_found, assert_none, file, files, with_extension};
use super::rust_source::Source;

const TABLE: &str = "events/README.md";

/// The payloads of Lambda: the files in the folders of `events/`, with their trigger and name.
fn payloads(files: &[File]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().filter_map(|file| file.path.strip_prefix("events/")?.split_once('/'))
}

/// Payloads without a row in the table.
fn undescribed_payloads(files: &[File]) -> Vec<String> {
    let rows: Vec<&str> = file(files, TABLE).text.lines().filter(|line| line.starts_with('|')).collect();
    let mut findings = Vec::new();
    for (trigger, name) in payloads(files) {
        let path = format!("{trigger}/{name}");
        if !rows.iter().any(|row| row.contains(&format!("`{path}`"))) {
            findings.push(format!("events/{path}: add a row with `{path}` to {TABLE}"));
        }
    }
    findings
}

/// Payloads that no test sends. The tests of a crate read a folder, as `"../../events/http"`, and name the file
/// without its extension in a string of its own.
fn unsent_payloads(files: &[File]) -> Vec<String> {
    let tests: Vec<(&str, &File)> = with_extension(files, "rs").filter_map(of_a_crate).collect();
    let reads = |trigger: &str| {
        let folder = format!("../events/{trigger}");
        let readers = tests.iter().filter(move |(_, test)| test.text.contains(&folder));
        readers.map(|(folder, _)| *folder).collect::<Vec<_>>()
    };
    let mut findings = Vec::new();
    for (trigger, name) in payloads(files) {
        let crates = reads(trigger);
        let stem = name.split('.').next().unwrap_or(name);
        let mut own = tests.iter().filter(|(folder, _)| crates.contains(folder));
        if !own.any(|(_, test)| names(test, stem)) {
            findings.push(format!("events/{trigger}/{name}: no test sends it: add it to functions/*/tests"));
        }
    }
    findings
}

/// The file with the folder of the crate whose integration test it is.
fn of_a_crate(file: &File) -> Option<(&str, &File)> {
    Some((file.path.split_once("/tests/")?.0, file))
}

/// Whether a string of the file is the name.
fn names(file: &File, name: &str) -> bool {
    Source::read(&file.text).strings.iter().any(|(_, text)| text == name)
}

#[test]
fn every_payload_has_a_row() {
    assert_none(&undescribed_payloads(files()));
}

#[test]
fn every_payload_is_sent_by_a_test() {
    assert_none(&unsent_payloads(files()));
}

/// Two payloads of one trigger, with this table and this test.
fn sample(table: &str, test: &str) -> [File; 5] {
    [
        File::new(TABLE, table),
        File::new("events/replay.ndjson", ""),
        File::new("events/http/get-a.json", ""),
        File::new("events/http/get-a-bad.json", ""),
        File::new("functions/a/tests/samples.rs", test),
    ]
}

#[test]
fn a_payload_without_a_row_is_found() {
    assert_none(&undescribed_payloads(&sample("| `http/get-a.json`, `http/get-a-bad.json` | a |", "")));
    let found = undescribed_payloads(&sample("`http/get-a.json`\n| `http/get-a-bad.json` |", ""));
    assert_found(&found, &["events/http/get-a.json: add a row"]);
}

#[test]
fn a_payload_that_no_test_sends_is_found() {
    let folder = "path(\"../../events/http\");";
    let test = format!("{folder} send(\"get-a\"); send(\"get-a-bad\");");
    assert_none(&unsent_payloads(&sample("", &test)));
    let found = unsent_payloads(&sample("", &format!("{folder} send(\"get-a\"); // get-a-bad")));
    assert_found(&found, &["events/http/get-a-bad.json: no test sends it"]);
    let other = test.replace("http", "kinesis");
    let expected = ["events/http/get-a.json: no test", "events/http/get-a-bad.json: no test"];
    assert_found(&unsent_payloads(&sample("", &other)), &expected);
}
