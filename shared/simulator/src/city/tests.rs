//! The city through its events; only the memory tests look inside.

mod behaviour;
mod parsing;

use std::collections::HashSet;
use std::num::NonZeroU32;

use equilibrium_domain::event::{self, Event};
use equilibrium_domain::id::ProductId;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::time::Timestamp;

use self::parsing::{Line, lines};
use super::demand::{EMPTYING_MS, STADIUM, STADIUM_RADIUS_M};
use super::export::START_MS;
use super::fleet::Status;
use super::geography::Point;
use super::policy::policy;
use super::{City, Settings, write_city};

const MINUTE_MS: i64 = 60_000;

fn small(seed: u64) -> Settings {
    Settings { drivers: NonZeroU32::new(200).unwrap(), crowd: 60, ..Settings::new(seed, START_MS) }
}

/// The lines that a city delivers in its first minutes, advanced second by second.
fn text(settings: &Settings, policy: &Policy, minutes: i64) -> Vec<u8> {
    let mut city = City::new(settings, policy);
    let mut out = Vec::new();
    for second in 1..=minutes * 60 {
        city.advance(settings.start_ms + second * 1000, &mut out);
    }
    out
}

#[test]
fn one_seed_gives_one_file_and_another_seed_another() {
    let file = |seed| {
        let mut out = Vec::new();
        write_city(seed, 1, &mut out).unwrap();
        out
    };
    assert_eq!(file(7), file(7));
    assert_ne!(file(7), file(8));
}

#[test]
fn the_bytes_of_a_seed_are_pinned() {
    let text = text(&small(7), &policy(), 20);
    assert_eq!(xxhash_rust::xxh3::xxh3_64(&text), DIGEST, "{} bytes", text.len());
}

#[test]
fn the_division_of_time_into_calls_does_not_change_the_output() {
    for delay_ms in [0, 3_000] {
        let settings = Settings { delay_ms, ..small(3) };
        let mut at_once = Vec::new();
        City::new(&settings, &policy()).advance(START_MS + 2 * MINUTE_MS, &mut at_once);
        assert!(text(&settings, &policy(), 2) == at_once, "{delay_ms}");
    }
}

#[test]
fn a_later_start_shifts_every_event_and_changes_nothing_else() {
    let shift_ms = 5 * 3_600_000 + 1_234;
    let early = text(&small(5), &policy(), 3);
    let late = text(&Settings { start_ms: START_MS + shift_ms, ..small(5) }, &policy(), 3);
    let (early, late) = (lines(&early), lines(&late));
    assert_eq!(early.len(), late.len());
    for (early, late) in early.iter().zip(&late) {
        assert_eq!(&Line { ms: early.ms + shift_ms, ..early.clone() }, late);
    }
}

#[test]
fn every_event_is_valid_has_a_unique_id_and_is_in_order() {
    let policy = policy();
    let text = text(&small(1), &policy, 30);
    let mut last_ms = START_MS;
    for line in event::Lines::new(&text).filter(|line| !line.is_empty()) {
        let Ok(Event::Market(event)) = event::read(line) else {
            panic!("{}", String::from_utf8_lossy(line));
        };
        assert_eq!(&*event.city, b"nyc");
        assert!(event.time.ms() >= last_ms);
        last_ms = event.time.ms();
    }
    assert!(last_ms < START_MS + 30 * MINUTE_MS);

    let mut ids = HashSet::new();
    for line in lines(&text) {
        assert!(policy.boundary.contains(line.at.1, line.at.0), "{line:?}");
        assert!(ids.insert(line.id));
    }
}

#[test]
fn a_file_starts_at_noon_in_new_york() {
    let start = Timestamp::from_ms(START_MS).unwrap().to_string();
    assert_eq!(start, "2026-03-06T17:00:00.000Z");
}

#[test]
fn write_city_returns_the_number_of_events() {
    let mut out = Vec::new();
    let events = write_city(1, 1, &mut out).unwrap();
    assert_eq!(events, lines(&out).len() as u64);
    // 2 600 drivers on the road, each with a ping every four seconds.
    assert!((36_000..45_000).contains(&events), "{events}");
}

#[test]
fn delay_changes_the_order_of_events_and_nothing_else() {
    let delay_ms = 3_000;
    let delayed = text(&Settings { delay_ms, ..small(2) }, &policy(), 5);
    let delayed = lines(&delayed);
    let in_order = text(&small(2), &policy(), 5);
    let in_order = lines(&in_order);

    let newest = delayed.iter().scan(0, |newest: &mut i64, line| {
        *newest = line.ms.max(*newest);
        Some(*newest - line.ms)
    });
    let lags_ms: Vec<i64> = newest.collect();
    assert!(lags_ms.iter().filter(|ms| **ms > 0).count() > delayed.len() / 2);
    assert!(lags_ms.iter().all(|ms| *ms <= delay_ms));

    let arrived: HashSet<&str> = delayed.iter().map(|line| line.id.as_str()).collect();
    let settled = in_order.iter().filter(|line| line.ms < START_MS + 5 * MINUTE_MS - delay_ms);
    assert!(settled.into_iter().all(|line| arrived.contains(line.id.as_str())));
}

