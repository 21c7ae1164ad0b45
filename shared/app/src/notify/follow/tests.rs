//! Scenarios of subscribers that follow a change log.

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::verdict::Status;
use equilibrium_domain::policy::overrides::{Override, OverrideKind};
use equilibrium_domain::policy::{Multiplier, Policy, Published};
use equilibrium_domain::surge::bounds::OverrideSet;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::{ClosedTick, MapHead, Row};
use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::clock::{Clock, MachineClock, MachineTime};
use crate::memory::MemoryMaps;
use crate::notify::change::{HealthChanged, Pulse};
use crate::notify::change_log::{KEPT_MS, MAX_KEPT_CELLS};
use crate::policy::policy_set::{CityConfig, PolicySet, ResourceLimits};
use crate::surge::ports::TickLog;

type Log = Arc<ChangeLog<Arc<PolicySet>, MemoryMaps>>;

/// The clocks of a machine that the test sets, in milliseconds.
#[derive(Debug, Default)]
struct Machine(Arc<parking_lot::Mutex<i64>>);

impl MachineClock for Machine {
    fn read(&self) -> MachineTime {
        let wall_ms = *self.0.lock();
        MachineTime { monotonic: std::time::Duration::from_millis(wall_ms.unsigned_abs()), wall_ms }
    }
}

fn policies() -> Arc<PolicySet> {
    let square = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]});
    let policy = |city: &str| {
        let document = json!({"city": city, "currency": "EUR", "boundary": square,
            "products": [{"id": "one"}, {"id": "two"}]});
        (3, Policy::from_json(&document).unwrap())
    };
    Arc::new(PolicySet::of_versions(["lima", "oslo"].map(policy).into_iter(), ResourceLimits::default()))
}

fn log() -> (Log, Arc<parking_lot::Mutex<i64>>) {
    let machine = Machine(Arc::new(parking_lot::Mutex::new(1_000)));
    let now_ms = Arc::clone(&machine.0);
    let clock = Clock::of(Box::new(machine), std::num::NonZeroU32::MIN);
    (Arc::new(ChangeLog::new(policies(), MemoryMaps::default(), clock)), now_ms)
}

fn city(id: &str) -> CityId {
    CityId::new(id).unwrap()
}

fn head(id: &str, began_ms: i64) -> MapHead {
    MapHead {
        city: city(id),
        began_ms,
        version: 0,
        as_of: 0,
        lanes_reported: 3,
        lanes: 4,
        feed: Feed::Ok,
        resolution: 8,
        products: ["one", "two"].map(|id| ProductId::new(id).unwrap()).into(),
        chunks: Vec::new(),
    }
}

fn row(product: u8, cell: u64, hundredths: u16) -> Row {
    Row { product, cell: Cell(cell), demand: 2, supply: 1, published: Published::new(hundredths).unwrap() }
}

fn tick(version: u64, rows: &[Row]) -> ClosedTick {
    let at = i64::try_from(version).unwrap() * 5_000;
    let (rows, changes) = (rows.to_vec(), Vec::new());
    ClosedTick {
        from: at,
        at,
        tick_ms: 5_000,
        version,
        lanes_reported: 3,
        feed: Feed::Ok,
        rows,
        changes,
        edges: Vec::new(),
    }
}

async fn record(log: &Log, id: &str, version: u64, rows: &[Row]) {
    log.record(&head(id, 7), &[tick(version, rows)]).await.unwrap();
}

fn id(city_id: &str, version: u64) -> VersionId {
    VersionId { run: 7, city: city(city_id), version }
}

/// What can be read without waiting: versions with their cells and gone cells, and the names of everything else.
fn read(follower: &mut Follower<Arc<PolicySet>, MemoryMaps>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(next) = follower.next().now_or_never() {
        match next {
            Next::Reload => lines.push("reload".into()),
            Next::Pulse(pulse) => lines.push(format!("pulse {}", pulse.pulse.now_ms)),
            Next::Changes(changes) => lines.extend(changes.iter().map(|logged| line(&logged.change))),
        }
    }
    lines
}

fn line(change: &Change) -> String {
    let city = change.city().map_or("all", CityId::as_str);
    match change {
        Change::Surge(change) => {
            let cells: Vec<_> =
                change.cells.iter().map(|row| (row.cell.0, row.multiplier.hundredths())).collect();
            let gone: Vec<_> = change.gone.iter().map(|cell| cell.0).collect();
            format!("{city} {} {}-{} {cells:?} {gone:?}", change.product, change.from, change.version)
        }
        Change::Mode(change) => format!("{city} {} {}", change.from, change.mode),
        Change::Feed(change) => format!("{city} {} {}", change.from, change.feed),
        Change::Health(change) => format!("{city} {} {:?}", change.component, change.status),
    }
}

fn of_product(city_id: &str, product: &str) -> Filter {
    Filter { city: Some(city(city_id)), product: ProductId::new(product), cells: None }
}

