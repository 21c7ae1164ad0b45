//! The sources keep to the walls, also where the features of a manifest would allow more.

use super::repository::{File, assert_found, assert_none, files, with_extension};
use super::rust_source::{OnLine, Source, is_test};
use super::walls::{Wall, wall};

/// Crates that take time, environment and files as values.
const PURE: [&str; 4] = ["shared/domain/", "shared/http/", "shared/lambda/", "shared/simulator/"];
const CLOCKS: [&str; 2] = ["SystemTime", "Instant"];
const OUTSIDE_OF_STD: [&str; 5] = ["env", "fs", "net", "process", "thread"];
const ORACLE: [&str; 2] = ["tests/src/oracle.rs", "tests/src/oracle/"];
/// `city/` emits events and sees no price; `lab/` is where prices meet riders.
const CITY: [&str; 2] = ["shared/simulator/src/city.rs", "shared/simulator/src/city/"];

/// The crate's folder of a source file.
fn folder(path: &str) -> Option<&str> {
    path.split_once("/src/").map(|(folder, _)| folder)
}

/// Crates that the file uses and its wall does not allow.
fn broken_walls(file: &File) -> Vec<String> {
    let Some((folder, wall)) = folder(&file.path).and_then(|folder| Some((folder, wall(folder)?))) else {
        return vec![];
    };
    let source = Source::read(&file.text).without_tests();
    let is_root = file.path.ends_with("/src/main.rs");
    let is_local = folder == "functions/local";
    let crates = source.tokens.windows(3).filter(|next| next[0].1 != "::" && next[2].1 == "::");
    let crates = crates.map(|next| (next[1].0, next[1].1.as_str()));
    let broken = crates.filter(|(_, name)| !may_use(wall, folder, name, is_root || is_local));
    let describe = broken.map(|(line, name)| {
        format!("{}:{line}: {folder} may not use {name} here (ARCHITECTURE, \"Crates and walls\")", file.path)
    });
    describe.collect()
}

fn may_use(wall: &Wall, folder: &str, name: &str, wires_clients: bool) -> bool {
    let Some(ours) = name.strip_prefix("equilibrium_") else {
        return wall.allows_foreign(name);
    };
    // The library of a function is a crate of its own to the function's `main.rs`.
    folder.ends_with(&format!("/{ours}"))
        || wall.allows(ours, wires_clients || !folder.starts_with("functions/"))
}

/// Readings of clock, environment, files or network.
fn impure(file: &File) -> Vec<String> {
    if !PURE.iter().any(|folder| file.path.starts_with(folder)) {
        return vec![];
    }
    let source = Source::read(&file.text);
    let clocks = source.tokens.iter().filter(|(_, token)| CLOCKS.contains(&token.as_str()));
    let clocks = clocks.map(|(line, token)| (*line, token.clone()));
    let outside = source.paths("std").into_iter().filter(|(_, path)| OUTSIDE_OF_STD.contains(&path[1]));
    let found: Vec<OnLine<String>> =
        clocks.chain(outside.map(|(line, path)| (line, path.join("::")))).collect();
    let describe = found.iter().map(|(line, name)| {
        format!("{}:{line}: {name} in a pure crate: take the value as an argument", file.path)
    });
    describe.collect()
}

/// What the simulated city uses of prices.
fn prices_in_the_city(file: &File) -> Vec<String> {
    if !CITY.iter().any(|start| file.path.starts_with(start)) {
        return vec![];
    }
    let source = Source::read(&file.text);
    let lab = source.paths("crate").into_iter().filter(|(_, path)| path[1] == "lab");
    let surge = source.paths("equilibrium_domain").into_iter().filter(|(_, path)| path[1] == "surge");
    let describe = lab.chain(surge).map(|(line, path)| {
        format!("{}:{line}: the city sees no price: {} belongs to lab/", file.path, path.join("::"))
    });
    describe.collect()
}

/// What the oracle shares with the product or with the rest of the tests.
fn shared_by_the_oracle(file: &File) -> Vec<String> {
    if !ORACLE.iter().any(|start| file.path.starts_with(start)) {
        return vec![];
    }
    let source = Source::read(&file.text);
    let ours = source.tokens.iter().filter(|(_, token)| token.starts_with("equilibrium_"));
    let ours = ours.map(|(line, token)| (*line, token.clone()));
    let others = source.paths("crate").into_iter().filter(|(_, path)| path[1] != "oracle");
    let found = ours.chain(others.map(|(line, path)| (line, path.join("::"))));
    let advice = "the oracle reads the contract on its own";
    found.map(|(line, name)| format!("{}:{line}: {name}: {advice}", file.path)).collect()
}

/// What the deployment takes from Rust source instead of from built programs and `deployment.json`.
fn rust_in_infra(file: &File) -> Vec<String> {
    let is_infra = file.path.starts_with("infra/") && ["ts", "sh"].iter().any(|it| file.has_extension(it));
    let lines = file
        .text
        .lines()
        .zip(1..)
        .filter(|(text, _)| is_infra && (text.contains(".rs\"") || text.contains("/src/")));
    let advice = "the deployment knows built programs and infra/deployment.json alone";
    lines.map(|(_, line)| format!("{}:{line}: {advice}", file.path)).collect()
}

