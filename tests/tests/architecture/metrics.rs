//! Every metric is in one catalogue, and every metric of a fault in the runbook.

use super::repository::{File, assert_found, assert_none, file, files, with_extension};
use super::rust_source::{Source, is_test};

const CATALOGUE: &str = "shared/app/src/telemetry/metrics.rs";
const RUNBOOK: &str = "infra/runbook.md";
const METRICS: &str = "METRICS";

/// A constant of the catalogue: one metric, or an array of them.
#[derive(Debug, Default)]
struct Constant {
    line: usize,
    identifier: String,
    names: Vec<String>,
    /// Identifiers in its value.
    values: Vec<String>,
}

impl Constant {
    fn is_fault(&self) -> bool {
        self.values.iter().any(|value| value == "fault")
    }

    /// The list of all metrics that are not listed by an array of their own.
    fn is_list(&self) -> bool {
        self.identifier == METRICS
    }
}

/// The public constants of the type `Metric` or `[Metric; N]`.
fn constants(source: &Source) -> Vec<Constant> {
    let word = |at: usize| source.tokens.get(at).map_or("", |(_, token)| token.as_str());
    let mut constants = Vec::new();
    for at in 0..source.tokens.len() {
        let declared = if word(at + 4) == "[" { word(at + 5) } else { word(at + 4) };
        if [word(at), word(at + 1), word(at + 3)] != ["pub", "const", ":"] || declared != "Metric" {
            continue;
        }
        let equals = (at..).find(|&at| word(at) == "=" || word(at).is_empty()).unwrap_or(at);
        let end = (equals..).find(|&at| word(at) == ";" || word(at).is_empty()).unwrap_or(equals);
        let lines = source.tokens[at].0..=source.tokens[end.min(source.tokens.len() - 1)].0;
        let names = source.strings.iter().filter(|(line, name)| lines.contains(line) && is_metric_name(name));
        constants.push(Constant {
            line: source.tokens[at].0,
            identifier: word(at + 2).into(),
            names: names.map(|(_, name)| name.clone()).collect(),
            values: (equals..end).map(|at| word(at).to_owned()).collect(),
        });
    }
    constants
}

/// Units are capitalised; names are not.
fn is_metric_name(text: &str) -> bool {
    text.contains('_') && text.chars().all(|it| it.is_ascii_lowercase() || it == '_')
}

/// Metrics that the list lacks or holds twice.
fn unlisted(catalogue: &File) -> Vec<String> {
    let constants = constants(&Source::read(&catalogue.text));
    let Some(list) = constants.iter().find(|constant| constant.is_list()) else {
        return vec![format!("{}:1: the list {METRICS} is missing", catalogue.path)];
    };
    let mut findings = Vec::new();
    for Constant { line, identifier, names, .. } in
        constants.iter().filter(|it| !it.is_list() && it.names.len() == 1)
    {
        let times = list.values.iter().filter(|value| *value == identifier).count();
        if times != 1 {
            let message = format!("{} is {times} times in {METRICS}: list it once", names[0]);
            findings.push(format!("{}:{line}: {message}", catalogue.path));
        }
    }
    let names: Vec<&String> = constants.iter().flat_map(|constant| &constant.names).collect();
    let twice = names.iter().enumerate().filter(|(at, name)| names[..*at].contains(name));
    findings.extend(twice.map(|(_, name)| format!("{}: two metrics are named {name}", catalogue.path)));
    findings
}

/// Metrics of faults without a heading in the runbook, and headings of metrics that are gone.
fn unexplained(catalogue: &File, runbook: &File) -> Vec<String> {
    let constants = constants(&Source::read(&catalogue.text));
    let headings: Vec<(usize, &str)> = (1..)
        .zip(runbook.text.lines())
        .filter_map(|(line, text)| Some((line, text.strip_prefix("### ")?)))
        .collect();
    let mut findings = Vec::new();
    for Constant { line, names, .. } in constants.iter().filter(|constant| constant.is_fault()) {
        for name in names.iter().filter(|name| !headings.iter().any(|(_, heading)| heading == name)) {
            let advice = format!("add `### {name}` to {}", runbook.path);
            findings
                .push(format!("{}:{line}: the runbook does not explain {name}: {advice}", catalogue.path));
        }
    }
    let is_known = |name: &str| constants.iter().flat_map(|constant| &constant.names).any(|it| it == name);
    let gone = headings.iter().filter(|(_, heading)| is_metric_name(heading) && !is_known(heading));
    findings
        .extend(gone.map(|(line, heading)| format!("{}:{line}: {heading} is not a metric", runbook.path)));
    findings
}

