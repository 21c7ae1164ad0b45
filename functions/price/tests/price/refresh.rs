//! When a map is refreshed, and which map is served if the cache or the store is slow, stale or down.

use equilibrium_app::price::ports::MapStore;
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
async fn looks_that_find_nothing_pause_and_then_back_off_to_a_second() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    let mut looks = Vec::new();
    for now in DUE..DUE + 20_000 {
        let before = fixture.cache.reads().0;
        multiplier(&fixture, now).await;
        if fixture.cache.reads().0 > before {
            looks.push(now - DUE);
        }
    }
    let pauses: Vec<i64> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(looks[0] <= 1 && (100..=250).contains(&pauses[0]), "{looks:?}");
    assert!(pauses[10..].iter().all(|pause| *pause == 1_000), "{pauses:?}");
    // The clock was set back.
    multiplier(&fixture, DUE + 400).await;
    assert_eq!(fixture.cache.reads().0, looks.len() + 2);
    assert_eq!(fixture.maps.take_metrics().refreshes, looks.len() as u64 + 2);
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
    assert_eq!(fixture.maps.take_metrics().store_faults, 2, "a look that failed is tried once more");
    fixture.store.set_down(false);
    fixture.publish(&new_york(8, TICK + 40_000)).await;
    assert!(close(multiplier(&fixture, TICK + 45_500).await, 1.38));
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
async fn no_request_waits_while_the_map_is_fresh_and_a_later_one_continues_the_look() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    fixture.cache.set_down(true);
    fixture.store.set_delay(30);

    let (first, waited) = timed(multiplier(&fixture, DUE + 100)).await;
    assert!(close(first, 1.37));
    assert_eq!(waited, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(35)).await;
    // The head was read, and the chunks are being read.
    assert!(close(multiplier(&fixture, DUE + 135).await, 1.37));
    tokio::time::sleep(Duration::from_millis(35)).await;
    let (second, waited) = timed(multiplier(&fixture, DUE + 170)).await;
    assert!(close(second, 1.38));
    assert_eq!(waited, Duration::ZERO);
    assert_eq!((fixture.store.reads().0, fixture.maps.take_metrics().refresh_timeouts), (1, 0), "one look");
}

#[tokio::test(start_paused = true)]
async fn a_look_goes_on_after_the_response_before_lambda_freezes_the_instance() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    fixture.publish(&new_york(8, TICK + 5_000)).await;
    fixture.cache.set_delay(5);
    assert!(close(multiplier(&fixture, DUE + 100).await, 1.37));
    let ((), took) = timed(fixture.maps.finish()).await;
    assert_eq!(took, Duration::from_millis(10));
    assert!(close(multiplier(&fixture, DUE + 60_000).await, 1.38));
}

