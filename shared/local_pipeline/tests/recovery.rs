//! Recoveries of a real pipeline over a real store: killed at every point, two at once, too often, for nothing.
#![allow(clippy::unwrap_used)]

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use equilibrium_app::checkpoint::fence;
use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
use equilibrium_app::clock::{Clock, MachineClock, MachineTime};
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::ports::{Consistency, MapStore};
use equilibrium_app::recover::metrics::RecoveryMetrics;
use equilibrium_app::recover::ports::{
    AcquireError, Details, LEASE_MS, Lease, Levers, PageKey, RecoveryStore, SaveError, StreamState,
};
use equilibrium_app::recover::recoverer::{Parts, Recoverer, RunError, StartError, StartRequest};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::parking::Epoch;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::recovery::{Component, Outcome, Recovery, RecoveryId, Step};
use equilibrium_embedded::store::Store;
use equilibrium_local_pipeline::pipeline::Pipeline;
use parking_lot::Mutex;

const COMPONENT: Component = Component::StreamProcessor;

/// 2026-03-06T17:00:00Z.
const START_MS: i64 = 1_772_816_400_000;

type TestPipeline = Pipeline<NoOp, Arc<PolicySet>>;

/// The clocks of a machine that a test sets.
#[derive(Clone, Debug, Default)]
struct Machine(Arc<Mutex<i64>>);

impl Machine {
    fn advance(&self, ms: i64) {
        *self.0.lock() += ms;
    }
}

impl MachineClock for Machine {
    fn read(&self) -> MachineTime {
        let ms = *self.0.lock();
        MachineTime { monotonic: Duration::from_millis(ms.unsigned_abs()), wall_ms: START_MS + ms }
    }
}

