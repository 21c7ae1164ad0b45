//! The reports of a tick: those of all lanes of an instance leave in one request.

use std::fmt::Write;
use std::sync::Arc;

use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::memory::{MemoryCheckpoints, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_aws::kinesis::{Connection, Counts, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::count::city_group::GroupCount;
use equilibrium_domain::event::watermark::{self, CityWatermark};
use equilibrium_domain::id::{CityId, LaneCount};
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};

use crate::fault_proxy::FaultProxy;

const LANES: u32 = 32;
const GROUPS: GroupCount = GroupCount::new(16).unwrap();
/// 2026-03-06T17:00:00Z.
const START_MS: i64 = 1_772_816_400_000;

/// A batch of one shard: drivers of New York in every lane, then the watermark that closes their tick.
fn batch(lanes: LaneCount) -> Vec<u8> {
    let city = CityId::new("nyc").unwrap();
    let closed = CityWatermark { watermark: START_MS + 5_000, first_tick: START_MS + 5_000 };
    let mut records = Vec::new();
    let mut put = |data: Vec<u8>| {
        let sequence = (records.len() as u64 + 1).into();
        let arrival_ms = START_MS + 10_000;
        records.push(Record { sequence, partition_key: "0".into(), data, arrival_ms });
    };
    for lane in lanes.iter() {
        let mut drivers = (0..).map(|number| format!("d{number}"));
        let driver = drivers.find(|driver| lanes.lane_of(driver.as_bytes()) == lane).unwrap();
        let mut event =
            r#"{"type":"driver_location","id":"e","time":"2026-03-06T17:00:01Z","city":"nyc","#.to_owned();
        write!(event, r#""driver_id":"{driver}","lat":40.75,"lng":-73.98,"status":"available"}}"#).unwrap();
        put(event.into_bytes());
        put(watermark::write(lane, lanes, [(&city, closed)]));
    }
    let stream = Stream { arn: "a".into(), region: "r".into(), role_arn: "i".into() };
    let mut payload = Vec::new();
    Envelope::new(&stream, ShardId::numbered(0)).write(&records, &mut payload);
    payload
}

#[tokio::test]
async fn the_reports_of_32_lanes_of_one_city_leave_in_one_request() {
    let proxy = FaultProxy::new(&emulator().endpoint).await;
    let streams = Streams::named(&unique_name("reports"));
    let direct = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    streams.create(&direct, 2).await.unwrap();
    let connection = Connection::new(&sdk_config(&proxy.endpoint), RetryPolicy::default());
    let lanes = LaneCount::new(LANES).unwrap();
    let settings = CountSettings { lanes, groups: GROUPS };
    let counts = Counts::new(&connection, &streams, GROUPS);
    let processor = LaneProcessor::new(settings, MemoryCheckpoints::default(), counts, NoOp);

    let policies = Arc::new(PolicySet::open(ResourceLimits::default()));
    let counted = equilibrium_count::handle_event(&processor, &batch(lanes), &policies, START_MS).await;
    let (response, metrics) = counted.unwrap();
    assert_eq!(String::from_utf8(response).unwrap(), r#"{"batchItemFailures":[]}"#);
    assert_eq!(metrics.absorbed, u64::from(LANES));
    assert_eq!(proxy.requests("PutRecords"), [LANES as usize]);
}
