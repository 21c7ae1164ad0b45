//! What a process says of each second where nobody looks at a terminal.

use std::time::{Duration, Instant};

use crate::client::post;
use crate::market::{driver, ms, place};
use crate::world::{Server, until};

/// What stands behind each name of a second's line.
type Second = Vec<(String, String)>;

fn second(line: &str) -> Option<Second> {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "s").collect();
    let pairs = words.chunks(2).map(|pair| Some((pair[0].to_owned(), (*pair.get(1)?).to_owned())));
    line.starts_with("events/s").then(|| pairs.collect()).flatten()
}

#[test]
fn every_second_is_a_plain_line() {
    let server = Server::unfed();
    let first = server.process.hear("the first second", |line| second(line).map(|_| line.to_owned()));
    let quiet = "events/s      0  cells     0  surging    0  highest 1.00x  age   none  late 0  refused 0";
    assert_eq!(first, quiet);

    let closed_ms = ms(&server.fill(2)["as_of"]).unwrap();
    let refused = "none";
    assert_eq!(server.ask(&post(driver("late", place(0), closed_ms - 1) + refused)).accepted(), 1);
    let since = Instant::now();
    let seconds =
        || -> Vec<Second> { server.process.lines().iter().filter_map(|line| second(line)).collect() };
    let begun = seconds().len();
    let seconds = until("four seconds more", || Some(seconds()).filter(|seconds| seconds.len() >= begun + 4));
    assert!(since.elapsed() > Duration::from_secs(2), "{:?}", since.elapsed());

    let names = ["events/s", "cells", "surging", "highest", "age", "late", "refused"];
    for second in &seconds {
        assert!(second.iter().map(|(name, _)| name).eq(names), "{second:?}");
    }
    let posted: u64 = seconds.iter().map(|second| second[0].1.parse::<u64>().unwrap()).sum();
    // Ten at two places, the one by which ticks close, and the late one.
    assert_eq!(posted, 12, "each event in one second: {seconds:?}");
    let values: Vec<&str> = seconds.last().unwrap().iter().map(|(_, value)| value.as_str()).collect();
    let [_, cells, surging, highest, age, late, refused] = values[..] else { panic!("{values:?}") };
    assert!(cells.parse::<u64>().unwrap() > 2, "{values:?}");
    assert_eq!((surging, highest), ("0", "1.00x"), "more drivers than riders everywhere: {values:?}");
    assert!((0.0..40.0).contains(&age.parse::<f64>().unwrap()), "{values:?}");
    assert_eq!((late, refused), ("1", "1"), "{values:?}");
    for line in server.process.lines() {
        assert!(!line.contains(['\r', '\x1b']), "{line:?}");
    }
}
