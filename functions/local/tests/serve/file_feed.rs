//! A file as the event source, shifted to start now, on a faster clock.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::fixture::{Server, serve};
use crate::harness::market::{ms, total};
use crate::harness::process::until;

/// How many times faster than real time the clock runs.
const SPEED: u32 = 20;

/// The tick of the next map, and when it was first seen.
fn next_tick(server: &Server, after: Option<i64>) -> (i64, Instant) {
    until("a tick", || {
        let as_of = ms(&server.json("/v1/cities/nyc")["as_of"]);
        as_of.filter(|as_of| after.is_none_or(|after| *as_of > after)).map(|as_of| (as_of, Instant::now()))
    })
}

#[test]
fn a_file_follows_the_clock_and_prices_age_after_its_end() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/replay-sample.ndjson");
    let server =
        Server::start(&mut serve(&["--feed", sample.to_str().unwrap(), "--speed", &SPEED.to_string()]));
    let (first_ms, first) = next_tick(&server, None);
    until("demand", || (total(&server.map(), "demand") > 0).then_some(()));
    let (mut last_ms, mut last) = (first_ms, first);
    while last_ms < first_ms + 60_000 {
        (last_ms, last) = next_tick(&server, Some(last_ms));
    }
    let event_time_s = Duration::from_millis(u64::try_from(last_ms - first_ms).unwrap()).as_secs_f64();
    let speed = event_time_s / last.duration_since(first).as_secs_f64();
    assert!((f64::from(SPEED) / 2.0..f64::from(SPEED) * 2.0).contains(&speed), "{speed}");

    server
        .process
        .wait_for_line("the end of the file", |line| line.contains("end of the file").then_some(()));
    until("prices to age", || {
        let city = server.json("/v1/cities/nyc");
        (city["mode"] == "cached" && city["age_ms"].as_i64() > Some(30_000)).then_some(())
    });
    let is_without_errors = |line: &String| line.ends_with("late 0, refused 0");
    let lines = server.process.lines();
    let statuses: Vec<&String> = lines.iter().filter(|line| line.contains(" events/s, ")).collect();
    assert!(!statuses.is_empty() && statuses.into_iter().all(is_without_errors), "{lines:#?}");
}