/// A point at which a process can be killed.
async fn killable() {
    let mut is_first = true;
    poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// Polls a future so often at most.
fn poll<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// The output of a future that nothing else is needed for.
fn end<F: Future>(future: F) -> F::Output {
    poll(future, 100_000).expect("it ends")
}

/// A store of recoveries in which a process can be killed before and after each call.
#[derive(Clone, Debug)]
struct Killable(Store);

macro_rules! killable {
    ($call:expr) => {{
        killable().await;
        let answer = $call.await;
        killable().await;
        answer
    }};
}

impl RecoveryStore for Killable {
    async fn acquire(&self, component: Component, now_ms: i64) -> Result<Lease, AcquireError> {
        killable!(self.0.acquire(component, now_ms))
    }

    async fn release(&self, lease: Lease) -> Result<(), Unavailable> {
        killable!(self.0.release(lease))
    }

    async fn save(&self, lease: Lease, recovery: &Recovery, now_ms: i64) -> Result<(), SaveError> {
        killable!(self.0.save(lease, recovery, now_ms))
    }

    async fn unfinished(&self, component: Component) -> Result<Option<RecoveryId>, Unavailable> {
        killable!(self.0.unfinished(component))
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<Recovery>, Unavailable> {
        killable!(RecoveryStore::recovery(&self.0, id))
    }

    async fn page(&self, before: Option<&PageKey>, limit: usize) -> Result<Vec<Recovery>, Unavailable> {
        killable!(RecoveryStore::page(&self.0, before, limit))
    }
}

/// The instances of a pipeline.
#[derive(Default)]
struct Instances {
    current: Option<TestPipeline>,
    /// Those that were replaced, or have failed, and wake up late.
    zombies: Vec<TestPipeline>,
    recovery: Option<RecoveryId>,
    started: usize,
    /// Looks after which an instance that seemed to have failed turns out to run.
    seems_dead: usize,
}

/// The levers over instances in this thread.
#[derive(Clone)]
struct TestLevers {
    store: Store,
    policies: Arc<PolicySet>,
    instances: Arc<Mutex<Instances>>,
}

impl TestLevers {
    fn fresh(&self) -> TestPipeline {
        Pipeline::new(self.store.clone(), Arc::clone(&self.policies), NoOp).unwrap()
    }
}

impl Levers for TestLevers {
    async fn dead_instances(&self) -> Result<Vec<String>, Unavailable> {
        killable().await;
        let mut instances = self.instances.lock();
        let seems_dead = instances.seems_dead > 0;
        instances.seems_dead = instances.seems_dead.saturating_sub(1);
        Ok((seems_dead || instances.current.is_none()).then(|| "ended".to_owned()).into_iter().collect())
    }

    async fn streams(&self, now_ms: i64) -> Result<Vec<StreamState>, Unavailable> {
        let streams = [("events", self.store.events()), ("counts", self.store.counts())];
        let states = streams.map(|(name, log)| StreamState {
            name: name.to_owned(),
            waiting_ms: log.oldest().map(|(_, arrival_ms)| now_ms - arrival_ms),
            progress: log.oldest().map_or(0, |(number, _)| number),
            ..StreamState::default()
        });
        Ok(states.into())
    }

    async fn logs(&self) -> Result<Vec<CheckpointKey>, Unavailable> {
        Ok(self.store.state_logs())
    }

    async fn isolate(&self) -> Result<Details, Unavailable> {
        killable().await;
        Ok(Details::new())
    }

    async fn replace(&self, id: &RecoveryId) -> Result<Details, Unavailable> {
        killable().await;
        {
            let mut instances = self.instances.lock();
            if instances.recovery.as_ref() != Some(id) {
                let mut fresh = self.fresh();
                end(fresh.run());
                let zombie = instances.current.replace(fresh);
                instances.zombies.extend(zombie);
                instances.recovery = Some(id.clone());
                instances.started += 1;
            }
        }
        killable().await;
        Ok(Details::new())
    }

    async fn read_from(&self, _: Option<i64>) -> Result<Details, Unavailable> {
        killable().await;
        Ok(Details::new())
    }

    async fn bridge(&self) -> Result<bool, Unavailable> {
        Ok(false)
    }

    async fn resume(&self) -> Result<Details, Unavailable> {
        killable().await;
        Ok(Details::new())
    }
}

/// A city whose drivers ping each second, over one lane.
struct World {
    machine: Machine,
    store: Store,
    levers: TestLevers,
    second: u32,
}

impl World {
    fn new() -> Self {
        let machine = Machine::default();
        let store = Store::in_memory(LaneCount::ONE, Clock::of(Box::new(machine.clone()), NonZeroU32::MIN));
        let policies = Arc::new(PolicySet::of(vec![Policy::open_city(&nyc())], ResourceLimits::default()));
        let levers = TestLevers { store: store.clone(), policies, instances: Arc::default() };
        levers.instances.lock().current = Some(levers.fresh());
        let mut world = Self { machine, store, levers, second: 0 };
        world.feed(40);
        world.run();
        world
    }

    /// Pings of so many seconds arrive.
    fn feed(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.machine.advance(1_000);
            let (minute, second) = (self.second / 60, self.second % 60);
            let driver = self.second % 7;
            let event = format!(
                r#"{{"type":"driver_location","id":"e","time":"2026-03-06T17:{minute:02}:{second:02}Z","city":"nyc","driver_id":"d{driver}","lat":40.75,"lng":-73.98,"status":"available"}}"#
            );
            self.store.put_in_memory(LaneId(0), event.into_bytes());
            self.second += 1;
        }
    }

    /// The current instance processes everything.
    fn run(&self) {
        let mut instances = self.levers.instances.lock();
        end(instances.current.as_mut().unwrap().run());
    }

    /// The current instance ends, and wakes up later as a zombie.
    fn fail(&self) {
        let mut instances = self.levers.instances.lock();
        let ended = instances.current.take();
        instances.zombies.extend(ended);
    }

    /// A world whose instance has ended with records that wait.
    fn failed() -> Self {
        let mut world = Self::new();
        world.fail();
        world.feed(20);
        world
    }

    fn recoverer(
        &self,
    ) -> Recoverer<
        Killable,
        Store,
        Store,
        Arc<PolicySet>,
        TestLevers,
        impl Fn(Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync,
        impl Fn() -> i64 + Send + Sync,
        impl Fn(&Recovery) + Send + Sync,
    > {
        let (machine, clock) = (self.machine.clone(), self.store.clock());
        Recoverer(Parts {
            store: Killable(self.store.clone()),
            logs: self.store.clone(),
            maps: self.store.clone(),
            policies: Arc::clone(&self.levers.policies),
            levers: self.levers.clone(),
            timer: move |time: Duration| {
                let machine = machine.clone();
                Box::pin(async move {
                    killable().await;
                    machine.advance(i64::try_from(time.as_millis()).unwrap());
                }) as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
            },
            now_ms: move || clock.now_ms(),
            watcher: |_: &Recovery| {},
        })
    }

    /// The published map, in bytes.
    fn map(&self) -> Vec<Vec<u8>> {
        let head = end(self.store.head(&nyc())).unwrap().unwrap();
        let names: Vec<_> = head.chunks.iter().map(|name| (nyc(), *name)).collect();
        let chunks = end(self.store.chunks(&names, Consistency::Strong)).unwrap();
        // The run of the store differs from one world to the next.
        let head = equilibrium_domain::surge::map::MapHead { began_ms: 0, ..head };
        [head.encode()].into_iter().chain(chunks.into_iter().flatten()).collect()
    }

    fn epochs(&self) -> Vec<Epoch> {
        let epoch = |key| end(fence::current(&self.store, &key)).unwrap();
        self.store.state_logs().into_iter().map(epoch).collect()
    }

    fn recoveries(&self) -> Vec<Recovery> {
        end(RecoveryStore::page(&self.store, None, 100)).unwrap()
    }

    fn started(&self) -> usize {
        self.levers.instances.lock().started
    }
}

fn nyc() -> CityId {
    CityId::new("nyc").unwrap()
}

#[test]
fn a_recovery_that_is_killed_at_any_point_is_resumed_and_the_result_is_that_of_a_run_without_faults() {
    let mut faultless = World::new();
    faultless.feed(20);
    faultless.run();
    let expected = faultless.map();

    let mut points = 0;
    loop {
        let world = World::failed();
        let was_killed = poll(world.recoverer().detect(COMPONENT, "test"), points + 1).is_none();
        // The lease of the one that was killed ends.
        world.machine.advance(LEASE_MS);
        if was_killed {
            let resumed = end(world.recoverer().detect(COMPONENT, "test")).unwrap();
            // Where it was killed after its end, there is nothing left to do.
            assert!(resumed.is_none_or(|resumed| resumed.outcome == Some(Outcome::Success)), "{points}");
        }
        let recoveries = world.recoveries();
        assert_eq!(recoveries.len(), 1, "killed at {points}");
        assert_eq!(recoveries[0].outcome, Some(Outcome::Success), "killed at {points}: {recoveries:#?}");
        assert_eq!((recoveries[0].steps.len(), world.started()), (6, 1), "killed at {points}");
        assert!(world.epochs().iter().all(|epoch| *epoch == Epoch(1)), "killed at {points}: raised once");

        world.run();
        assert!(world.map() == expected, "killed at {points}: something was lost or doubled");
        let zombies = std::mem::take(&mut world.levers.instances.lock().zombies);
        for mut zombie in zombies {
            end(zombie.run());
        }
        assert!(world.map() == expected, "killed at {points}: a zombie changed the map");
        if !was_killed {
            break;
        }
        points += 1;
    }
    assert!(points > 60, "only {points} points to be killed at");
}

#[test]
fn a_zombie_that_wakes_up_late_cannot_append_and_knows_it() {
    let mut world = World::new();
    // Another instance has state in memory, too, and wakes up later still.
    let mut late = world.levers.fresh();
    world.feed(5);
    end(late.run());
    world.fail();
    world.feed(20);
    let mut zombie = world.levers.instances.lock().zombies.pop().unwrap();
    for key in world.store.state_logs() {
        end(fence::raise(&world.store, &key, Epoch(0))).unwrap();
    }
    let before: Vec<u64> =
        world.store.state_logs().iter().map(|key| end(world.store.load(key, None)).unwrap().next()).collect();
    end(zombie.run());
    let after: Vec<u64> =
        world.store.state_logs().iter().map(|key| end(world.store.load(key, None)).unwrap().next()).collect();
    assert_eq!(before, after, "it appended nothing");
    assert!(zombie.is_fenced());
    end(zombie.run());
    assert!(zombie.backlog() > 0, "nor does it later");

    // An instance that loads the logs for the first time adopts their epoch.
    let mut fresh = world.levers.fresh();
    end(fresh.run());
    assert!(!fresh.is_fenced() && fresh.backlog() == 0);
    // Snapshots carry the epoch on: the mark is gone when the other one wakes up.
    for _ in 0..12 {
        world.feed(10);
        end(fresh.run());
    }
    assert!(world.epochs().iter().all(|epoch| *epoch == Epoch(1)));
    let loaded = end(world.store.load(&CheckpointKey::City(nyc()), None)).unwrap();
    assert!(loaded.snapshot.is_some(), "a snapshot has followed");
    world.feed(5);
    end(late.run());
    assert!(late.is_fenced());
}

#[test]
fn two_recoveries_never_run_at_once() {
    let world = World::failed();
    let (one, other) = (world.recoverer(), world.recoverer());
    let mut first = pin!(one.detect(COMPONENT, "one"));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..40 {
        assert!(first.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(end(other.detect(COMPONENT, "other")), Err(RunError::Held));
    let running = world.recoveries().remove(0).id;
    let start = StartRequest { component: COMPONENT, id: None, reason: "by hand".into() };
    assert_eq!(end(other.start(start)), Err(StartError::Running(running)));
    let ended = end(first).unwrap().unwrap();
    assert_eq!((ended.outcome, world.started()), (Some(Outcome::Success), 1));
}

#[test]
fn one_that_lost_its_lease_saves_nothing_any_more() {
    let world = World::failed();
    let slow = world.recoverer();
    let mut first = pin!(slow.detect(COMPONENT, "slow"));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..40 {
        assert!(first.as_mut().poll(&mut context).is_pending());
    }
    world.machine.advance(LEASE_MS + 5_000);
    let resumed = end(world.recoverer().detect(COMPONENT, "quick")).unwrap().unwrap();
    assert_eq!((resumed.reason.as_str(), resumed.outcome), ("slow", Some(Outcome::Success)));
    assert_eq!(end(first), Err(RunError::Held));
    assert_eq!((world.recoveries().len(), world.started()), (1, 1));
}

#[test]
fn the_same_name_is_the_same_recovery() {
    let world = World::new();
    let recoverer = world.recoverer();
    let start =
        |name: &str| StartRequest { component: COMPONENT, id: RecoveryId::new(name), reason: "x".into() };
    let first = end(recoverer.start(start("one"))).unwrap();
    assert_eq!(end(recoverer.start(start("one"))).unwrap(), first);
    assert_eq!(end(recoverer.start(start("two"))), Err(StartError::Running(first.id.clone())));
    let ended = end(recoverer.run(COMPONENT)).unwrap().unwrap();
    assert_eq!((ended.outcome, ended.steps.len()), (Some(Outcome::NoFailure), 1));
    assert_eq!(end(recoverer.start(start("one"))).unwrap(), ended, "also after its end");
    assert_eq!(end(recoverer.run(COMPONENT)), Ok(None), "nothing is left to do");
    assert_eq!((world.started(), world.recoveries().len()), (0, 1));
}

#[test]
fn an_instance_that_turns_out_to_run_was_a_false_alarm() {
    for (seems_dead, outcome) in [(1, None), (2, Some(Outcome::FalseAlarm)), (4, Some(Outcome::FalseAlarm))] {
        let world = World::new();
        // The look before a recovery begins is one of these.
        world.levers.instances.lock().seems_dead = seems_dead;
        let ended = end(world.recoverer().detect(COMPONENT, "test")).unwrap().unwrap();
        assert_eq!(ended.outcome, outcome.or(Some(Outcome::NoFailure)), "{seems_dead}");
        assert_eq!((ended.steps.len(), world.started()), (1, 0), "{seems_dead}");
        assert!(world.epochs().iter().all(|epoch| *epoch == Epoch(0)), "{seems_dead}");
    }
}

#[test]
fn a_feed_that_is_silent_is_no_failure_and_leaves_no_record() {
    let world = World::new();
    world.machine.advance(600_000);
    assert_eq!(end(world.recoverer().detect(COMPONENT, "schedule")), Ok(None));
    assert_eq!(world.recoveries(), []);
}

#[test]
fn records_that_wait_while_none_are_processed_are_a_failure() {
    let mut world = World::new();
    world.feed(20);
    let ended = end(world.recoverer().detect(COMPONENT, "schedule")).unwrap().unwrap();
    let looks = &ended.details(Step::DetectFailure).unwrap()["looks"];
    assert_eq!(looks.as_array().unwrap().len(), 4);
    assert_eq!(looks[0]["stalled_streams"], serde_json::json!(["events"]));
    assert_eq!(looks[0]["overdue_cities"], serde_json::json!(["nyc"]));
    assert_eq!((ended.outcome, world.started()), (Some(Outcome::Success), 1));
    let impact = ended.impact.unwrap();
    assert_eq!(impact.services, ["pricing", "notification", "analytics"]);
    assert_eq!(impact.cities_by_mode.values().sum::<usize>(), 1);
}

#[test]
fn after_three_recoveries_within_an_hour_a_failure_is_reported_alone() {
    let mut world = World::new();
    for _ in 0..3 {
        world.fail();
        world.feed(60);
        let ended = end(world.recoverer().detect(COMPONENT, "test")).unwrap().unwrap();
        assert_eq!(ended.outcome, Some(Outcome::Success));
        world.run();
    }
    world.fail();
    world.feed(60);
    let epochs = world.epochs();
    let ended = end(world.recoverer().detect(COMPONENT, "test")).unwrap().unwrap();
    assert_eq!((ended.outcome, ended.steps.len()), (Some(Outcome::Failed), 2));
    assert_eq!(
        RecoveryMetrics::of(&ended),
        RecoveryMetrics { budget_exhausted: 1, ..RecoveryMetrics::default() }
    );
    assert_eq!((world.started(), world.epochs()), (3, epochs), "nothing was done");
    assert_eq!(end(world.recoverer().detect(COMPONENT, "test")), Ok(None), "nor reported at once again");
    world.machine.advance(3_600_000);
    let ended = end(world.recoverer().detect(COMPONENT, "test")).unwrap().unwrap();
    assert_eq!((ended.outcome, world.started()), (Some(Outcome::Success), 4), "an hour later it is done");
    assert!(ended.impact.unwrap().expected_duration_ms.is_some(), "as long as those before");
}

#[test]
fn a_log_that_cannot_be_read_is_parked_with_its_reason_and_named() {
    let world = World::failed();
    let key = CheckpointKey::City(nyc());
    let next = end(world.store.load(&key, None)).unwrap().next();
    end(world.store.append(&key, &Entry::new(next, b"garbage"))).unwrap();
    let ended = end(world.recoverer().detect(COMPONENT, "test")).unwrap().unwrap();
    assert_eq!(ended.outcome, Some(Outcome::Inconsistent));
    let restored = ended.details(Step::RestoreProcessingState).unwrap();
    assert!(restored["parked"]["city/nyc"].is_string(), "{restored:?}");
    let faults = ended.details(Step::ValidateDataConsistency).unwrap()["faults"].to_string();
    assert!(faults.contains("city/nyc cannot be read"), "{faults}");
    let parked = end(equilibrium_app::checkpoint::parking::list(&world.store)).unwrap();
    assert_eq!((parked.len(), &parked[0].key), (1, &key));
}

#[test]
fn a_published_map_that_is_not_that_of_its_log_is_inconsistent() {
    let world = World::failed();
    let head = end(world.store.head(&nyc())).unwrap().unwrap();
    let forged = equilibrium_domain::surge::map::MapHead { version: head.version + 1_000, ..head };
    end(world.store.save_head(&forged)).unwrap();
    let ended = end(world.recoverer().detect(COMPONENT, "test")).unwrap().unwrap();
    assert_eq!(ended.outcome, Some(Outcome::Inconsistent), "{ended:#?}");
}
