//! Records that a shard refuses for its limits.

use std::time::Duration;

use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::kinesis::{Connection, Events, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_event_source::poller::Source;
use equilibrium_lambda::kinesis::record::ShardId;
use equilibrium_tests::simulation::aws::{Aws, AwsFaults, SimulatedClock, TableLimits};
use futures_util::future::join_all;

/// Puts `count` records of `bytes` into each of eight lanes of one shard at once.
async fn put(count: u16, bytes: usize, policy: RetryPolicy) -> (Vec<Result<(), Unavailable>>, Aws) {
    let aws = Aws::new(SimulatedClock::new(), 1, AwsFaults::NONE, TableLimits::NEW_TABLE);
    let (streams, lanes) = (Streams::named("simulated"), LaneCount::new(8).unwrap());
    aws.create_stream(&streams.events, 1);
    let events = &Events::new(&Connection::new(&aws.sdk_config(), policy), &streams, lanes);
    let puts = (0..8).flat_map(|lane| (0..count).map(move |number| (LaneId(lane), number)));
    let puts = puts.map(|(lane, number)| {
        let mut record = number.to_be_bytes().to_vec();
        record.resize(bytes, 0);
        events.put(lane, record)
    });
    (join_all(puts).await, aws)
}

#[tokio::test(start_paused = true)]
async fn records_that_a_shard_refuses_are_put_again_in_the_order_of_their_lane() {
    let (count, bytes) = (60, 10_000);
    let policy = RetryPolicy { call_timeout: Duration::from_secs(30), ..RetryPolicy::default() };
    let (outcomes, aws) = put(count, bytes, policy).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let (put, _, refused) = aws.records("simulated-events");
    assert_eq!(put, 8 * u64::from(count));
    assert!(refused > 20, "{refused} refused");
    let stream = aws.stream("simulated-events");
    let page = stream.read(&ShardId::numbered(0), None, usize::MAX).await.unwrap();
    let mut next = [0; 8];
    for record in page.records {
        let lane: usize = record.partition_key.parse().unwrap();
        let number = u16::from_be_bytes([record.data[0], record.data[1]]);
        assert_eq!(number, next[lane], "lane {lane}");
        next[lane] += 1;
    }
    assert_eq!(next, [count; 8]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_stays_beyond_its_limits_is_unavailable() {
    let policy = RetryPolicy { call_timeout: Duration::from_secs(1), ..RetryPolicy::default() };
    let (outcomes, aws) = put(8, 100_000, policy).await;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let (put, ..) = aws.records("simulated-events");
    // A megabyte at once, and nearly one in the second of the call.
    assert!((10..=21).contains(&put), "{put} records");
    assert_eq!(failed as u64 + put, 64);
}
