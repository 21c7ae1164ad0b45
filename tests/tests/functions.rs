//! `count` and `surge` as Lambda invokes them: a payload in, a response out, and the records and entries that they write.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::count::lane_range::LaneRange;
use std::sync::Arc;

use equilibrium_app::checkpoint::parking::{self, Resume, ResumeError};
use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, NoOp, Recorder};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_domain::event::Refusal;
use equilibrium_domain::event::watermark::{self, CityWatermark};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::policy::overrides::{Override, OverrideKind};
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::map::{MapHead, decode_chunk};
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

type Sent = Recorder<(CityGroup, Vec<u8>)>;

/// The two functions over one lane, with their stores and streams.
struct Functions {
    policies: Arc<PolicySet>,
    checkpoints: MemoryCheckpoints,
    counts: Sent,
    maps: MemoryMaps,
    lanes: LaneProcessor<MemoryCheckpoints, Sent, NoOp>,
    cities: CityProcessor<MemoryCheckpoints, MemoryMaps, MemoryMaps, NoOp, NoOp>,
    sequence: u64,
}

const NONE_FAILED: &str = r#"{"batchItemFailures":[]}"#;

impl Functions {
    fn new(limits: ResourceLimits) -> Self {
        let (checkpoints, counts, maps) =
            (MemoryCheckpoints::default(), Sent::default(), MemoryMaps::default());
        let settings = CountSettings { lanes: LaneCount::ONE, groups: GroupCount::ONE };
        let sinks =
            SurgeSinks { maps: maps.clone(), cache: MemoryMaps::default(), changes: NoOp, ticks: NoOp };
        Self {
            policies: Arc::new(PolicySet::open(limits)),
            lanes: LaneProcessor::new(settings, checkpoints.clone(), counts.clone(), NoOp),
            cities: CityProcessor::new(checkpoints.clone(), sinks),
            checkpoints,
            counts,
            maps,
            sequence: 0,
        }
    }

    /// The next records of a shard, as Lambda delivers them.
    fn payload(&mut self, records: &[&[u8]]) -> Vec<u8> {
        let records: Vec<Record> = records
            .iter()
            .map(|data| {
                self.sequence += 1;
                let sequence = self.sequence.into();
                Record {
                    sequence,
                    partition_key: "0".into(),
                    data: data.to_vec(),
                    arrival_ms: 1_800_000_000_000,
                }
            })
            .collect();
        let stream = Stream { arn: "a".into(), region: "r".into(), role_arn: "i".into() };
        let mut payload = Vec::new();
        Envelope::new(&stream, ShardId::numbered(0)).write(&records, &mut payload);
        payload
    }

    async fn count(&self, payload: &[u8]) -> (String, equilibrium_app::count::metrics::CountMetrics) {
        let (response, metrics) =
            equilibrium_count::handle_event(&self.lanes, payload, &self.policies, 0).await.unwrap();
        (String::from_utf8(response).unwrap(), metrics)
    }

    /// Has other instances without memory continue from the stores.
    fn replace_instances(&mut self) {
        let settings = CountSettings { lanes: LaneCount::ONE, groups: GroupCount::ONE };
        let sinks =
            SurgeSinks { maps: self.maps.clone(), cache: MemoryMaps::default(), changes: NoOp, ticks: NoOp };
        self.lanes = LaneProcessor::new(settings, self.checkpoints.clone(), self.counts.clone(), NoOp);
        self.cities = CityProcessor::new(self.checkpoints.clone(), sinks);
    }

    /// Processes a batch of events as often as Lambda retries it, and what is counted of it; returns the new map.
    async fn process(&mut self, events: &[&[u8]]) -> Option<MapHead> {
        let payload = self.payload(events);
        let counted = async |functions: &Self| functions.count(&payload).await.0 == NONE_FAILED;
        assert!(retried(|| counted(self)).await, "the shard goes on");
        let records = self.counts.take();
        let counts = self.payload(&records.iter().map(|(_, record)| &record[..]).collect::<Vec<_>>());
        let priced = async |functions: &Self| functions.surge(&counts).await.0 == NONE_FAILED;
        assert!(retried(|| priced(self)).await, "the shard goes on");
        self.maps.head(&nyc()).await.unwrap()
    }

