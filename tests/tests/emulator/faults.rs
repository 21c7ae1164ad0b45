//! What becomes of calls when the wire fails: nothing is lost, nothing doubled, and all end in time.

use std::time::{Duration, Instant};

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use equilibrium_app::ingest::ports::EventLog;
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError};
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::dynamodb::{Checkpoints, Connection, Maps, Policies, Tables};
use equilibrium_aws::kinesis::{self, Events, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::map::MapHead;
use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_lambda::kinesis::record::ShardId;
use equilibrium_simulator::rng::SplitMix64;
use futures_util::future::join_all;

use crate::emulator::{config, emulator, fresh};
use crate::streams::of_key;
use crate::wire::{BROKEN, EXCEEDED, Fault, THROTTLED, Wire};

const LANE: CheckpointKey = CheckpointKey::Lane(LaneId(7));

/// Short, so that a test of its end is.
const PATIENCE: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(3),
    attempt_timeout: Duration::from_millis(700),
    max_attempts: 3,
};

/// The tables behind a wire, and beside it.
struct World {
    wire: Wire,
    tables: Tables,
}

impl World {
    async fn new(test: &str) -> Self {
        let wire = Wire::new(&emulator().endpoint).await;
        let tables = Tables::named(&fresh(test));
        let beside = Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
        tables.create(&beside).await.unwrap();
        Self { wire, tables }
    }

    fn connection(&self) -> Connection {
        Connection::new(&config(&self.wire.endpoint), PATIENCE)
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(&self.connection(), &self.tables)
    }

    /// What a log holds, read beside the wire.
    async fn stored(&self) -> Vec<Vec<u8>> {
        let beside = Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
        Checkpoints::new(&beside, &self.tables).load(&LANE).await.unwrap()
    }
}

/// The outcome of a call, which must come in time.
async fn in_time<T>(call: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let outcome = call.await;
    // What a busy machine adds.
    let slack = Duration::from_secs(1);
    assert!(began.elapsed() < PATIENCE.call_timeout + slack, "{:?}", began.elapsed());
    outcome
}

#[tokio::test]
async fn a_fault_that_passes_is_not_seen_and_the_entry_is_there_once() {
    let world = World::new("passes").await;
    let log = world.checkpoints();
    let faults =
        [THROTTLED, EXCEEDED, BROKEN, Fault::Cut, Fault::Lost, Fault::Torn, Fault::Hung, Fault::Silent];
    for (n, fault) in (0..).zip(faults) {
        world.wire.plan("PutItem", fault, 1);
        assert_eq!(in_time(log.append(&LANE, n, &[1], false)).await, Ok(()), "{fault:?}");
        assert_eq!(world.wire.calls("PutItem").len() as u64, 2 * (n + 1), "{fault:?}");
    }
    assert_eq!(world.stored().await, vec![vec![1]; faults.len()]);
}

#[tokio::test]
async fn a_write_whose_every_answer_was_lost_is_found() {
    for fault in [Fault::Lost, Fault::Torn] {
        let world = World::new("lost").await;
        world.wire.plan("PutItem", fault, 3);
        assert_eq!(in_time(world.checkpoints().append(&LANE, 0, b"ours", true)).await, Ok(()), "{fault:?}");
        assert_eq!(world.wire.calls("GetItem").len(), 1);
        assert_eq!(world.stored().await, [b"ours".to_vec()]);
    }
}

#[tokio::test]
async fn a_write_that_nobody_answered_is_found() {
    let world = World::new("silent").await;
    world.wire.plan("PutItem", Fault::Silent, 9);
    assert_eq!(in_time(world.checkpoints().append(&LANE, 0, b"ours", true)).await, Ok(()));
    assert_eq!(world.stored().await, [b"ours".to_vec()]);
}

#[tokio::test]
async fn a_write_lost_after_it_landed_and_then_refused_is_found() {
    let world = World::new("refused").await;
    world.wire.plan("PutItem", Fault::Lost, 1);
    world.wire.plan("PutItem", THROTTLED, 2);
    assert_eq!(in_time(world.checkpoints().append(&LANE, 0, b"ours", true)).await, Ok(()));
}

