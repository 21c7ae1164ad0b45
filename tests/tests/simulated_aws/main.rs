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
    let expected = oracle::replay(&outcome.events, Some(&serde_json::from_str(equilibrium_simulator::city::policy::JSON).unwrap()));
    assert_eq!(expected.late, 0);
    println!("{} {}", outcome.rows.len(), expected.rows.len());
    let expected: Vec<String> = expected.rows.into_iter().take(outcome.rows.len()).collect();
    assert!(outcome.rows == expected);
}
