//! Which moves and status changes drivers and riders make.

use std::collections::HashMap;

use super::super::geography::Point;
use super::super::policy::policy;
use super::parsing::{Line, lines};
use super::{MINUTE_MS, START_MS, small, text};
use crate::rounding::real;

/// The greatest speed of a route, 14 m/s, times the greatest pace, 1.1, and a margin.
const MAX_M_PER_S: f64 = 15.5;

/// An event's coordinates are rounded to 0.1 m.
const ROUNDING_M: f64 = 0.3;

/// Each driver's pings, in order.
fn drives(lines: &[Line]) -> HashMap<&str, Vec<&Line>> {
    let mut drives: HashMap<&str, Vec<&Line>> = HashMap::new();
    for line in lines {
        if let Some(driver) = &line.driver_id {
            drives.entry(driver).or_default().push(line);
        }
    }
    drives
}

#[test]
fn drivers_move_continuously_and_ping_except_during_a_break() {
    let text = text(&small(11), &policy(), 90);
    let lines = lines(&text);
    let end_ms = START_MS + 90 * MINUTE_MS;
    let (mut moved, mut breaks) = (0, 0);
    for pings in drives(&lines).values() {
        for pair in pings.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let ms = after.ms - before.ms;
            let at = |line: &Line| Point::at(line.at.0, line.at.1);
            let m = at(before).distance_m(at(after));
            if before.status.as_deref() == Some("offline") {
                assert!(ms >= 5 * MINUTE_MS && m < ROUNDING_M, "{before:?} {after:?}");
                breaks += 1;
            } else {
                assert!((3_000..=5_000).contains(&ms), "{before:?} {after:?}");
                assert!(m <= real(ms) / 1000.0 * MAX_M_PER_S + ROUNDING_M, "{before:?} {after:?}");
                moved += usize::from(m > 10.0);
            }
        }
        let last = pings[pings.len() - 1];
        let since_last_ms = end_ms - last.ms;
        assert!(since_last_ms <= 5_000 || last.status.as_deref() == Some("offline"), "{last:?}");
    }
    assert!(breaks > 30, "{breaks}");
    assert!(moved * 2 > lines.len(), "{moved} of {}", lines.len());
}

#[test]
fn a_drivers_status_changes_are_legal() {
    let text = text(&small(12), &policy(), 60);
    let lines = lines(&text);
    for pings in drives(&lines).values() {
        for pair in pings.windows(2) {
            let step = (pair[0].status.as_deref().unwrap(), pair[1].status.as_deref().unwrap());
            let legal = step.0 == step.1
                || matches!(
                    step,
                    ("available", "en_route" | "offline")
                        | ("en_route", "on_trip")
                        // Dropped off and dispatched again, or on a break, between two pings.
                        | ("on_trip", "available" | "en_route" | "offline")
                        | ("offline", "available")
                );
            assert!(legal, "{step:?} {:?}", pair[1]);
        }
    }
}

#[test]
fn a_riders_events_have_a_legal_order() {
    let text = text(&small(13), &policy(), 60);
    let lines = lines(&text);
    let mut rides: HashMap<&str, Vec<&Line>> = HashMap::new();
    for line in &lines {
        if let Some(rider) = &line.rider_id {
            rides.entry(rider).or_default().push(line);
        }
    }
    let (mut completed, mut requested_again) = (0, 0);
    for events in rides.values() {
        let mut last: Option<&Line> = None;
        for event in events {
            let before = last.map(|line| line.kind.as_str());
            let again = matches!((before, event.kind.as_str()), (Some("ride_cancelled"), "ride_requested"));
            let legal = again
                || matches!(
                    (before, event.kind.as_str()),
                    (None, "ride_requested")
                        | (Some("ride_requested"), "ride_matched" | "ride_cancelled")
                        | (Some("ride_matched"), "ride_completed")
                );
            assert!(legal, "{before:?} {event:?}");
            let same = last.is_none_or(|line| line.request_id == event.request_id);
            assert!(before.is_none() || same != again, "{event:?}");
            assert!(last.is_none_or(|line| line.ms < event.ms), "{event:?}");
            requested_again += usize::from(again);
            completed += usize::from(event.kind == "ride_completed");
            last = Some(event);
        }
    }
    assert!(completed > rides.len() / 2, "{completed} of {}", rides.len());
    assert!(requested_again > 5, "{requested_again}");
}

#[test]
fn the_shares_of_busy_and_free_drivers_stay_in_bounds_over_an_hour() {
    let text = text(&small(14), &policy(), 60);
    let mut statuses: HashMap<String, String> = HashMap::new();
    let mut minute = 1;
    for line in lines(&text) {
        if line.ms >= START_MS + minute * MINUTE_MS {
            let percent = |wanted: &[&str]| {
                let of = statuses.values().filter(|status| wanted.contains(&status.as_str()));
                of.count() * 100 / 200
            };
            let (free, busy) = (percent(&["available"]), percent(&["en_route", "on_trip"]));
            assert!((15..=65).contains(&free), "minute {minute}: {free} %");
            assert!((25..=75).contains(&busy), "minute {minute}: {busy} %");
            // Drivers without a ping so far are on a break.
            assert!((4..=25).contains(&(100 - free - busy)), "minute {minute}: {free} % {busy} %");
            minute += 1;
        }
        if let (Some(driver), Some(status)) = (line.driver_id, line.status) {
            statuses.insert(driver, status);
        }
    }
    assert_eq!(minute, 60);
}