#[tokio::test]
async fn behind_lost_answers_another_writers_entry_is_told_from_ours() {
    let world = World::new("other").await;
    let (ours, others) = (world.checkpoints(), world.checkpoints());
    others.append(&LANE, 0, b"another's", false).await.unwrap();
    world.wire.plan("PutItem", Fault::Lost, 3);
    assert_eq!(in_time(ours.append(&LANE, 0, b"ours", false)).await, Err(AppendError::Conflict));
    assert_eq!(world.stored().await, [b"another's".to_vec()]);
}

#[tokio::test]
async fn a_write_that_never_arrived_leaves_nothing() {
    for fault in [THROTTLED, BROKEN, Fault::Cut, Fault::Hung] {
        let world = World::new("never").await;
        let log = world.checkpoints();
        world.wire.plan("PutItem", fault, 99);
        assert_eq!(
            in_time(log.append(&LANE, 0, b"ours", false)).await,
            Err(AppendError::Unavailable(Unavailable)),
            "{fault:?}"
        );
        assert!(world.stored().await.is_empty());
        world.wire.calm();
        assert_eq!(log.append(&LANE, 0, b"again", false).await, Ok(()), "{fault:?}");
    }
}

#[tokio::test]
async fn when_nothing_answers_every_call_ends_in_time() {
    let world = World::new("dead").await;
    let city = CityId::new("nyc").unwrap();
    let head = MapHead {
        city: city.clone(),
        version: 1,
        as_of: 5000,
        heard: 1,
        lanes: 1,
        resolution: 8,
        products: Vec::new(),
        chunks: Vec::new(),
    };
    world.wire.chance(|_| Some(Fault::Hung));
    let connection = world.connection();
    let (log, maps) = (Checkpoints::new(&connection, &world.tables), Maps::new(&connection, &world.tables));
    let policies = Policies::new(&connection, &world.tables);
    in_time(async {
        tokio::join!(
            async { assert_eq!(log.load(&LANE).await, Err(Unavailable)) },
            async { assert_eq!(log.append(&LANE, 0, b"", true).await, Err(Unavailable.into())) },
            async { assert_eq!(log.append(&LANE, 0, &[0; 1_000_000], true).await, Err(Unavailable.into())) },
            async { assert_eq!(maps.head(&city).await, Err(Unavailable)) },
            async {
                assert_eq!(maps.save_chunk(&city, ChunkName::new(Cell(1), 1), b"").await, Err(Unavailable))
            },
            async { assert_eq!(maps.save_head(&head).await, Err(Unavailable)) },
            async { assert_eq!(policies.all().await, Err(Unavailable)) },
            async { assert_eq!(policies.save(&city, "{}", None).await, Err(Unavailable.into())) },
        )
    })
    .await;
}

#[tokio::test]
async fn parts_that_could_not_be_written_leave_no_entry() {
    let world = World::new("parts").await;
    let log = world.checkpoints();
    let large = vec![1; 1_000_000];
    log.append(&LANE, 0, b"zero", false).await.unwrap();
    world.wire.plan("PutItem", Fault::Lost, 1);
    world.wire.plan("PutItem", BROKEN, 99);
    assert_eq!(in_time(log.append(&LANE, 1, &large, true)).await, Err(Unavailable.into()));
    assert_eq!(world.stored().await, [b"zero".to_vec()]);
    world.wire.calm();
    for fault in [Fault::Lost, Fault::Torn, THROTTLED] {
        world.wire.plan("PutItem", fault, 1);
    }
    assert_eq!(in_time(log.append(&LANE, 1, &large, true)).await, Ok(()));
    assert_eq!(world.stored().await, [large]);
}

#[tokio::test]
async fn reading_survives_what_passes() {
    let world = World::new("read").await;
    let log = world.checkpoints();
    let large = vec![1; 1_000_000];
    log.append(&LANE, 0, &large, true).await.unwrap();
    for fault in [THROTTLED, BROKEN, Fault::Cut, Fault::Torn, Fault::Hung] {
        world.wire.plan("Query", fault, 1);
        world.wire.plan("GetItem", fault, 1);
        assert_eq!(in_time(log.load(&LANE)).await.as_deref(), Ok(&[large.clone()][..]), "{fault:?}");
    }
}

