//! The deployed functions over the adapters for AWS, in an account that enforces AWS's limits in simulated time
//! (docs/simulation.md): no row is lost or counted twice, and the figures of docs/performance.md hold for short runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod streams;

use equilibrium_simulator::city::policy;
use equilibrium_tests::oracle;
use equilibrium_tests::rows;
use equilibrium_tests::simulation::aws::Iteration::{FanOut, Polled};
use equilibrium_tests::simulation::aws::backtest::Backtest;
use equilibrium_tests::simulation::aws::figures::{Consumption, Snapshots, Swap, TickDelays};
use equilibrium_tests::simulation::aws::{AwsFaults, AwsOutcome, AwsScenario, TableLimits};

/// 200 producers, six environments a function over four shards, tables that take little, and everything that fails: no
/// environment keeps a shard, and many have nothing in memory.
fn hostile(seed: u64) -> AwsScenario {
    AwsScenario {
        drivers: 800,
        shards: 4,
        environments: 6,
        feeders: 200,
        faults: AwsFaults::MANY,
        limits: TableLimits { table_write_units: 18, ..TableLimits::NEW_TABLE },
        // A tick waits for its last lane however long faults hold it up: the oracle has every lane.
        max_hold_ms: 600_000,
        ..AwsScenario::usual(seed, 50_000)
    }
}

/// Compares each row of every tick that was closed with the oracle's.
fn compare(outcome: &AwsOutcome) {
    let policy = serde_json::from_str(policy::JSON).unwrap();
    let expected = oracle::replay(&outcome.events, Some(&policy));
    assert_eq!(expected.late, 0, "the city's events are in order");
    let last = rows::tick(outcome.rows.last().unwrap());
    let expected: Vec<String> = expected.rows.into_iter().filter(|row| rows::tick(row) <= last).collect();
    let first = outcome.rows.iter().zip(&expected).find(|(row, expected)| row != expected);
    assert_eq!(first, None, "the first row that differs");
    assert_eq!(outcome.rows.len(), expected.len());
    assert!(outcome.published.len() >= 2, "{} maps", outcome.published.len());
}

#[test]
fn throttled_and_faulty_services_lose_and_double_nothing() {
    for seed in 0..4 {
        let outcome = hostile(seed).run();
        compare(&outcome);
        let throttled: u64 = outcome.units.values().map(|units| units.throttled).sum();
        let [count, surge] = &outcome.functions;
        assert!(throttled > 20, "{throttled} throttled requests");
        assert!(
            count.crashes + surge.crashes > 0 && count.checkpoint.append_conflicts > 10,
            "{count:?} {surge:?}"
        );
    }
}

#[test]
fn one_seed_gives_identical_rows_units_and_times() {
    let scenario = AwsScenario { duration_ms: 30_000, ..hostile(9) };
    let (first, second) = (scenario.run(), scenario.run());
    assert_eq!(first.rows, second.rows);
    assert_eq!(first.published, second.published);
    assert_eq!(first.units, second.units);
    assert!(first == second);
}

#[test]
fn the_units_of_the_tables_stay_below_a_third_of_what_a_log_for_each_lane_consumed() {
    // A log for each lane, with snapshots in its entries, consumed 150,000 in the same simulation.
    let consumption = Consumption::measure(60_000, (Polled, Polled));
    assert!(consumption.write_units() <= 50_000, "{consumption}");
}

#[test]
fn an_environment_with_nothing_in_memory_reads_a_range_in_two_steps() {
    let swap = Swap::measure(16_000, 45_000);
    // One query, beside a few that need a second page, and parts at once: less than a read for each of the four lanes.
    assert!(swap.queries <= swap.loads * 11 / 10, "{swap}");
    assert!(swap.queries + swap.parts <= swap.loads * 4, "{swap}");
}

#[test]
fn snapshots_of_many_drivers_are_written_within_their_interval_while_ticks_go_on() {
    let snapshots = Snapshots::measure(125_000, 8, 110_000);
    assert_eq!(snapshots.failures(), 0, "{snapshots}");
    assert!(snapshots.round_ms(2) <= 30_000 && snapshots.longest_ms() <= 1_000, "{snapshots}");
    assert!(snapshots.longest_gap_ms() <= 7_000, "{snapshots}");
}

#[test]
fn a_map_is_readable_two_seconds_after_its_tick_is_due_and_one_with_fan_out() {
    let (polled, pushed) =
        (TickDelays::measure(3, (Polled, Polled)), TickDelays::measure(3, (FanOut, FanOut)));
    assert!(polled.percentile(95) <= 2_000 && polled.percentile(100) <= 2_300, "{polled}");
    assert!(pushed.percentile(100) <= 1_000, "{pushed}");
}

#[test]
fn three_times_a_load_is_predicted_within_a_fifth() {
    let backtest = Backtest::measure(1, 1_000, 90_000);
    for row in &backtest.rows {
        assert!(row.error().abs() <= 0.2, "{:?}\n{backtest}", row.name);
    }
}