/// The files of libraries and programs.
fn product() -> impl Iterator<Item = &'static File> {
    with_extension(files(), "rs").filter(|file| !is_test(&file.path) && folder(&file.path).is_some())
}

#[test]
fn each_source_uses_what_its_wall_allows() {
    assert_none(&product().flat_map(broken_walls).collect::<Vec<_>>());
}

#[test]
fn pure_crates_read_no_clock_environment_file_or_network() {
    assert_none(&with_extension(files(), "rs").flat_map(impure).collect::<Vec<_>>());
}

#[test]
fn the_simulated_city_sees_no_price() {
    assert_none(&with_extension(files(), "rs").flat_map(prices_in_the_city).collect::<Vec<_>>());
}

#[test]
fn the_oracle_shares_nothing_with_the_product() {
    assert_none(&with_extension(files(), "rs").flat_map(shared_by_the_oracle).collect::<Vec<_>>());
}

#[test]
fn the_deployment_reads_no_rust_source() {
    assert_none(&files().iter().flat_map(rust_in_infra).collect::<Vec<_>>());
}

#[test]
fn a_use_through_a_wall_is_found() {
    for (path, text) in [
        ("shared/domain/src/a.rs", "async fn a() { tokio::time::sleep(b).await }"),
        ("shared/domain/src/a.rs", "use equilibrium_app::clock;"),
        ("shared/http/src/a.rs", "use equilibrium_domain::id;"),
        ("shared/lambda/src/a.rs", "use equilibrium_app::clock;"),
        ("shared/app/src/a.rs", "use tokio::sync::Mutex;"),
        ("shared/app/src/a.rs", "use equilibrium_lambda::kinesis;"),
        ("shared/event_source/src/a.rs", "use aws_sdk_kinesis::Client;"),
        ("shared/embedded/src/a.rs", "use equilibrium_aws::kinesis;"),
        ("shared/aws/src/a.rs", "use equilibrium_embedded::store;"),
        ("shared/simulator/src/a.rs", "use equilibrium_event_source::shard;"),
        ("functions/price/src/a.rs", "use equilibrium_aws::cache;"),
        ("functions/price/src/a.rs", "use lambda_runtime::run;"),
        ("functions/price/src/a.rs", "use equilibrium_ingest::respond;"),
        ("functions/price/src/main.rs", "use equilibrium_ingest::respond;"),
    ] {
        let found = broken_walls(&File::new(path, format!("//! A.\n{text}\n")));
        assert_found(&found, &[format!("{path}:2: ")]);
    }
    let wired = "use equilibrium_aws::cache;\nuse equilibrium_price::respond;\n// redis::A\n";
    assert_none(&broken_walls(&File::new("functions/price/src/main.rs", wired)));
    let tested = "#[cfg(test)]\nmod tests {\n    #[tokio::test]\n    async fn a() {}\n}\n";
    assert_none(&broken_walls(&File::new("shared/app/src/a.rs", tested)));
}

#[test]
fn a_reading_of_the_outside_is_found() {
    let path = "shared/domain/src/a.rs";
    let sample =
        "use std::{fmt, fs::File};\n// Instant\nfn a() { Instant::now(); std::env::var(\"SystemTime\"); }\n";
    let expected = ["3: Instant", "1: std::fs", "3: std::env"].map(|found| format!("{path}:{found}"));
    assert_found(&impure(&File::new(path, sample)), &expected);
    assert_none(&impure(&File::new("shared/app/src/clock.rs", sample)));
}

#[test]
fn a_price_in_the_city_is_found() {
    let path = "shared/simulator/src/city/a.rs";
    let sample = "use crate::{lab::Agent, rng};\nuse equilibrium_domain::{geo, surge::map};\n";
    let expected = [format!("{path}:1: "), format!("{path}:2: ")];
    assert_found(&prices_in_the_city(&File::new(path, sample)), &expected);
    assert_none(&prices_in_the_city(&File::new("shared/simulator/src/lab/a.rs", sample)));
}

#[test]
fn a_line_of_the_product_in_the_oracle_is_found() {
    let sample = "use crate::oracle::time;\nuse equilibrium_domain::id;\nuse crate::markets::Market;\n";
    let expected = ["tests/src/oracle/a.rs:2: equilibrium_domain", "tests/src/oracle/a.rs:3: crate::markets"];
    assert_found(&shared_by_the_oracle(&File::new("tests/src/oracle/a.rs", sample)), &expected);
}

#[test]
fn rust_source_in_the_deployment_is_found() {
    let sample = "import a from \"../deployment.json\";\nread(\"../../shared/app/src/config.rs\");\n";
    assert_found(&rust_in_infra(&File::new("infra/lib/a.ts", sample)), &["infra/lib/a.ts:2: "]);
}
