//! The deployed functions over the adapters for AWS, in an account that enforces AWS's limits (docs/simulation.md).

use equilibrium_tests::oracle;
use equilibrium_tests::simulation::aws::{AwsOutcome, AwsScenario};

#[expect(clippy::print_stdout)]
fn print(what: &str, outcome: &AwsOutcome) {
    println!("{what}: {} events, records {:?}", outcome.event_count, outcome.records);
    for (kind, units) in &outcome.units {
        println!("  {kind}: {units:?}");
    }
    println!("  {:?}", outcome.functions);
    let mut delays: Vec<i64> = outcome.published.iter().map(|it| it.readable_ms - it.due_ms).collect();
    delays.sort_unstable();
    println!("  {} maps, delays {:?}", delays.len(), delays);
}

#[test]
fn usual() {
    let outcome = AwsScenario::usual(1, 60_000).run();
    print("usual", &outcome);
    let expected = oracle::replay(
        &outcome.events,
        Some(&serde_json::from_str(equilibrium_simulator::city::policy::JSON).unwrap()),
    );
    assert_eq!(expected.late, 0);
    println!("{} {}", outcome.rows.len(), expected.rows.len());
    let expected: Vec<String> = expected.rows.into_iter().take(outcome.rows.len()).collect();
    assert!(outcome.rows == expected);
}

#[test]
fn fan_out() {
    use equilibrium_tests::simulation::aws::Iteration;
    let both =
        AwsScenario { iterations: (Iteration::FanOut, Iteration::FanOut), ..AwsScenario::usual(1, 60_000) };
    print("fan-out", &both.run());
    let counts =
        AwsScenario { iterations: (Iteration::Polled, Iteration::FanOut), ..AwsScenario::usual(1, 60_000) };
    print("fan-out of counts", &counts.run());
}
#[test]
fn faulty() {
    use equilibrium_tests::simulation::aws::AwsFaults;
    let s = AwsScenario {
        faults: AwsFaults::MANY,
        shards: 4,
        environments: 6,
        feeders: 200,
        drivers: 1000,
        max_hold_ms: 600_000,
        ..AwsScenario::usual(1, 60_000)
    };
    let outcome = s.run();
    print("faulty", &outcome);
    let expected = oracle::replay(
        &outcome.events,
        Some(&serde_json::from_str(equilibrium_simulator::city::policy::JSON).unwrap()),
    );
    assert_eq!(expected.late, 0);
    println!("{} {}", outcome.rows.len(), expected.rows.len());
    let expected: Vec<String> = expected.rows.into_iter().take(outcome.rows.len()).collect();
    assert!(outcome.rows == expected);
    let again = s.run();
    assert!(again == outcome);
}

#[test]
fn million() {
    use equilibrium_tests::simulation::aws::Crowd;
    let s = AwsScenario {
        crowd: Some(Crowd { drivers: 1_000_000, every_ms: 60_000 }),
        shards: 16,
        environments: 16,
        feeders: 1,
        ..AwsScenario::usual(1, 150_000)
    };
    let began = std::time::Instant::now();
    let outcome = s.run();
    println!("wall {:?}", began.elapsed());
    print("million", &outcome);
    println!("{} snapshots", outcome.snapshots.len());
    for w in outcome.snapshots.iter().rev().take(40) {
        println!("{} {} {}", w.begun_ms - 1_772_816_400_000, w.saved_ms - w.begun_ms, w.bytes);
    }
}

#[test]
fn swap() {
    use equilibrium_tests::simulation::aws::{AwsFaults, Crowd};
    let faults = AwsFaults { swap_one_in: 1, ..AwsFaults::NONE };
    let s = AwsScenario {
        faults,
        lanes: 4,
        crowd: Some(Crowd { drivers: 64_000, every_ms: 16_000 }),
        shards: 1,
        environments: 1,
        feeders: 1,
        ..AwsScenario::usual(1, 100_000)
    };
    let began = std::time::Instant::now();
    let outcome = s.run();
    println!("wall {:?}", began.elapsed());
    print("swap", &outcome);
    for w in outcome.snapshots.iter().rev().take(40) {
        println!("{} {} {}", w.begun_ms - 1_772_816_400_000, w.saved_ms - w.begun_ms, w.bytes);
    }
}
