//! A warm `count`: batch after batch of one shard, each as large as a payload can be.

use std::sync::Arc;
use std::time::Instant;

use equilibrium_app::ingest::record_packer::{RecordPacker, RecordSink};
use equilibrium_app::ingest::time_rule::TimeRule;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_event_source::poller::Target;
use equilibrium_event_source::settings::MAX_PAYLOAD_BYTES;
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use equilibrium_simulator::city::{City, Settings, policy};

use crate::{function, stub};

/// One shard's share of 64 lanes on 16 shards.
const LANES: u32 = 4;
const START_MS: i64 = 1_772_816_400_000;
const MINUTES: i64 = 15;

/// The records of one shard, in order.
#[derive(Default)]
struct Shard(Vec<Record>);

impl RecordSink for &mut Shard {
    fn put(&mut self, lane: LaneId, data: Vec<u8>) {
        let sequence = Sequence::new(&format!("49{:054}", self.0.len() + 1)).unwrap();
        let arrival_ms = START_MS + MINUTES * 60_000;
        self.0.push(Record { sequence, partition_key: lane.to_string().into(), data, arrival_ms });
    }
}

pub async fn measure() {
    let mut lines = Vec::new();
    City::new(&Settings::new(3, START_MS), &policy::policy())
        .advance(START_MS + MINUTES * 60_000, &mut lines);
    let policies = Arc::new(PolicySet::of(vec![policy::policy()], ResourceLimits::default()));
    let mut shard = Shard::default();
    let mut packer = RecordPacker::new(
        &mut shard,
        LaneCount::new(LANES).unwrap(),
        policies,
        Arc::default(),
        TimeRule::Replay,
        Arc::new(PseudonymKey::new([7; 16])),
    );
    let mut events = 0;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        packer.line(line).unwrap();
        events += 1;
    }
    drop(packer);
    let payloads = payloads(&shard.0);

    let endpoint = stub::serve(vec![("nyc".into(), policy::JSON.into())]).await;
    let count = function(
        "count",
        &[
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("EQUILIBRIUM_DEPLOYMENT", "stub"),
            ("EQUILIBRIUM_LANES", &LANES.to_string()),
            ("EQUILIBRIUM_DEAD_LETTERS_URL", &endpoint),
            ("EQUILIBRIUM_LOG", "warn"),
        ],
    );
    // The first batch includes the start of the process.
    let mut rates = Vec::new();
    let per_payload = events / payloads.len();
    for payload in &payloads {
        let started = Instant::now();
        let response = count.invoke(payload).await.unwrap();
        assert_eq!(response, br#"{"batchItemFailures":[]}"#);
        rates.push(per_payload as f64 / started.elapsed().as_secs_f64());
    }
    rates.remove(0);
    // The last batch is not full.
    rates.pop();
    rates.sort_by(f64::total_cmp);
    println!(
        "warm count through the Runtime API, 6 MB a batch  {:.2} M events a second ({} batches of {per_payload} events)",
        rates[rates.len() / 2] / 1e6,
        rates.len(),
    );
}

fn payloads(records: &[Record]) -> Vec<Vec<u8>> {
    let stream = Stream {
        arn: "arn:aws:kinesis:us-east-1:000000000000:stream/stub-events".into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::000000000000:role/equilibrium".into(),
    };
    let envelope = Envelope::new(&stream, ShardId::numbered(0));
    let (mut payloads, mut batch, mut bytes) = (Vec::new(), Vec::new(), 100);
    let mut end = |batch: &mut Vec<&Record>| {
        let mut payload = Vec::new();
        envelope.write(batch.drain(..), &mut payload);
        payloads.push(payload);
    };
    for record in records {
        let more = envelope.record_bytes(record) + 1;
        if bytes + more > MAX_PAYLOAD_BYTES {
            end(&mut batch);
            bytes = 100;
        }
        bytes += more;
        batch.push(record);
    }
    end(&mut batch);
    payloads
}