#[tokio::test(start_paused = true)]
async fn the_first_request_of_an_instance_waits_for_the_right_price() {
    for (cache_ms, store_ms, takes_ms) in [(30, 30, 70), (5, 30, 10), (60_000, 300, 610)] {
        let fixture = Fixture::priced().await;
        fixture.cache.set_delay(cache_ms);
        fixture.store.set_delay(store_ms);
        let (price, waited) = timed(multiplier(&fixture, TICK)).await;
        assert!(close(price, 1.37));
        assert_eq!(waited, Duration::from_millis(takes_ms));
        // The same after a rest: the map in memory is no longer fresh.
        fixture.publish(&new_york(8, TICK + 100_000)).await;
        assert!(close(multiplier(&fixture, TICK + 103_000).await, 1.38));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_fresh_map_waits_a_second_at_most() {
    let fixture = Fixture::priced().await;
    fixture.cache.set_delay(60_000);
    fixture.store.set_delay(60_000);
    let (price, waited) = timed(fixture.get(PRICE, TICK)).await;
    assert_eq!((ok_body(&price)["mode"].clone(), waited), (json!("degraded"), Duration::from_secs(1)));
    assert_eq!(fixture.maps.take_metrics().refresh_timeouts, 1);
    fixture.store.set_delay(0);
    assert!(close(multiplier(&fixture, TICK + 1_001).await, 1.37), "the look that hangs is given up");
}

#[tokio::test(start_paused = true)]
async fn the_maps_of_all_cities_are_read_at_start() {
    let fixture = Fixture::priced().await;
    fixture.store.set_delay(40);
    fixture.cache.set_down(true);
    Map::new("hoboken", 3, TICK, 8, &[]).save(&fixture.store).await;
    equilibrium_price::read_at_start(&fixture.maps, &fixture.policies, TICK).await;
    let (price, waited) = timed(multiplier(&fixture, TICK)).await;
    assert!(close(price, 1.37));
    assert_eq!((waited, fixture.store.requests()), (Duration::ZERO, 2), "one of heads and one of chunks");

    let down = Fixture::priced().await;
    down.cache.set_down(true);
    down.store.set_down(true);
    equilibrium_price::read_at_start(&down.maps, &down.policies, TICK).await;
    down.store.set_down(false);
    assert!(close(multiplier(&down, TICK + 300).await, 1.37), "a start without stores does not fail");
}

#[tokio::test(start_paused = true)]
async fn the_store_is_read_five_times_a_second_at_most_whatever_is_broken() {
    for (cache_down, store_delay_ms, new_ticks) in
        [(true, 0, false), (true, 0, true), (true, 700, true), (false, 0, false)]
    {
        let fixture = Fixture::priced().await;
        fixture.cache.set_down(cache_down);
        fixture.store.set_delay(store_delay_ms);
        let began = Instant::now();
        let mut tick = 0;
        while began.elapsed() < Duration::from_secs(30) {
            let now = TICK + i64::try_from(began.elapsed().as_millis()).unwrap();
            let policies = || fixture.policies.cities(None).map(|city| &city.pricing.policy);
            if new_ticks && now >= TICK + tick * 5_000 {
                for policy in policies() {
                    let (version, at) = (u64::try_from(10 + tick).unwrap(), TICK + tick * 5_000);
                    let row = row(0, cell(MANHATTAN.0, MANHATTAN.1, 8), 1, 1, 100);
                    Map::new(policy.city.as_str(), version, at, 8, &[row]).save(&fixture.store).await;
                }
                tick += 1;
            }
            join_all(policies().map(|policy| fixture.maps.map(&policy.city, policy.clock, now))).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let most = fixture.store.most_in_a_second();
        assert!(most <= 5, "{most} with {cache_down} {store_delay_ms} {new_ticks}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_heads_of_many_cities_are_read_together_and_every_city_has_its_turn() {
    let policies: Vec<_> = (0..60).map(|number| policy(&format!("city-{number}"))).collect();
    let fixture = Fixture::of(&policies);
    fixture.cache.set_down(true);
    // Each map has 50 chunks: one read takes those of two cities.
    let rows: Vec<_> = (0..50).map(|step| row(0, cell(f64::from(step), 10.0, 8), 1, 1, 120)).collect();
    for number in 0..60 {
        Map::new(&format!("city-{number}"), 1, TICK, 8, &rows).save(&fixture.store).await;
    }
    let cities: Vec<_> = fixture.policies.cities(None).map(|city| &city.pricing.policy).collect();
    let mut priced = Vec::new();
    for second in 0..40 {
        let maps =
            cities.iter().map(|policy| fixture.maps.map(&policy.city, policy.clock, TICK + second * 1_000));
        priced.push(join_all(maps).await.iter().flatten().count());
    }
    assert!(priced.is_sorted() && priced.last() == Some(&60), "{priced:?}");
    assert!(fixture.store.requests() <= 40 * 5, "{}", fixture.store.requests());
    let page = ok_body(&fixture.get("/v1/cities", TICK + 41_000).await);
    assert!(page["cities"].as_array().unwrap().iter().all(|city| city["age_ms"] == 41_000), "{page}");
}

#[tokio::test]
async fn a_chunk_that_is_not_there_yet_is_read_consistently() {
    let fixture = Fixture::priced().await;
    fixture.cache.set_down(true);
    fixture.store.set_lagging(true);
    assert!(close(multiplier(&fixture, TICK).await, 1.37));
    assert_eq!(fixture.store.requests(), 3);
}

#[tokio::test]
async fn the_time_of_the_next_map_is_learned() {
    let fixture = Fixture::priced().await;
    multiplier(&fixture, TICK).await;
    let mut looks = 0;
    for tick in 1..40 {
        let arrives = TICK + tick * 5_000 + 5_000 + 1_800;
        let before = fixture.cache.reads().0;
        for now in (arrives - 1_800..arrives + 3_200).step_by(10) {
            if now == arrives {
                let version = u64::try_from(7 + tick).unwrap();
                fixture.publish(&new_york(version, TICK + tick * 5_000)).await;
            }
            multiplier(&fixture, now).await;
        }
        looks = fixture.cache.reads().0 - before;
    }
    assert!((1..=3).contains(&looks), "{looks}");
    assert_eq!(fixture.store.reads().0, 0, "a map that is usually late is not overdue");
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
    assert!(close(multiplier(&fixture, DUE + 5_250).await, 1.38));
    let mut bypasses = Vec::new();
    for now in DUE + 5_250..DUE + 24_000 {
        let before = fixture.store.reads().0;
        multiplier(&fixture, now).await;
        bypasses.extend((fixture.store.reads().0 > before).then_some(now - DUE));
    }
    assert_eq!(bypasses.len(), 3, "{bypasses:?}");
    assert!((10_000..13_000).contains(&bypasses[0]), "{bypasses:?}");
    assert!(bypasses.windows(2).all(|pair| (5_000..=6_000).contains(&(pair[1] - pair[0]))), "{bypasses:?}");
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
    assert!(close(multiplier(&fixture, DUE + 250).await, 1.39));
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
