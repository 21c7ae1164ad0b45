//! When a map is refreshed, and which map is served if the cache or the store is slow, stale or down.

use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::map::ChunkName;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::fixture::*;

const PRICE: &str = "/v1/price?lat=40.7128&lng=-74.006";

/// When the tick after [`TICK`] usually closes.
const DUE: i64 = TICK + 10_000;

/// The multiplier identifies the version: 1.37 is 7, 1.38 is 8.
async fn multiplier(fixture: &Fixture, now: i64) -> f64 {
    ok_body(&fixture.get(PRICE, now).await)["multiplier"].as_f64().unwrap()
}

/// The future's output, and how long it took.
async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let output = future.await;
    (output, began.elapsed())
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[tokio::test]
async fn a_refresh_begins_when_the_next_tick_is_due() {
    let fixture = Fixture::priced().await;
    assert!(close(multiplier(&fixture, TICK).await, 1.37));
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    assert!(close(multiplier(&fixture, DUE - 1).await, 1.37));
    assert_eq!(fixture.cache.reads(), (1, 2));
    assert!(close(multiplier(&fixture, DUE).await, 1.38));
    assert_eq!(fixture.store.reads(), (0, 0));
}

#[tokio::test]
async fn refreshes_begin_at_least_20_ms_apart() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    for (now, heads) in [(DUE, 2), (DUE + 1, 2), (DUE + 19, 2), (DUE + 20, 3), (DUE + 39, 3), (DUE + 500, 4)]
    {
        multiplier(&fixture, now).await;
        assert_eq!(fixture.cache.reads().0, heads, "{}", now - DUE);
    }
    // The clock was set back.
    multiplier(&fixture, DUE + 400).await;
    assert_eq!(fixture.cache.reads().0, 5);
    assert_eq!(fixture.maps.take_metrics().refreshes, 5);
}

#[tokio::test(start_paused = true)]
async fn one_refresh_serves_all_concurrent_requests() {
    let fixture = Fixture::priced().await;
    fixture.cache.set_delay(5);
    let all = join_all((0..100).map(|_| multiplier(&fixture, TICK))).await;
    assert!(all.iter().all(|multiplier| close(*multiplier, 1.37)));
    assert_eq!(fixture.cache.reads(), (1, 2));
    assert_eq!(fixture.store.reads(), (0, 0));
}

