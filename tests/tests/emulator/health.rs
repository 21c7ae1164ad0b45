//! Verdicts in DynamoDB, and one look by the adapters of AWS.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::contract;
use equilibrium_app::health::ports::{RoundTrip, VerdictStore};
use equilibrium_app::health::prober::{Probe, Prober};
use equilibrium_app::health::probes::round_trips::RoundTripProbe;
use equilibrium_app::health::run::{HealthRun, SCHEDULE_MS};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{self, Tables, Verdicts};
use equilibrium_aws::kinesis::{self, StreamRoundTrip, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Finding;
use equilibrium_domain::health::verdict::Status;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use tokio::time::sleep;

async fn tables(test: &str) -> (dynamodb::Connection, Tables) {
    let connection = dynamodb::Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name(test));
    tables.create(&connection).await.unwrap();
    (connection, tables)
}

#[tokio::test]
async fn verdicts_meet_the_contract_of_their_store() {
    let (connection, tables) = tables("verdicts").await;
    contract::verdict_store(&Verdicts::new(&connection, &tables)).await;
}

#[tokio::test]
async fn looks_at_a_table_and_a_stream_are_stored_and_a_stream_that_is_gone_is_named() {
    let (connection, tables) = tables("health").await;
    let kinesis = kinesis::Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let streams = Streams::named(&unique_name("health"));
    streams.create(&kinesis, 1).await.unwrap();
    let store = Verdicts::new(&connection, &tables);
    let stopwatch = system_now_ms as fn() -> i64;
    let stream = |name: &str, target| {
        let answers = StreamRoundTrip::new(&kinesis, name);
        Box::new(RoundTripProbe { component: Component::Kinesis, target, answers, stopwatch })
            as Box<dyn Probe>
    };
    let (component, answers) = (Component::DynamoDb, store.clone());
    let table = Box::new(RoundTripProbe { component, target: "tables", answers, stopwatch });
    let serving = Prober::new(vec![table, stream(&streams.events, "stream of events")], sleep);
    let run = HealthRun::new(store.clone(), serving, SCHEDULE_MS);
    let now_ms = system_now_ms();
    for at_ms in [0, 10_000] {
        run.look(now_ms + at_ms).await;
    }
    let mut stored = store.verdicts().await.unwrap();
    stored.sort_by_key(|verdict| verdict.component);
    let statuses: Vec<(Component, Status)> =
        stored.iter().map(|verdict| (verdict.component, verdict.status)).collect();
    assert_eq!(statuses, [(Component::DynamoDb, Status::Healthy), (Component::Kinesis, Status::Healthy)]);

    let gone = Prober::new(vec![stream("no-such-stream", "stream of events")], sleep);
    let look = gone.look(now_ms).await.looks[Component::Kinesis.index()].clone().unwrap();
    assert_eq!(
        (look.finding, look.error.as_deref()),
        (Finding::Unhealthy, Some("stream of events: no answer"))
    );
    assert_eq!(StreamRoundTrip::new(&kinesis, "no-such-stream").round_trip().await, Err(Unavailable));
}