#[tokio::test]
async fn every_tick_of_every_product_is_sent_with_what_changed() {
    let (log, _) = log();
    let mut all = Follower::new(Arc::clone(&log), Filter::default(), &Start::Newest);
    let mut one = Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::Newest);
    assert!(read(&mut all).is_empty());
    record(&log, "lima", 1, &[row(0, 3, 100), row(0, 5, 120), row(1, 3, 100)]).await;
    record(&log, "lima", 2, &[row(0, 4, 100), row(0, 5, 130), row(1, 3, 100)]).await;
    record(&log, "oslo", 1, &[]).await;
    record(&log, "lima", 3, &[row(0, 4, 100), row(0, 5, 130), row(1, 3, 100)]).await;
    let first = ["lima one 0-1 [(3, 100), (5, 120)] []", "lima two 0-1 [(3, 100)] []"];
    let second = ["lima one 1-2 [(4, 100), (5, 130)] [3]", "lima two 1-2 [] []"];
    let oslo = ["oslo one 0-1 [] []", "oslo two 0-1 [] []"];
    let third = ["lima one 2-3 [] []", "lima two 2-3 [] []"];
    assert_eq!(read(&mut all), [first, second, oslo, third].concat());
    assert_eq!(read(&mut one), [first[0], second[0], third[0]]);
    record(&log, "lima", 3, &[row(0, 9, 100)]).await;
    assert!(read(&mut all).is_empty(), "a repeated tick is the same tick");
}

#[tokio::test]
async fn a_subscriber_that_returns_gets_what_it_missed_or_reloads() {
    let (log, _) = log();
    for version in 5..=8 {
        record(&log, "lima", version, &[row(0, version, 100)]).await;
        record(&log, "oslo", version, &[]).await;
    }
    let returning =
        |filter: Filter, after| read(&mut Follower::new(Arc::clone(&log), filter, &Start::After(after)));
    assert_eq!(returning(of_product("lima", "one"), id("lima", 7)), ["lima one 7-8 [(8, 100)] [7]"]);
    let whole = returning(Filter::default(), id("lima", 8));
    assert_eq!(whole, ["lima two 7-8 [] []", "oslo one 7-8 [] []", "oslo two 7-8 [] []"], "at least once");
    assert!(returning(of_product("lima", "one"), id("lima", 8)).is_empty());
    // The first version that was recorded does not say what came before it.
    assert_eq!(returning(of_product("lima", "one"), id("lima", 4)), ["reload"]);
    assert_eq!(returning(of_product("lima", "one"), VersionId { run: 8, ..id("lima", 7) }), ["reload"]);
    assert_eq!(returning(Filter::default(), id("quito", 7)), ["reload"]);
    assert_eq!(read(&mut Follower::new(Arc::clone(&log), Filter::default(), &Start::Unknown)), ["reload"]);
}

#[tokio::test]
async fn a_new_run_of_a_city_begins_again() {
    let (log, _) = log();
    record(&log, "lima", 9, &[row(0, 3, 100)]).await;
    let mut follower = Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::Newest);
    log.record(&head("lima", 8), &[tick(1, &[row(0, 4, 100)])]).await.unwrap();
    log.record(&head("lima", 8), &[tick(2, &[row(0, 4, 100)])]).await.unwrap();
    assert_eq!(read(&mut follower), ["lima one 0-1 [(4, 100)] []", "lima one 1-2 [] []"]);
}

#[tokio::test]
async fn what_is_old_or_too_much_is_dropped_and_who_has_not_read_it_reloads() {
    let (log, now_ms) = log();
    let follower = || Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::Newest);
    let mut slow = follower();
    record(&log, "lima", 1, &[]).await;
    *now_ms.lock() += KEPT_MS + 1;
    log.record_pulse(Pulse { now_ms: *now_ms.lock(), ..Pulse::default() });
    assert_eq!(read(&mut slow), ["reload".to_owned(), format!("pulse {now_ms}", now_ms = now_ms.lock())]);
    assert!(log.state().lock().kept.is_empty());

    let mut slow = follower();
    assert_eq!(read(&mut slow).len(), 1, "the last pulse");
    let rows: Vec<Row> = (0..400_000).map(|cell| row(0, cell, 100)).collect();
    for version in 2..=4 {
        let rows: Vec<Row> =
            rows.iter().map(|cell| Row { demand: u32::try_from(version).unwrap(), ..*cell }).collect();
        record(&log, "lima", version, &rows).await;
    }
    let kept: usize = log
        .state()
        .lock()
        .kept
        .iter()
        .map(|logged| match &logged.change {
            Change::Surge(change) => change.cells.len(),
            _ => 0,
        })
        .sum();
    assert!(kept <= MAX_KEPT_CELLS && kept > 0);
    assert_eq!(read(&mut slow), ["reload"]);
}

