//! The functions among faults: whatever dies, repeats or is lost, the rows are the oracle's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use equilibrium_domain::id::LaneCount;
use equilibrium_tests::faults::{Fault, FaultInjector, FaultSchedule};
use equilibrium_tests::markets::{Market, market};
use equilibrium_tests::oracle::{self, Replayed};
use equilibrium_tests::simulation::{FaultLevel, Outcome, simulate};

fn agrees(outcome: &Outcome, expected: &Replayed, what: &str) {
    let by_city = |rows: &[String]| {
        let mut rows = rows.to_vec();
        rows.sort_by_cached_key(|row| row.split('"').nth(3).map(str::to_owned));
        rows
    };
    let (rows, expected_rows) = (by_city(&outcome.rows), by_city(&expected.rows));
    let first = rows.iter().zip(&expected_rows).find(|(row, expected)| row != expected);
    assert_eq!(first, None, "the first row that differs: {what}");
    assert_eq!(rows.len(), expected_rows.len(), "rows: {what}");
    assert_eq!(outcome.late, expected.late as u64, "late events: {what}");
    for (city, map) in &outcome.maps {
        // The stored map is the last tick's rows, or empty where that tick had none.
        let last: Vec<&String> = rows.iter().filter(|row| map.contains(row)).collect();
        assert_eq!(last.len(), map.len(), "the map of {city}: {what}");
        if let Some(first) = map.first() {
            let at = first.split('"').nth(7);
            let of_tick = rows
                .iter()
                .filter(|row| row.split('"').nth(7) == at && row.split('"').nth(3) == Some(city.as_str()));
            assert_eq!(of_tick.count(), map.len(), "the map of {city} is a whole tick: {what}");
        }
    }
}

fn rough(market: &Market, expected: &Replayed, lanes: u32, seed: u64) {
    let lanes = LaneCount::new(lanes).unwrap();
    let fate = FaultInjector::new(FaultSchedule::random(seed, lanes));
    let outcome = simulate(market, lanes, FaultLevel::Random, seed, &fate);
    agrees(&outcome, expected, &format!("seed {seed}, {} lanes", lanes.get()));
}

#[test]
fn nothing_is_lost_or_doubled_in_rough_weather() {
    for seed in 0..24 {
        let market = market(seed, 150);
        let expected = oracle::replay(&market.events, Some(&market.policies));
        rough(&market, &expected, [1, 4, 64][usize::try_from(seed % 3).unwrap()], seed);
    }
}

#[test]
fn a_death_or_a_lost_answer_at_any_await_changes_nothing() {
    let market = market(4, 40);
    let expected = oracle::replay(&market.events, Some(&market.policies));
    let lanes = LaneCount::new(2).unwrap();
    let calm = FaultInjector::new(FaultSchedule::None);
    agrees(&simulate(&market, lanes, FaultLevel::None, 1, &calm), &expected, "calm");
    assert!(calm.calls() > 50, "{} awaits", calm.calls());
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LostBefore, Fault::LostAfter] {
        for call in 0..calm.calls() {
            let fate = FaultInjector::new(FaultSchedule::At(call, fault));
            let outcome = simulate(&market, lanes, FaultLevel::None, 1, &fate);
            agrees(&outcome, &expected, &format!("{fault:?} at call {call}"));
        }
    }
}

#[test]
fn one_seed_is_one_history() {
    let market = market(9, 100);
    let lanes = LaneCount::new(4).unwrap();
    let run = || {
        simulate(&market, lanes, FaultLevel::Random, 9, &FaultInjector::new(FaultSchedule::random(9, lanes)))
    };
    assert_eq!(run(), run());
}