    /// The drivers on the map.
    async fn drivers(&self) -> u32 {
        let head = self.maps.head(&nyc()).await.unwrap().unwrap();
        let mut drivers = 0;
        for name in &head.chunks {
            let chunk = self.maps.chunk(&nyc(), *name).await.unwrap().unwrap();
            drivers += decode_chunk(&chunk).unwrap().iter().map(|row| row.supply).sum::<u32>();
        }
        drivers
    }

    async fn surge(&self, payload: &[u8]) -> (String, equilibrium_app::surge::metrics::SurgeMetrics) {
        let (response, metrics) =
            equilibrium_surge::handle_event(&self.cities, payload, &self.policies, 0).await.unwrap();
        (String::from_utf8(response).unwrap(), metrics)
    }
}

/// Tries until it succeeds, four times at most.
async fn retried(mut attempt: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..4 {
        if attempt().await {
            return true;
        }
    }
    false
}

fn nyc() -> CityId {
    CityId::new("nyc").unwrap()
}

fn ping(driver: u32, second: u32) -> Vec<u8> {
    let (minute, second) = (second / 60, second % 60);
    format!(
        r#"{{"type":"driver_location","id":"e","time":"2026-03-06T17:{minute:02}:{second:02}Z","city":"nyc","driver_id":"d{driver}","lat":40.75,"lng":-73.98,"status":"available"}}"#
    )
    .into_bytes()
}

/// A watermark record of `nyc` at a second after 17:00; its first tick is at 17:00:05.
fn watermark_at(second: i64) -> Vec<u8> {
    let start = 1_772_816_400_000;
    let watermark = CityWatermark { watermark: start + second * 1000, first_tick: start + 5000 };
    watermark::write(LaneId(0), LaneCount::ONE, [(&nyc(), watermark)])
}

#[tokio::test]
async fn an_invalid_event_affects_no_neighbour_and_is_counted_by_code() {
    let mut functions = Functions::new(ResourceLimits::default());
    let packed =
        [&ping(1, 1)[..], b"\n{half a line", b"\n\r\n", &ping(2, 2), b"\n{\"type\":\"weather\"}\n"].concat();
    let huge = [&b"{\"a\":\""[..], &vec![b'x'; 10 << 20], b"\"}"].concat();
    let mut watermark = watermark_at(5);
    let payload = functions.payload(&[b"\xff\xfe", b"", &huge, &packed, b"{}", &watermark]);
    let (response, metrics) = functions.count(&payload).await;
    assert_eq!(response, NONE_FAILED);
    assert_eq!((metrics.absorbed, metrics.unknown, metrics.unroutable), (2, 1, 4));
    let code = |code| metrics.refused[Refusal::CODES.iter().position(|known| *known == code).unwrap()];
    assert_eq!((code("malformed_json"), code("too_large"), code("missing_field")), (2, 1, 1));
    assert_eq!(functions.counts.take().len(), 1, "the counts of one tick");
    watermark[8] ^= 1;
    let payload = functions.payload(&[&watermark]);
    let (response, metrics) = functions.count(&payload).await;
    assert_eq!((response.as_str(), metrics.refused[1]), (NONE_FAILED, 1), "a corrupt watermark record");
}

#[tokio::test]
async fn a_repeated_batch_writes_and_sends_nothing() {
    let mut functions = Functions::new(ResourceLimits::default());
    let payload = functions.payload(&[&ping(1, 1), &watermark_at(5)]);
    functions.count(&payload).await;
    let counted = functions.counts.take();
    let counts = functions.payload(&counted.iter().map(|(_, record)| &record[..]).collect::<Vec<_>>());
    let (_, metrics) = functions.surge(&counts).await;
    assert_eq!(metrics.ticks, 1);
    let bytes = functions.checkpoints.bytes();

    let (response, metrics) = functions.count(&payload).await;
    assert_eq!((response.as_str(), metrics.checkpoint.skipped, metrics.absorbed), (NONE_FAILED, 2, 0));
    let (response, metrics) = functions.surge(&counts).await;
    assert_eq!((response.as_str(), metrics.checkpoint.skipped, metrics.ticks), (NONE_FAILED, 1, 0));
    assert!(functions.counts.take().is_empty());
    assert_eq!(functions.checkpoints.bytes(), bytes, "no entry was written");
}

/// The key of the log of all lanes, of which there is one.
fn only_range() -> CheckpointKey {
    CheckpointKey::Lanes(LaneRange::of(LaneId(0), LaneCount::ONE))
}

