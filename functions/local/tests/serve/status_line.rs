//! The status line without a terminal: one line each second.

use std::time::{Duration, Instant};

use crate::harness::fixture::Server;
use crate::harness::http_client::post;
use crate::harness::market::{driver, ms, place};
use crate::harness::process::until;

/// The names and values of a status line.
type Status = Vec<(String, String)>;

fn parse(line: &str) -> Option<Status> {
    let pairs = line.split(", ").map(|part| {
        let (first, second) = part.split_once(' ')?;
        let is_number_first = first.starts_with(|it: char| it.is_ascii_digit());
        let (name, value) = if is_number_first { (second, first) } else { (first, second) };
        Some((name.to_owned(), value.trim_end_matches(" s").to_owned()))
    });
    line.contains(" events/s, ").then(|| pairs.collect()).flatten()
}

#[test]
fn a_plain_line_is_printed_every_second() {
    let server = Server::unfed();
    let first = server.process.wait_for_line("the first status", |line| parse(line).map(|_| line.to_owned()));
    let idle = "0 events/s, 0 cells, 0 surging, max 1.00x, age none, late 0, refused 0";
    assert_eq!(first, idle);

    let closed_ms = ms(&server.fill(2)["as_of"]).unwrap();
    let malformed = "none";
    assert_eq!(server.request(&post(driver("late", place(0), closed_ms - 1) + malformed)).accepted(), 1);
    let started = Instant::now();
    let statuses =
        || -> Vec<Status> { server.process.lines().iter().filter_map(|line| parse(line)).collect() };
    let before = statuses().len();
    let statuses =
        until("four more lines", || Some(statuses()).filter(|statuses| statuses.len() >= before + 4));
    assert!(started.elapsed() > Duration::from_secs(2), "{:?}", started.elapsed());

    let names = ["events/s", "cells", "surging", "max", "age", "late", "refused"];
    for status in &statuses {
        assert!(status.iter().map(|(name, _)| name).eq(names), "{status:?}");
    }
    let posted: u64 = statuses.iter().map(|status| status[0].1.parse::<u64>().unwrap()).sum();
    // Ten at two places, the one that closes the ticks, and the late one.
    assert_eq!(posted, 12, "each event in one second: {statuses:?}");
    let values: Vec<&str> = statuses.last().unwrap().iter().map(|(_, value)| value.as_str()).collect();
    let [_, cells, surging, highest, age, late, refused] = values[..] else { panic!("{values:?}") };
    assert!(cells.parse::<u64>().unwrap() > 2, "{values:?}");
    assert_eq!((surging, highest), ("0", "1.00x"), "more drivers than riders everywhere: {values:?}");
    assert!((0.0..40.0).contains(&age.parse::<f64>().unwrap()), "{values:?}");
    assert_eq!((late, refused), ("1", "1"), "{values:?}");
    for line in server.process.lines() {
        assert!(!line.contains(['\r', '\x1b']), "{line:?}");
    }
}