#[tokio::test]
async fn modes_and_feeds_are_sent_when_they_change() {
    let (log, now_ms) = log();
    let mut follower = Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::Newest);
    log.record_mode(&city("lima"), None, Mode::Degraded, 1_000);
    assert!(read(&mut follower).is_empty(), "nothing has been sent of the city");
    record(&log, "lima", 1, &[]).await;
    log.record_mode(&city("lima"), Some(5_000), Mode::Fresh, 2_000);
    log.record_mode(&city("lima"), Some(5_000), Mode::Cached, 40_000);
    log.record_mode(&city("oslo"), None, Mode::Cached, 40_000);
    *now_ms.lock() = 11_000;
    let suspect = ClosedTick { feed: Feed::Suspect, ..tick(2, &[]) };
    log.record(&head("lima", 7), &[suspect]).await.unwrap();
    let expected = [
        "lima one 0-1 [] []",
        "lima fresh cached",
        "lima cached fresh",
        "lima ok suspect",
        "lima one 1-2 [] []",
    ];
    assert_eq!(read(&mut follower), expected);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken() {
    let (log, _) = log();
    let mut follower = Follower::new(Arc::clone(&log), Filter::default(), &Start::Newest);
    let waiting = tokio::spawn(async move { follower.next().await });
    tokio::task::yield_now().await;
    log.record_pulse(Pulse::default());
    assert!(matches!(waiting.await.unwrap(), Next::Pulse(_)));
}

#[test]
fn an_id_is_read_as_it_is_written() {
    let written = id("lima", 812).to_string();
    assert_eq!((written.as_str(), VersionId::parse(&written)), ("7.lima.812", Some(id("lima", 812))));
    for text in ["", "7", "7.lima", "7.lima.", "7.li.ma.1", "x.lima.1", "7.LIMA.1", "7.lima.-1"] {
        assert_eq!(VersionId::parse(text), None, "{text}");
    }
}

/// The configuration of a city with this override, in force from 1 s to 20 s.
fn config_with(id: &str, kind: OverrideKind) -> CityConfig {
    let one = Override {
        id: "o1".into(),
        kind,
        product: ProductId::new("one"),
        polygon: None,
        starts_at: 1_000,
        ends_at: 20_000,
        reason: "test".into(),
        author: "local".into(),
        created_at: 1_000,
        ended_at: None,
    };
    let square = json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]});
    let document = json!({"city": id, "currency": "EUR", "boundary": square,
        "products": [{"id": "one"}, {"id": "two"}]});
    let policies = [(3, Policy::from_json(&document).unwrap())].into_iter();
    let overrides = OverrideSet { created: 1, overrides: vec![Arc::new(one)] };
    let set = PolicySet::of_versions(policies, ResourceLimits::default());
    set.with_overrides(vec![(city(id), overrides)]).city(id).unwrap()
}

#[tokio::test]
async fn a_change_of_bounds_is_sent_with_the_version_that_it_bounds() {
    let (log, _) = log();
    let mut all = Follower::new(Arc::clone(&log), Filter::default(), &Start::Newest);
    record(&log, "lima", 1, &[row(0, 7, 170), row(0, 8, 110), row(1, 7, 170)]).await;
    read(&mut all);
    let capped = config_with("lima", OverrideKind::Cap(Multiplier::new(150).unwrap()));
    for _ in 0..2 {
        log.record_bounds(&capped, 6_000).await;
    }
    assert_eq!(read(&mut all), ["lima one 1-1 [(7, 150)] []", "lima two 1-1 [] []"], "once");
    log.record_bounds(&config_with("oslo", OverrideKind::Kill), 6_000).await;
    assert!(read(&mut all).is_empty(), "a city without a map has nothing to bound");

    // One that has read the tick alone gets the bounds that followed.
    let mut returning =
        Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::After(id("lima", 1)));
    assert_eq!(read(&mut returning), ["lima one 1-1 [(7, 150)] []"]);
    // The end of an override is a change, too.
    log.record_bounds(&capped, 20_000).await;
    assert_eq!(read(&mut returning), ["lima one 1-1 [(7, 170)] []"]);
    let Change::Surge(last) = &log.state().lock().kept.back().unwrap().change.clone() else { panic!() };
    assert_eq!((last.bounds, last.product.as_str()), (5, "two"), "the policy's version, a start and an end");
}

#[tokio::test]
async fn a_frozen_cell_is_sent_with_its_multiplier_of_the_start_and_stays() {
    let (log, _) = log();
    let mut one = Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::Newest);
    let products = head("lima", 7).products;
    let frozen = FrozenMap::new(products, vec![row(0, 7, 170), row(0, 9, 120)]);
    log.maps.save_frozen(&city("lima"), 1_000, &frozen).await.unwrap();
    record(&log, "lima", 1, &[row(0, 7, 200), row(0, 8, 130)]).await;
    log.record_bounds(&config_with("lima", OverrideKind::Freeze), 6_000).await;
    assert_eq!(
        read(&mut one),
        ["lima one 0-1 [(7, 200), (8, 130)] []", "lima one 1-1 [(7, 170), (8, 100), (9, 120)] []"]
    );
}

#[tokio::test]
async fn a_change_of_health_reaches_every_subscriber() {
    let (log, _) = log();
    let mut of_city = Follower::new(Arc::clone(&log), of_product("lima", "one"), &Start::Newest);
    log.record_health(HealthChanged {
        component: Component::Kinesis,
        from: Status::Healthy,
        status: Status::Unhealthy,
        overall: Status::Degraded,
        error: None,
        now_ms: 1,
    });
    assert_eq!(read(&mut of_city), ["all kinesis Unhealthy"]);
}