#[tokio::test]
async fn unchanged_chunks_are_not_read_again() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    let before = new_york(7, TICK);
    let mut next = new_york(8, TICK + 5_000);
    let bronx = cell(40.9, -73.86, 8).h3().unwrap().parent(h3o::Resolution::Five).unwrap();
    next.chunks.remove(&bronx.into());
    next.head
        .chunks
        .iter_mut()
        .filter(|chunk| chunk.parent.0 == u64::from(bronx))
        .for_each(|chunk| chunk.version = 7);
    assert_eq!(before.chunks.len(), 2);
    fixture.publish(&next).await;
    assert!(close(multiplier(&fixture, DUE).await, 1.38));
    assert_eq!(fixture.cache.reads(), (2, 3));
    let map = ok_body(&fixture.get("/v1/cities/nyc/surge", DUE).await);
    assert_eq!(map["cells"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn if_the_cache_fails_the_store_is_read() {
    let fixture = Fixture::priced().await;
    fixture.cache.set_down(true);
    assert!(close(multiplier(&fixture, TICK).await, 1.37));
    assert_eq!(fixture.store.reads(), (1, 2));
    assert_eq!(fixture.maps.take_metrics().cache_faults, 1, "its chunks are not read");
}

#[tokio::test]
async fn if_cache_and_store_fail_the_map_in_memory_is_served_with_its_age() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    fixture.cache.set_down(true);
    fixture.store.set_down(true);
    let price = ok_body(&fixture.get(PRICE, TICK + 45_000).await);
    assert_eq!(
        (&price["multiplier"], &price["age_ms"], &price["mode"]),
        (&json!(1.37), &json!(45_000), &json!("cached"))
    );
    assert_eq!(fixture.maps.take_metrics().store_faults, 1);
    fixture.store.set_down(false);
    fixture.publish(&new_york(8, TICK + 40_000)).await;
    assert!(close(multiplier(&fixture, TICK + 45_020).await, 1.38));
}

#[tokio::test]
async fn if_cache_and_store_never_answered_the_mode_is_degraded() {
    let fixture = Fixture::priced().await;
    fixture.cache.set_down(true);
    fixture.store.set_down(true);
    let price = ok_body(&fixture.get(PRICE, TICK).await);
    assert_eq!((&price["multiplier"], &price["mode"]), (&json!(1.2), &json!("degraded")));
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_20_ms_and_a_later_one_continues_its_refresh() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    fixture.cache.set_down(true);
    fixture.store.set_delay(30);

    let (first, waited) = timed(multiplier(&fixture, DUE)).await;
    assert!(close(first, 1.37));
    assert_eq!(waited, Duration::from_millis(20));
    let (second, waited) = timed(multiplier(&fixture, DUE + 25)).await;
    assert!(close(second, 1.37));
    assert_eq!(waited, Duration::ZERO, "the 20 ms are counted from the beginning of the refresh");
    assert_eq!(fixture.maps.take_metrics().refresh_timeouts, 2);

    tokio::time::sleep(Duration::from_millis(15)).await;
    // The head was read, and the chunks are being read.
    assert!(close(multiplier(&fixture, DUE + 35).await, 1.37));
    tokio::time::sleep(Duration::from_millis(30)).await;
    let (third, waited) = timed(multiplier(&fixture, DUE + 65)).await;
    assert!(close(third, 1.38));
    assert_eq!(waited, Duration::ZERO);
    assert_eq!(fixture.store.reads().0, 1, "one refresh");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_joins_a_refresh_waits_for_the_rest_of_its_20_ms() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    fixture.cache.set_delay(1_000);
    fixture.store.set_delay(1_000);
    let late = async {
        tokio::time::sleep(Duration::from_millis(12)).await;
        timed(multiplier(&fixture, DUE + 12)).await.1
    };
    let (_, waited) = tokio::join!(multiplier(&fixture, DUE), late);
    assert_eq!(waited, Duration::from_millis(8));
}

#[tokio::test(start_paused = true)]
async fn a_slow_cache_leaves_time_for_the_store() {
    let fixture = Fixture::priced().await;
    fixture.cache.set_delay(60_000);
    let (price, waited) = timed(multiplier(&fixture, TICK)).await;
    assert!(close(price, 1.37));
    assert_eq!(waited, Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_abandoned() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    fixture.cache.set_delay(600_000);
    fixture.store.set_delay(600_000);
    assert!(close(multiplier(&fixture, DUE).await, 1.37));
    fixture.cache.set_delay(0);
    assert!(close(multiplier(&fixture, DUE + 1_000).await, 1.37));
    assert!(close(multiplier(&fixture, DUE + 1_001).await, 1.38));
}

#[tokio::test]
async fn a_stale_cache_is_bypassed_once_a_tick() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    new_york(8, TICK + 5_000).save(&fixture.store).await;
    assert!(close(multiplier(&fixture, DUE + 4_999).await, 1.37));
    assert_eq!(fixture.store.reads().0, 0);
    assert!(close(multiplier(&fixture, DUE + 5_019).await, 1.38));
    for (now, heads) in [(DUE + 15_000, 2), (DUE + 15_020, 2), (DUE + 19_999, 2), (DUE + 20_020, 3)] {
        multiplier(&fixture, now).await;
        assert_eq!(fixture.store.reads().0, heads, "{}", now - DUE);
    }
}

#[tokio::test]
async fn a_corrupt_chunk_of_the_cache_is_read_from_the_store() {
    let fixture = Fixture::priced().await;
    let map = new_york(7, TICK);
    for parent in map.chunks.keys() {
        fixture
            .cache
            .maps()
            .save_chunk(&map.head.city, ChunkName::new(Cell(*parent), 7), b"corrupt")
            .await
            .unwrap();
    }
    assert!(close(multiplier(&fixture, TICK).await, 1.37));
    assert_eq!((fixture.store.reads(), fixture.maps.take_metrics().corrupt), ((0, 2), 2));
}

#[tokio::test]
async fn a_map_with_a_missing_chunk_is_not_served() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    let mut incomplete = new_york(8, TICK + 5_000);
    incomplete.chunks.clear();
    fixture.publish(&incomplete).await;
    let price = ok_body(&fixture.get(PRICE, DUE).await);
    assert_eq!((&price["multiplier"], &price["age_ms"]), (&json!(1.37), &json!(10_000)));
    fixture.publish(&new_york(9, TICK + 10_000)).await;
    assert!(close(multiplier(&fixture, DUE + 20).await, 1.39));
}

#[tokio::test]
async fn a_newer_map_is_never_replaced_by_an_older_one() {
    let fixture = Fixture::new();
    new_york(8, TICK + 5_000).save(&fixture.store).await;
    fixture.cache.set_down(true);
    assert!(close(multiplier(&fixture, TICK + 5_000).await, 1.38));
    new_york(7, TICK).save(&fixture.cache).await;
    fixture.cache.set_down(false);
    assert!(close(multiplier(&fixture, DUE + 5_000).await, 1.38));
}
