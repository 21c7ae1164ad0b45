//! The fault simulation: whatever dies, repeats or is lost, every row is the oracle's (docs/simulation.md).

use std::sync::Arc;

use equilibrium_domain::id::LaneCount;
use equilibrium_tests::markets::Market;
use equilibrium_tests::oracle::Replayed;
use equilibrium_tests::simulation::{Fault, FaultSchedule, Outcome, Scenario, Trace};
use parking_lot::Mutex;

/// Runs the scenario; on a mismatch the test fails with the command that repeats it.
fn run(scenario: &Scenario, market: &Market, expected: &Replayed) -> Outcome {
    let result = scenario.run_with(market, expected, Trace::off());
    result.unwrap_or_else(|mismatch| panic!("{mismatch}\nto repeat: {}", scenario.command()))
}

#[test]
fn under_random_faults_every_event_counts_exactly_once() {
    for seed in 0..24 {
        let scenario = Scenario::random(seed, None);
        let (market, expected) = scenario.market();
        run(&scenario, &market, &expected);
    }
}

#[test]
fn a_crash_or_a_lost_response_at_any_call_changes_no_row() {
    let lanes = LaneCount::new(2).unwrap();
    let calm = Scenario { seed: 4, lanes, doubles_lanes: false, events: 40, schedule: FaultSchedule::None };
    let (market, expected) = calm.market();
    let calls = run(&calm, &market, &expected).calls;
    assert!(calls > 50, "{calls} calls");
    for fault in Fault::ALL {
        for call in 0..calls {
            let scenario = Scenario { schedule: FaultSchedule::At(call, fault), ..calm };
            run(&scenario, &market, &expected);
        }
    }
}

#[test]
fn lanes_double_while_shards_split_and_instances_fail() {
    for seed in 0..16 {
        let scenario = Scenario { doubles_lanes: true, ..Scenario::random(seed, LaneCount::new(8)) };
        let (market, expected) = scenario.market();
        run(&scenario, &market, &expected);
    }
}

#[test]
fn one_seed_gives_identical_rows_entries_and_traces() {
    let scenario = Scenario { events: 100, ..Scenario::random(9, LaneCount::new(4)) };
    let traced = || {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let outcome = scenario.run(Trace::to(move |line| sink.lock().push(line.to_owned()))).unwrap();
        let lines = std::mem::take(&mut *lines.lock());
        (outcome, lines)
    };
    let (first, second) = (traced(), traced());
    assert!(first.0.checkpoints.values().any(|log| !log.entries.is_empty()));
    for event in [" batch ", " append ", " fault ", " tick "] {
        assert!(first.1.iter().any(|line| line.contains(event)), "no line of{event}");
    }
    assert_eq!(first, second);
}