#[tokio::test]
async fn a_policy_whose_answer_was_lost_is_known_to_be_saved() {
    let world = World::new("policy").await;
    let policies = Policies::new(&world.connection(), &world.tables);
    let city = CityId::new("nyc").unwrap();
    world.wire.plan("PutItem", Fault::Lost, 1);
    assert_eq!(in_time(policies.save(&city, "{}", None)).await, Ok(1));
    world.wire.plan("PutItem", Fault::Lost, 3);
    assert_eq!(in_time(policies.save(&city, "[]", Some(1))).await, Ok(2));
    world.wire.plan("PutItem", BROKEN, 3);
    assert_eq!(in_time(policies.save(&city, "{}", Some(2))).await, Err(Unavailable.into()));
    world.wire.plan("PutItem", Fault::Lost, 3);
    assert_eq!(in_time(policies.save(&city, "{}", Some(1))).await, Err(ReplaceError::VersionMismatch));
}

/// Two writers of one log, each loading anew where it lost or does not know: what a writer was told is
/// written stands in the log once, and in the order told.
#[tokio::test]
async fn among_faults_by_chance_nothing_is_lost_or_doubled() {
    for seed in 0..3 {
        let world = World::new("chance").await;
        let mut rng = SplitMix64::new(seed);
        world.wire.chance(move |_| {
            let faults = [BROKEN, Fault::Cut, Fault::Lost, Fault::Torn];
            (rng.below(4) == 0).then(|| faults[rng.below(4)])
        });
        let writers = [world.checkpoints(), world.checkpoints()];
        let write = async |of: u8, log: &Checkpoints| {
            let mut written = Vec::new();
            let mut next = 0;
            for number in 0..12_u8 {
                let entry = [of, number];
                loop {
                    match in_time(log.append(&LANE, next, &entry, false)).await {
                        Ok(()) => break,
                        Err(AppendError::Conflict | AppendError::Unavailable(_)) => {}
                    }
                    let entries = loop {
                        if let Ok(entries) = in_time(log.load(&LANE)).await {
                            break entries;
                        }
                    };
                    next = entries.len() as u64;
                    if entries.iter().any(|stored| stored[..] == entry) {
                        next -= 1;
                        break;
                    }
                }
                next += 1;
                written.push(entry.to_vec());
            }
            written
        };
        let [first, second] =
            join_all([write(0, &writers[0]), write(1, &writers[1])]).await.try_into().unwrap();
        let stored = world.stored().await;
        assert_eq!(stored.len(), 24, "seed {seed}");
        for (of, written) in [(0, first), (1, second)] {
            let own: Vec<Vec<u8>> = stored.iter().filter(|entry| entry[0] == of).cloned().collect();
            assert_eq!(own, written, "seed {seed}");
        }
    }
}

/// An event log behind a wire.
struct Lanes {
    wire: Wire,
    streams: Streams,
    events: Events,
    beside: kinesis::Connection,
}

const LANES: u8 = 8;

impl Lanes {
    async fn new(test: &str) -> Self {
        let wire = Wire::new(&emulator().endpoint).await;
        let streams = Streams::named(&fresh(test));
        let beside = kinesis::Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
        streams.create(&beside, 2).await.unwrap();
        let connection = kinesis::Connection::new(&config(&wire.endpoint), PATIENCE);
        let events = Events::new(&connection, &streams, LaneCount::new(LANES.into()).unwrap());
        Self { wire, streams, events, beside }
    }

    /// Puts records 0, 1 and 2 into every lane, all lanes at once; the outcomes by lane.
    async fn put(&self) -> Vec<Result<(), Unavailable>> {
        let puts = (0..LANES).map(async |lane| {
            for number in 0..3 {
                self.events.put(LaneId(lane.into()), vec![number]).await?;
            }
            Ok(())
        });
        in_time(join_all(puts)).await
    }

    async fn held(&self, lane: u8) -> Vec<u8> {
        of_key(&self.beside, &self.streams.events, &lane.to_string()).await.concat()
    }

    fn stream(&self) -> KinesisConsumer {
        KinesisConsumer::new(
            &kinesis::Connection::new(&config(&self.wire.endpoint), PATIENCE),
            &self.streams.events,
        )
    }
}