#[test]
fn the_stadium_empties_at_its_time_and_place() {
    let policy = policy();
    let settings = Settings { stadium_ms: 90_000, ..Settings::new(4, START_MS) };
    let text = text(&settings, &policy, 8);
    let stadium = Point::at(STADIUM.0, STADIUM.1);
    let near = |line: &&Line| {
        let from = Point::at(line.at.0, line.at.1);
        line.kind == "ride_requested" && from.distance_m(stadium) < STADIUM_RADIUS_M * 1.5
    };
    let mut riders = HashSet::new();
    let (mut firsts, mut all) = (Vec::new(), Vec::new());
    for line in lines(&text).iter().filter(near) {
        all.push(line.ms - START_MS);
        if riders.insert(line.rider_id.clone()) {
            firsts.push(line.ms - START_MS);
        }
    }
    let count = |times: &[i64], from_ms: i64, to_ms: i64| {
        times.iter().filter(|ms| (from_ms..to_ms).contains(*ms)).count()
    };
    let (begins, ends) = (settings.stadium_ms, settings.stadium_ms + EMPTYING_MS);
    assert!(count(&all, 0, begins) <= 10, "{all:?}");
    assert!(count(&all, begins, begins + 10_000) >= 3, "{all:?}");
    assert!((900..1_100).contains(&count(&firsts, begins, ends)), "{}", firsts.len());
    // A peak after the first minute, few at the end, and then only repeated requests.
    assert!(count(&firsts, begins + 30_000, begins + 90_000) > 3 * count(&firsts, ends - 60_000, ends));
    assert!(count(&firsts, ends, ends + 60_000) <= 5, "{firsts:?}");
    assert!(count(&all, ends + 120_000, ends + 150_000) < 20, "{all:?}");
}

#[test]
fn a_write_error_of_the_output_is_returned() {
    let mut small = vec![0; 100_000];
    assert!(write_city(1, 1, &mut small.as_mut_slice()).is_err());
}

/// The city's policy with a second product.
fn policy_with_xl() -> Policy {
    let mut policy = policy();
    policy.products.push(policy.products[0].clone());
    policy.products[1].id = ProductId::new("xl").unwrap();
    policy
}

#[test]
fn a_second_product_of_the_policy_is_requested_and_offered() {
    let text = text(&small(6), &policy_with_xl(), 10);
    let lines = lines(&text);
    let requests =
        |product: &str| lines.iter().filter(|line| line.product.as_deref() == Some(product)).count();
    assert!(requests("xl") > 10 && requests("xl") * 3 < requests("standard"), "{}", requests("xl"));
    let pings = lines.iter().filter(|line| line.kind == "driver_location");
    let (all, first): (Vec<&Line>, Vec<&Line>) = pings.partition(|line| line.products.is_none());
    assert!(first.iter().all(|line| line.products.as_deref() == Some(&["standard".to_owned()])));
    assert!(all.len() < first.len() && all.len() * 5 > first.len(), "{} {}", all.len(), first.len());
}

#[test]
fn a_driver_serves_one_rider_at_a_time_and_only_its_own_products() {
    let mut city = City::new(&small(10), &policy_with_xl());
    let (mut out, mut served_xl) = (Vec::new(), 0);
    for second in 1..=30 * 60 {
        city.advance(START_MS + second * 1000, &mut out);
        out.clear();
        let mut busy = HashSet::new();
        for (rider, driver) in city.riders.with_driver() {
            assert!(busy.insert(driver), "second {second}: {driver} serves two");
            let (status, serves_all) = city.fleet.driver(driver);
            assert!(matches!(status, Status::EnRoute | Status::OnTrip), "second {second}: {status:?}");
            assert!(rider.product == 0 || serves_all, "second {second}: {driver}");
            served_xl += rider.product;
        }
    }
    assert!(served_xl > 0);
}

#[test]
fn memory_after_four_hours_is_that_after_one() {
    let settings = Settings { delay_ms: 1_000, ..small(9) };
    let mut city = City::new(&settings, &policy());
    let mut out = Vec::new();
    let mut max_entries = [0; 2];
    for minute in 1..=4 * 60 {
        city.advance(START_MS + minute * MINUTE_MS, &mut out);
        out.clear();
        let late = usize::from(minute > 60);
        let delayed = city.delay.as_ref().map_or(0, super::delivery_delay::DeliveryDelay::len);
        let entries = city.riders.slots() + city.due.len() + delayed;
        max_entries[late] = max_entries[late].max(entries);
        // One entry for each driver and rider, and one for the next new rider.
        assert!(city.due.len() <= 200 + 1 + city.riders.slots());
    }
    assert!(max_entries[1] < max_entries[0] + 200, "{max_entries:?}");
}

/// XXH3 of the first 20 minutes of a small city. A new digest means that recorded seeds give other events, which
/// belongs in `CHANGELOG.md`.
const DIGEST: u64 = 1_158_842_957_829_406_674;