#[tokio::test]
async fn a_corrupt_entry_is_named_and_its_batch_fails() {
    let mut functions = Functions::new(ResourceLimits::default());
    let payload = functions.payload(&[&ping(1, 1)]);
    functions.count(&payload).await;
    functions.checkpoints.corrupt(&only_range(), |entry| entry[20] ^= 1);
    let settings = CountSettings { lanes: LaneCount::ONE, groups: GroupCount::ONE };
    let fresh = LaneProcessor::new(settings, functions.checkpoints.clone(), Sent::default(), NoOp);
    let payload = functions.payload(&[&ping(1, 2), &ping(2, 3)]);
    let (response, metrics) =
        equilibrium_count::handle_event(&fresh, &payload, &functions.policies, 0).await.unwrap();
    assert_eq!(String::from_utf8(response).unwrap(), r#"{"batchItemFailures":[{"itemIdentifier":"2"}]}"#);
    let (key, corrupt) = &metrics.checkpoint.corrupt[0];
    assert_eq!(
        (key, corrupt.to_string().as_str()),
        (&only_range(), "a LaneEntry frame with a wrong checksum")
    );
}

/// Three drivers are counted; the entry of the second is damaged, the third waits, and the log goes on as `how` has it.
async fn park_and_resume(key: CheckpointKey, how: Resume) -> (Functions, MapHead, MapHead) {
    let mut functions = Functions::new(ResourceLimits::default());
    functions.process(&[&ping(1, 1), &watermark_at(5)]).await;
    let before = functions.process(&[&ping(2, 6), &watermark_at(10)]).await.unwrap();
    assert!(parking::list(&functions.checkpoints).await.unwrap().is_empty());
    functions.checkpoints.corrupt(&key, |entry| entry[20] ^= 1);
    functions.replace_instances();
    functions.process(&[&ping(3, 11), &watermark_at(15)]).await;

    let parked = parking::list(&functions.checkpoints).await.unwrap();
    assert_eq!(parked.iter().map(|parked| &parked.key).collect::<Vec<_>>(), [&key]);
    assert!(parked[0].records >= 1 && parked[0].reason.contains("wrong checksum"), "{parked:?}");
    if how == Resume::Retry {
        // The mark of the parked log follows the entry.
        functions.checkpoints.corrupt_from_end(&key, 1, |entry| entry[20] ^= 1);
    }
    parking::resume(&functions.checkpoints, &key, how).await.unwrap();
    assert_eq!(parking::resume(&functions.checkpoints, &key, how).await, Err(ResumeError::NotParked));
    let after = functions.process(&[&ping(4, 16), &watermark_at(20)]).await.unwrap();
    assert!(parking::list(&functions.checkpoints).await.unwrap().is_empty(), "the log goes on");
    (functions, before, after)
}

#[tokio::test]
async fn records_of_a_repaired_log_are_counted_once_it_is_retried() {
    for key in [only_range(), CheckpointKey::City(nyc())] {
        let (functions, before, after) = park_and_resume(key.clone(), Resume::Retry).await;
        assert_eq!(functions.drivers().await, 4, "{key}");
        assert_eq!((before.version, after.version, after.as_of), (2, 4, before.as_of + 10_000), "{key}");
    }
}

#[tokio::test]
async fn a_log_that_still_cannot_be_read_is_parked_again_with_all_its_records() {
    let mut functions = Functions::new(ResourceLimits::default());
    functions.process(&[&ping(1, 1), &watermark_at(5)]).await;
    functions.checkpoints.corrupt(&only_range(), |entry| entry[20] ^= 1);
    for (driver, second) in [(2, 6), (3, 11)] {
        functions.replace_instances();
        functions.process(&[&ping(driver, second), &watermark_at(i64::from(second) + 4)]).await;
        assert_eq!(parking::list(&functions.checkpoints).await.unwrap().len(), 1);
        parking::resume(&functions.checkpoints, &only_range(), Resume::Retry).await.unwrap();
    }
    functions.checkpoints.corrupt_from_end(&only_range(), 4, |entry| entry[20] ^= 1);
    functions.replace_instances();
    functions.process(&[&ping(4, 16), &watermark_at(20)]).await;
    assert_eq!(functions.drivers().await, 4);
}

#[tokio::test]
async fn records_of_a_lost_log_are_counted_once_it_is_unparked() {
    let (functions, before, after) = park_and_resume(only_range(), Resume::Unpark).await;
    assert_eq!(functions.drivers().await, 3, "the driver of the lost entry is not known any more");
    assert_eq!(after.version, before.version + 2);
    // The counts are absolute: what the city's log lost is in the next ones.
    let (functions, before, after) = park_and_resume(CheckpointKey::City(nyc()), Resume::Unpark).await;
    assert_eq!(functions.drivers().await, 4);
    assert!(after.version > before.version && after.as_of == before.as_of + 10_000);
}

#[tokio::test]
async fn lanes_do_not_double_before_the_records_that_wait_for_their_log_are_processed() {
    let two = LaneCount::new(2).unwrap();
    let mut functions = Functions::new(ResourceLimits::default());
    functions.process(&[&ping(1, 1), &watermark_at(5)]).await;
    functions.checkpoints.corrupt(&only_range(), |entry| entry[20] ^= 1);
    functions.replace_instances();
    functions.process(&[&ping(2, 6), &watermark_at(9)]).await;
    parking::resume(&functions.checkpoints, &only_range(), Resume::Unpark).await.unwrap();
    let settings = CountSettings { lanes: two, groups: GroupCount::ONE };
    let payload = functions.payload(&[&ping(3, 11)]);
    let processor =
        LaneProcessor::new(settings, functions.checkpoints.clone(), functions.counts.clone(), NoOp);
    let handled = equilibrium_count::handle_event(&processor, &payload, &functions.policies, 0).await;
    assert_ne!(String::from_utf8(handled.unwrap().0).unwrap(), NONE_FAILED, "the batch waits");

    let before = functions.count(&payload).await;
    assert_eq!(
        (before.0.as_str(), before.1.absorbed),
        (NONE_FAILED, 2),
        "the waiting driver and the new one"
    );
    let payload = functions.payload(&[&ping(4, 12)]);
    let processor =
        LaneProcessor::new(settings, functions.checkpoints.clone(), functions.counts.clone(), NoOp);
    let handled = equilibrium_count::handle_event(&processor, &payload, &functions.policies, 0).await;
    assert_eq!(String::from_utf8(handled.unwrap().0).unwrap(), NONE_FAILED);
    assert_eq!(processor.entities(), 3, "the lost one is not known any more");
}

#[tokio::test]
async fn a_resumed_log_for_which_no_record_waits_is_not_listed() {
    let mut functions = Functions::new(ResourceLimits::default());
    functions.process(&[&ping(1, 1), &watermark_at(5)]).await;
    functions.checkpoints.corrupt(&only_range(), |entry| entry[20] ^= 1);
    functions.replace_instances();
    functions.process(&[&ping(2, 6), &watermark_at(9)]).await;
    functions.checkpoints.remove(&only_range().parked_records().unwrap());
    parking::resume(&functions.checkpoints, &only_range(), Resume::Unpark).await.unwrap();
    assert!(parking::list(&functions.checkpoints).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_map_continues_after_the_log_of_its_city_has_expired() {
    let mut functions = Functions::new(ResourceLimits::default());
    functions.process(&[&ping(1, 1), &watermark_at(5)]).await;
    let before = functions.process(&[&ping(2, 6), &watermark_at(10)]).await.unwrap();
    functions.checkpoints.remove(&CheckpointKey::City(nyc()));
    functions.replace_instances();
    let after = functions.process(&[&ping(3, 11), &watermark_at(15)]).await.unwrap();
    assert_eq!((after.version, after.began_ms), (before.version + 1, before.began_ms));
    functions.replace_instances();
    let later = functions.process(&[&ping(4, 16), &watermark_at(20)]).await.unwrap();
    assert_eq!((later.version, functions.drivers().await), (before.version + 2, 4));
}

#[tokio::test]
async fn a_spike_of_new_entities_is_limited_and_counted() {
    let mut functions = Functions::new(ResourceLimits { max_entities: 100, ..ResourceLimits::default() });
    let crowd: Vec<u8> = (0..1000).flat_map(|driver| [ping(driver, 1), b"\n".to_vec()].concat()).collect();
    let payload = functions.payload(&[&crowd, &watermark_at(5)]);
    let (response, metrics) = functions.count(&payload).await;
    assert_eq!((response.as_str(), metrics.absorbed), (NONE_FAILED, 1000));
    assert!(functions.lanes.entities() <= 100, "{}", functions.lanes.entities());
    assert_eq!(metrics.evicted + functions.lanes.entities() as u64, 1000);
}

#[tokio::test]
async fn an_event_of_another_range_of_lanes_is_misrouted_and_not_absorbed() {
    let lanes = LaneCount::new(8).unwrap();
    let eight_lanes = LaneProcessor::new(
        CountSettings { lanes, groups: GroupCount::ONE },
        MemoryCheckpoints::default(),
        Sent::default(),
        NoOp,
    );
    let mut functions = Functions::new(ResourceLimits::default());
    let driver_of = |lane: u16| {
        let is_of = |driver: &u32| lanes.lane_of(format!("d{driver}").as_bytes()) == LaneId(lane);
        (0..1000).find(is_of).unwrap()
    };
    let lines = [0, 1, 4].map(|lane| [&ping(driver_of(lane), 1)[..], b"\n"].concat());
    let payload = functions.payload(&[&lines.concat()]);
    let (_, metrics) =
        equilibrium_count::handle_event(&eight_lanes, &payload, &functions.policies, 0).await.unwrap();
    assert_eq!((metrics.absorbed, metrics.misrouted), (2, 1), "a neighbour may have been the same lane");
}

#[tokio::test]
async fn the_stored_map_is_that_of_the_last_tick() {
    let mut functions = Functions::new(ResourceLimits::default());
    let payload = functions.payload(&[&ping(1, 1), &ping(2, 2), &watermark_at(10)]);
    functions.count(&payload).await;
    let records = functions.counts.take();
    let counts = functions.payload(&records.iter().map(|(_, record)| &record[..]).collect::<Vec<_>>());
    functions.surge(&counts).await;
    let city = nyc();
    let head = functions.maps.head(&city).await.unwrap().unwrap();
    assert_eq!((head.version, head.lanes_reported, head.lanes), (2, 1, 1));
    let entries = functions.checkpoints.load(&CheckpointKey::City(city), None).await.unwrap().entries;
    assert_eq!(entries.len(), 1);
}

/// 2026-03-06T17:00:00Z and so many seconds, in milliseconds since the epoch.
fn at(second: i64) -> i64 {
    1_772_816_400_000 + second * 1_000
}

#[tokio::test]
async fn the_map_at_the_start_of_a_freeze_is_saved_before_the_map_after_it() {
    let freeze = |id: &str, start: i64| Override {
        id: id.into(),
        kind: OverrideKind::Freeze,
        product: None,
        polygon: None,
        starts_at: start,
        ends_at: at(3_600),
        reason: "test".into(),
        author: "local".into(),
        created_at: at(0),
        ended_at: None,
    };
    let freezes = vec![freeze("a", at(12)), freeze("b", at(27)), freeze("c", at(900))];
    let set = OverrideSet { created: 3, overrides: freezes.into_iter().map(Arc::new).collect() };
    let policies = PolicySet::of(vec![Policy::open_city(&nyc())], ResourceLimits::default());
    let mut functions = Functions::new(ResourceLimits::default());
    functions.policies = Arc::new(policies.with_overrides(vec![(nyc(), set)]));
    let drivers = async |functions: &Functions, start: i64| {
        let frozen = functions.maps.frozen(&nyc(), start).await.unwrap()?;
        Some(frozen.rows("standard").iter().map(|row| row.supply).sum::<u32>())
    };

    functions.process(&[&ping(1, 1), &watermark_at(5)]).await;
    functions.process(&[&ping(2, 8), &watermark_at(10)]).await;
    assert_eq!(drivers(&functions, at(12)).await, None, "the newest map is that of the start");
    functions.replace_instances();
    functions.process(&[&ping(3, 13), &watermark_at(15)]).await;
    assert_eq!(drivers(&functions, at(12)).await, Some(2), "of the stored map");
    // Several ticks of one batch: the map of the start was never stored.
    functions
        .process(&[&ping(4, 19), &watermark_at(20), &ping(5, 24), &watermark_at(25), &watermark_at(40)])
        .await;
    assert_eq!(drivers(&functions, at(27)).await, Some(5));
    assert_eq!(drivers(&functions, at(12)).await, Some(2), "the first stays");
    assert_eq!(drivers(&functions, at(900)).await, None);
}
