//! `equilibrium compare` as a command: what two policies report otherwise.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder for one test, in which the program runs.
struct Shell(TempDir);

impl Shell {
    /// A folder with two minutes of Manhattan.
    fn new() -> Self {
        let shell = Self(tempfile::tempdir().unwrap());
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/replay-sample.ndjson");
        fs::copy(sample, shell.path("events")).unwrap();
        shell
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a city file of New York with these members beside the required ones.
    fn policy(&self, name: &str, members: &Value) {
        let mut policy = json!({
            "city": "nyc", "currency": "USD", "products": [{"id": "standard"}],
            "boundary": {"type": "Polygon", "coordinates": [[[-75, 40], [-73, 40], [-73, 42], [-75, 42], [-75, 40]]]},
        });
        policy.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        fs::write(self.path(name), policy.to_string()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
        command.args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// Compares `a` and `b`; returns the differences, stdout, and the last line of stderr.
    fn compare(&self) -> (Vec<Value>, String, String) {
        let output = self.run(&["compare", "events", "--policy", "a", "--policy", "b", "--out", "diff"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let diff = fs::read_to_string(self.path("diff")).unwrap();
        let lines = diff.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, String::from_utf8(output.stdout).unwrap(), stderr.lines().last().unwrap().to_owned())
    }

    /// The multipliers that `equilibrium replay` reports under a policy, by tick and cell.
    fn replay(&self, policy: &str) -> BTreeMap<(String, String), f64> {
        let output = self.run(&["replay", "events", "--city", policy, "--out", "ticks"]);
        assert_eq!(output.status.code(), Some(0));
        let ticks = fs::read_to_string(self.path("ticks")).unwrap();
        let rows = ticks.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |member: &str| row[member].as_str().unwrap().to_owned();
            ((text("at"), text("cell")), row["multiplier"].as_f64().unwrap())
        });
        rows.collect()
    }
}

#[test]
fn the_differences_are_those_of_two_replays() {
    let shell = Shell::new();
    for (members, unreported) in [
        (json!({"limits": {"max_multiplier": 1.3}}), 1.0),
        (json!({"limits": {"min_multiplier": 1.2}}), 1.2),
        (json!({"surge": {"curve": "linear", "slope": 2}}), 1.0),
        (json!({"surge": {"ring_weights": [1]}, "clock": {"window_ms": 30_000}}), 1.0),
        (json!({"clock": {"lateness_ms": 60_000}, "limits": {"max_multiplier": 1.1}}), 1.0),
    ] {
        shell.policy("a", &json!({}));
        shell.policy("b", &members);
        let (a, b) = (shell.replay("a"), shell.replay("b"));
        let mut expected = Vec::new();
        let places: BTreeSet<_> = a.keys().chain(b.keys()).cloned().collect();
        for (at, cell) in &places {
            let place = (at.clone(), cell.clone());
            let (one, other) =
                (a.get(&place).copied().unwrap_or(1.0), b.get(&place).copied().unwrap_or(unreported));
            // Both are the nearest floats to decimal numbers.
            if (one - other).abs() > 0.001 {
                expected.push(json!({"city": "nyc", "at": at, "product": "standard", "cell": cell, "a": one, "b": other}));
            }
        }
        let (found, stdout, line) = shell.compare();
        assert!(!expected.is_empty(), "{members}");
        assert_eq!(found, expected, "{members}");
        assert!(line.contains(&format!("rows={}/{}", expected.len(), places.len())), "{line}");
        assert!(stdout.contains(
            "Riders and drivers that would have reacted to other prices are not in these figures."
        ));
    }
}

#[test]
fn the_figures_are_those_of_the_differences() {
    let shell = Shell::new();
    shell.policy("a", &json!({}));
    shell.policy("b", &json!({"limits": {"max_multiplier": 1.2}}));
    let (found, stdout, line) = shell.compare();
    let a = shell.replay("a");
    let value = |row: &Value, side: &str| row[side].as_f64().unwrap();
    let greatest = found.iter().map(|row| value(row, "a") - value(row, "b")).fold(0.0, f64::max);
    let sum: f64 = found.iter().map(|row| value(row, "b") - value(row, "a")).sum();
    let mean = sum / f64::from(u32::try_from(a.len()).unwrap());
    assert!(line.ends_with(&format!("mean={mean:+.4} greatest={greatest:.2}")), "{line}");
    assert!(line.starts_with("events=41 refused=0,0 "), "{line}");
    let surging = a.values().filter(|multiplier| **multiplier > 1.0).count();
    let hours = |rows: usize| format!("{:.2} h", f64::from(u32::try_from(rows * 5).unwrap()) / 3_600.0);
    let row = |name: &str| stdout.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let surging = hours(surging);
    assert_eq!(
        row("time surging").split_whitespace().collect::<Vec<_>>().join(" "),
        format!("time surging {surging} {surging}")
    );
    assert!(row("time at a limit").ends_with(&hours(found.len())), "{stdout}");
}

#[test]
fn of_different_ticks_those_of_both_sides_are_compared() {
    let shell = Shell::new();
    shell.policy("a", &json!({}));
    shell.policy("b", &json!({"clock": {"tick_ms": 10_000}, "limits": {"max_multiplier": 1.1}}));
    let (found, _, _) = shell.compare();
    assert!(!found.is_empty());
    assert!(found.iter().all(|row| row["at"].as_str().unwrap().ends_with("0.000Z")), "{found:?}");
}

#[test]
fn one_policy_differs_nowhere_from_itself() {
    let shell = Shell::new();
    shell.policy("a", &json!({}));
    shell.policy("b", &json!({}));
    let (found, _, line) = shell.compare();
    assert_eq!(found, [Value::Null; 0]);
    assert!(line.contains(" rows=0/") && line.ends_with("mean=+0.0000 greatest=0.00"), "{line}");
}

#[test]
fn a_city_of_one_side_is_not_compared_and_its_lines_are_refused_on_the_other() {
    let shell = Shell::new();
    shell.policy("a", &json!({}));
    shell.policy("b", &json!({"city": "suva"}));
    let (found, _, line) = shell.compare();
    assert_eq!(found, [Value::Null; 0]);
    assert!(line.starts_with("events=41 refused=0,41 rows=0/0"), "{line}");
}

#[test]
fn unusable_arguments_end_with_status_2() {
    let shell = Shell::new();
    shell.policy("a", &json!({}));
    fs::write(shell.path("wrong"), "{}").unwrap();
    for arguments in [
        &["events", "--policy", "a"][..],
        &["events"],
        &["events", "--policy", "a", "--policy", "a", "--policy", "a"],
        &["events", "--policy", "a", "--policy", "wrong"],
        &["events", "--policy", "a", "--policy", "missing"],
        &["missing", "--policy", "a", "--policy", "a"],
        &["events", "--policy", "a", "--policy", "a", "--out", "a"],
        &["events", "--policy", "a", "--policy", "a", "--out", "events"],
        &["events", "--policy", "a", "--policy", "a", "--out", "no/folder"],
    ] {
        let output = shell.run(&[&["compare"], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(fs::read_to_string(shell.path("events")).unwrap().len() > 1_000, "inputs are not overwritten");
}