/// Names of metrics that the product spells outside of the catalogue.
fn spelled_elsewhere(catalogue: &File, product: &File) -> Vec<String> {
    if product.path == catalogue.path {
        return vec![];
    }
    let constants = constants(&Source::read(&catalogue.text));
    let is_name = |text: &String| constants.iter().any(|constant| constant.names.contains(text));
    let source = Source::read(&product.text).without_tests();
    let spelled = source.strings.iter().filter(|(_, text)| is_name(text));
    let advice = format!("use the constant of {CATALOGUE}");
    spelled.map(|(line, name)| format!("{}:{line}: \"{name}\" is a metric: {advice}", product.path)).collect()
}

#[test]
fn every_metric_is_listed_once() {
    assert_none(&unlisted(file(files(), CATALOGUE)));
}

#[test]
fn the_runbook_explains_every_metric_of_a_fault() {
    assert_none(&unexplained(file(files(), CATALOGUE), file(files(), RUNBOOK)));
}

#[test]
fn metrics_are_named_in_the_catalogue_alone() {
    let is_product = |file: &&File| !is_test(&file.path) && file.path.contains("/src/");
    let product = with_extension(files(), "rs").filter(is_product);
    assert_none(
        &product.flat_map(|file| spelled_elsewhere(self::file(files(), CATALOGUE), file)).collect::<Vec<_>>(),
    );
}

const SAMPLE: &str = r#"
pub const TAKEN: Metric = flow("events_taken");
pub const LOST: Metric = fault("events_lost");
pub const BY_CODE: [Metric; CODES.len()] = [
    fault("lost_by_error"),
    fault("lost_by_time"),
];
pub const AGE: Metric = Metric { name: "age_ms", unit: "Milliseconds", reports_zero: true };
pub const METRICS: [Metric; 3] = [TAKEN, LOST, LOST];
"#;

#[test]
fn a_metric_that_is_not_listed_once_is_found() {
    let found = unlisted(&File::new("a.rs", SAMPLE));
    assert_found(&found, &["a.rs:3: events_lost is 2 times", "a.rs:8: age_ms is 0 times"]);
    let twice = SAMPLE.replace("LOST, LOST", "LOST, AGE").replace("events_lost", "events_taken");
    assert_found(&unlisted(&File::new("a.rs", twice)), &["a.rs: two metrics are named events_taken"]);
    assert_found(&unlisted(&File::new("a.rs", "")), &["a.rs:1: the list METRICS is missing"]);
}

#[test]
fn a_fault_that_the_runbook_does_not_explain_is_found() {
    let runbook = File::new("b.md", "## Faults\n\n### events_lost\n\n### lost_by_time\n\n### lost_by_hand\n");
    let expected =
        ["a.rs:4: the runbook does not explain lost_by_error", "b.md:7: lost_by_hand is not a metric"];
    assert_found(&unexplained(&File::new("a.rs", SAMPLE), &runbook), &expected);
}

#[test]
fn a_metric_that_is_spelled_elsewhere_is_found() {
    let product = "//! A.\nfn a() { put(\"events_lost\"); put(\"events lost\"); }\n#[cfg(test)]\nmod tests { fn b() { \"age_ms\" } }\n";
    let found = spelled_elsewhere(&File::new(CATALOGUE, SAMPLE), &File::new("shared/a/src/a.rs", product));
    assert_found(&found, &["shared/a/src/a.rs:2: \"events_lost\" is a metric"]);
}
