//! `equilibrium replay` against the oracle: adversarial markets, every row, over one lane and many.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::fs;

use equilibrium_domain::id::LaneCount;
use equilibrium_local::commands::replay::{Replay, Summary};
use equilibrium_tests::markets::{Market, market};
use equilibrium_tests::oracle::{self, Replayed};
use equilibrium_tests::rows::by_city;

/// Replays a market over `lanes`: the rows by city, the refused lines with their codes, the summary.
fn replay(market: &Market, lanes: u32) -> (Vec<String>, Vec<(usize, String)>, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("events"), &market.events).unwrap();
    fs::write(path("city"), market.policies.to_string()).unwrap();
    let replay = Replay {
        events: path("events"),
        out: path("ticks"),
        city: Some(path("city")),
        lanes: LaneCount::new(lanes).unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut refusals = Vec::new();
    let summary = runtime.block_on(replay.run(&mut refusals)).unwrap();
    let ticks = fs::read_to_string(path("ticks")).unwrap();
    let refusals = String::from_utf8(refusals).unwrap();
    let refusals = refusals.lines().map(|line| {
        let mut parts = line.strip_prefix("line ").unwrap().split(": ");
        (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().to_owned())
    });
    (by_city(ticks.lines().map(str::to_owned).collect()), refusals.collect(), summary)
}

fn assert_replay(market: &Market, expected: &Replayed, lanes: u32, seed: u64) {
    let (rows, refusals, summary) = replay(market, lanes);
    let expected_refusals: Vec<(usize, String)> =
        expected.refused.iter().map(|(line, code)| (*line, (*code).to_owned())).collect();
    assert_eq!(refusals, expected_refusals, "refusals of market {seed}, {lanes} lanes");
    let expected_rows = by_city(expected.rows.clone());
    let first = rows.iter().zip(&expected_rows).find(|(row, expected)| row != expected);
    assert_eq!(first, None, "the first row that differs, market {seed}, {lanes} lanes");
    assert_eq!(rows.len(), expected_rows.len(), "rows of market {seed}, {lanes} lanes");
    let counts = (summary.events, summary.refused, summary.late, summary.ticks);
    let expected_counts =
        (expected.events as u64, expected.refused.len() as u64, expected.late as u64, expected.ticks as u64);
    assert_eq!(counts, expected_counts, "summary of market {seed}, {lanes} lanes");
}

#[test]
fn every_row_of_adversarial_markets_is_the_oracles() {
    for seed in 0..60 {
        let market = market(seed, 250);
        let expected = oracle::replay(&market.events, Some(&market.policies));
        for lanes in [1, 4, 64] {
            assert_replay(&market, &expected, lanes, seed);
        }
    }
}

#[test]
fn without_a_city_file_any_city_is_accepted() {
    let events = br#"{"type":"driver_location","id":"a","time":"2026-03-06T17:00:00.500Z","city":"anywhere","driver_id":"d1","lat":40.75,"lng":-73.97,"status":"available"}
{"type":"ride_requested","id":"b","time":"2026-03-06T17:00:11Z","city":"anywhere","request_id":"q1","lat":40.75,"lng":-73.97,"product":"xl"}
{"type":"ride_requested","id":"c","time":"2026-03-06T17:00:12Z","city":"anywhere","request_id":"q1","lat":40.75,"lng":-73.97}
"#;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("events"), events).unwrap();
    let replay =
        Replay { events: path("events"), out: path("ticks"), city: None, lanes: LaneCount::new(2).unwrap() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let summary = runtime.block_on(replay.run(&mut std::io::sink())).unwrap();
    let expected = oracle::replay(events, None);
    let ticks = fs::read_to_string(path("ticks")).unwrap();
    assert_eq!(ticks.lines().collect::<Vec<_>>(), expected.rows);
    assert_eq!((summary.events, summary.refused, summary.ticks), (3, 1, 2));
}