#[tokio::test]
async fn puts_that_are_made_at_once_travel_together() {
    let lanes = Lanes::new("together").await;
    assert!(lanes.put().await.iter().all(Result::is_ok));
    assert_eq!(lanes.wire.calls("PutRecords"), [8, 8, 8]);
}

#[tokio::test]
async fn refused_records_are_put_again_alone_and_every_lane_keeps_its_order() {
    let lanes = Lanes::new("partial").await;
    lanes.wire.plan("PutRecords", Fault::EverySecond, 2);
    assert!(lanes.put().await.iter().all(Result::is_ok));
    for lane in 0..LANES {
        assert_eq!(lanes.held(lane).await, [0, 1, 2], "lane {lane}: none lost, doubled or overtaken");
    }
    let calls = lanes.wire.calls("PutRecords");
    assert_eq!(calls[0], 8);
    assert!(calls.iter().sum::<usize>() <= 24 + 4 + 4, "only what was refused came again: {calls:?}");
}

#[tokio::test]
async fn a_fault_of_a_whole_request_loses_and_overtakes_nothing() {
    for fault in [EXCEEDED, BROKEN, Fault::Cut, Fault::Lost, Fault::Torn, Fault::Hung, Fault::Silent] {
        let lanes = Lanes::new("whole").await;
        lanes.wire.plan("PutRecords", fault, 1);
        assert!(lanes.put().await.iter().all(Result::is_ok), "{fault:?}");
        for lane in 0..LANES {
            let mut held = lanes.held(lane).await;
            // Where only the answer was lost, the same records come twice.
            held.dedup();
            assert_eq!(held, [0, 1, 2], "{fault:?}, lane {lane}");
        }
    }
}

#[tokio::test]
async fn a_lane_that_is_always_refused_harms_no_other() {
    let lanes = Lanes::new("one").await;
    lanes.wire.chance(|operation| (operation == "PutRecords").then_some(Fault::Key("3")));
    let outcomes = lanes.put().await;
    for (lane, outcome) in (0..LANES).zip(outcomes) {
        if lane == 3 {
            assert_eq!(outcome, Err(Unavailable));
            assert!(lanes.held(lane).await.is_empty());
        } else {
            assert_eq!(outcome, Ok(()));
            assert_eq!(lanes.held(lane).await, [0, 1, 2]);
        }
    }
    lanes.wire.calm();
    assert_eq!(lanes.events.put(LaneId(3), vec![9]).await, Ok(()), "and the lane goes on");
    assert_eq!(lanes.held(3).await, [9]);
}

#[tokio::test]
async fn puts_that_nobody_answers_end_in_time() {
    let lanes = Lanes::new("nobody").await;
    lanes.wire.chance(|_| Some(Fault::Hung));
    assert_eq!(lanes.put().await, [Err(Unavailable); LANES as usize]);
}

#[tokio::test]
async fn reading_a_shard_survives_what_passes() {
    let lanes = Lanes::new("shard").await;
    lanes.put().await;
    let stream = lanes.stream();
    let shard = ShardId::numbered(0);
    let page = stream.read(&shard, None, 5).await.unwrap();
    let after = page.records[4].sequence.clone();
    let next = stream.read(&shard, Some(&after), 5).await.unwrap();
    let faults = [EXCEEDED, BROKEN, Fault::Cut, Fault::Torn, Fault::Refused(400, "ExpiredIteratorException")];
    for fault in faults {
        // Each begins with the iterator that this read left.
        assert_eq!(stream.read(&shard, None, 5).await.unwrap(), page);
        lanes.wire.plan("GetRecords", fault, 1);
        assert_eq!(in_time(stream.read(&shard, Some(&after), 5)).await.unwrap(), next, "{fault:?}");
    }
    for fault in [EXCEEDED, Fault::Hung] {
        lanes.wire.plan("GetRecords", fault, 99);
        assert_eq!(in_time(stream.read(&shard, None, 5)).await, Err(SourceError::Unavailable), "{fault:?}");
        lanes.wire.calm();
    }
    lanes.wire.plan("ListShards", BROKEN, 1);
    assert_eq!(in_time(stream.shards()).await.unwrap().len(), 2);
}
