//! When the map is looked at, and what answers where it cannot be.

use equilibrium_app::surge::ports::MapStore;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::world::*;

const PRICE: &str = "/v1/price?lat=40.7128&lng=-74.006";

/// When the tick after [`TICK`] closes.
const DUE: i64 = TICK + 10_000;

/// The multiplier tells the version: 1.37 of 7, 1.38 of 8.
async fn multiplier(town: &Town, now: i64) -> f64 {
    priced(&town.get(PRICE, now).await)["multiplier"].as_f64().unwrap()
}

/// What `ask` gives, and how long it took.
async fn timed<T>(ask: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let answer = ask.await;
    (answer, began.elapsed())
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[tokio::test]
async fn the_head_is_looked_at_from_when_the_next_tick_is_due() {
    let town = Town::priced().await;
    assert!(close(multiplier(&town, TICK).await, 1.37));
    town.publish(&new_york(8, TICK + 5_000)).await;
    assert!(close(multiplier(&town, DUE - 1).await, 1.37));
    assert_eq!(town.cache.reads(), (1, 2));
    assert!(close(multiplier(&town, DUE).await, 1.38));
    assert_eq!(town.store.reads(), (0, 0));
}

#[tokio::test]
async fn it_is_looked_at_every_20_ms_at_most_until_it_comes() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    for (now, heads) in [(DUE, 2), (DUE + 1, 2), (DUE + 19, 2), (DUE + 20, 3), (DUE + 39, 3), (DUE + 500, 4)]
    {
        multiplier(&town, now).await;
        assert_eq!(town.cache.reads().0, heads, "{}", now - DUE);
    }
    // A clock that was set back.
    multiplier(&town, DUE + 400).await;
    assert_eq!(town.cache.reads().0, 5);
    assert_eq!(town.maps.take_metrics().refreshes, 5);
}

#[tokio::test(start_paused = true)]
async fn one_look_serves_all_who_wait() {
    let town = Town::priced().await;
    town.cache.set_delay(5);
    let all = join_all((0..100).map(|_| multiplier(&town, TICK))).await;
    assert!(all.iter().all(|multiplier| close(*multiplier, 1.37)));
    assert_eq!(town.cache.reads(), (1, 2));
    assert_eq!(town.store.reads(), (0, 0));
}

#[tokio::test]
async fn chunks_that_stayed_are_not_fetched_again() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    let before = new_york(7, TICK);
    let mut next = new_york(8, TICK + 5_000);
    let bronx = cell(40.9, -73.86, 8).h3().unwrap().parent(h3o::Resolution::Five).unwrap();
    next.chunks.remove(&bronx.into());
    next.head
        .chunks
        .iter_mut()
        .filter(|(parent, _)| parent.0 == u64::from(bronx))
        .for_each(|chunk| chunk.1 = 7);
    assert_eq!(before.chunks.len(), 2);
    town.publish(&next).await;
    assert!(close(multiplier(&town, DUE).await, 1.38));
    assert_eq!(town.cache.reads(), (2, 3));
    let map = priced(&town.get("/v1/cities/nyc/surge", DUE).await);
    assert_eq!(map["cells"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn where_the_cache_fails_the_store_answers() {
    let town = Town::priced().await;
    town.cache.set_down(true);
    assert!(close(multiplier(&town, TICK).await, 1.37));
    assert_eq!(town.store.reads(), (1, 2));
    assert_eq!(town.maps.take_metrics().cache_faults, 1, "its chunks are not asked for");
}

#[tokio::test]
async fn where_both_fail_the_old_map_answers_with_its_age() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    town.cache.set_down(true);
    town.store.set_down(true);
    let price = priced(&town.get(PRICE, TICK + 45_000).await);
    assert_eq!(
        (&price["multiplier"], &price["age_ms"], &price["mode"]),
        (&json!(1.37), &json!(45_000), &json!("cached"))
    );
    assert_eq!(town.maps.take_metrics().store_faults, 1);
    town.store.set_down(false);
    town.publish(&new_york(8, TICK + 40_000)).await;
    assert!(close(multiplier(&town, TICK + 45_020).await, 1.38));
}

#[tokio::test]
async fn where_both_fail_from_the_start_the_ladder_ends_at_one() {
    let town = Town::priced().await;
    town.cache.set_down(true);
    town.store.set_down(true);
    let price = priced(&town.get(PRICE, TICK).await);
    assert_eq!((&price["multiplier"], &price["mode"]), (&json!(1.2), &json!("degraded")));
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_20_ms_and_the_next_takes_what_came() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    town.publish(&new_york(8, TICK + 5_000)).await;
    town.cache.set_down(true);
    town.store.set_delay(30);

    let (first, waited) = timed(multiplier(&town, DUE)).await;
    assert!(close(first, 1.37));
    assert_eq!(waited, Duration::from_millis(20));
    let (second, waited) = timed(multiplier(&town, DUE + 25)).await;
    assert!(close(second, 1.37));
    assert_eq!(waited, Duration::ZERO, "its patience was the first one's");
    assert_eq!(town.maps.take_metrics().refresh_timeouts, 2);

    tokio::time::sleep(Duration::from_millis(15)).await;
    // The head is there, and the chunks are asked for.
    assert!(close(multiplier(&town, DUE + 35).await, 1.37));
    tokio::time::sleep(Duration::from_millis(30)).await;
    let (third, waited) = timed(multiplier(&town, DUE + 65)).await;
    assert!(close(third, 1.38));
    assert_eq!(waited, Duration::ZERO);
    assert_eq!(town.store.reads().0, 1, "one look, begun once");
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_look_waits_for_what_is_left_of_its_20_ms() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    town.cache.set_delay(1_000);
    town.store.set_delay(1_000);
    let late = async {
        tokio::time::sleep(Duration::from_millis(12)).await;
        timed(multiplier(&town, DUE + 12)).await.1
    };
    let (_, waited) = tokio::join!(multiplier(&town, DUE), late);
    assert_eq!(waited, Duration::from_millis(8));
}

#[tokio::test(start_paused = true)]
async fn a_slow_cache_leaves_time_for_the_store() {
    let town = Town::priced().await;
    town.cache.set_delay(60_000);
    let (price, waited) = timed(multiplier(&town, TICK)).await;
    assert!(close(price, 1.37));
    assert_eq!(waited, Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_is_given_up() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    town.publish(&new_york(8, TICK + 5_000)).await;
    town.cache.set_delay(600_000);
    town.store.set_delay(600_000);
    assert!(close(multiplier(&town, DUE).await, 1.37));
    town.cache.set_delay(0);
    assert!(close(multiplier(&town, DUE + 1_000).await, 1.37));
    assert!(close(multiplier(&town, DUE + 1_001).await, 1.38));
}

#[tokio::test]
async fn a_cache_that_stands_still_is_doubted_once_a_tick() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    new_york(8, TICK + 5_000).save(&town.store).await;
    assert!(close(multiplier(&town, DUE + 4_999).await, 1.37));
    assert_eq!(town.store.reads().0, 0);
    assert!(close(multiplier(&town, DUE + 5_019).await, 1.38));
    for (now, heads) in [(DUE + 15_000, 2), (DUE + 15_020, 2), (DUE + 19_999, 2), (DUE + 20_020, 3)] {
        multiplier(&town, now).await;
        assert_eq!(town.store.reads().0, heads, "{}", now - DUE);
    }
}

#[tokio::test]
async fn a_chunk_that_nobody_can_read_comes_from_the_store() {
    let town = Town::priced().await;
    let map = new_york(7, TICK);
    for parent in map.chunks.keys() {
        town.cache.maps().save_chunk(&map.head.city, *parent, 7, b"spoiled").await.unwrap();
    }
    assert!(close(multiplier(&town, TICK).await, 1.37));
    assert_eq!((town.store.reads(), town.maps.take_metrics().corrupt), ((0, 2), 2));
}

#[tokio::test]
async fn a_map_with_a_chunk_missing_is_not_taken() {
    let town = Town::priced().await;
    multiplier(&town, TICK).await;
    let mut incomplete = new_york(8, TICK + 5_000);
    incomplete.chunks.clear();
    town.publish(&incomplete).await;
    let price = priced(&town.get(PRICE, DUE).await);
    assert_eq!((&price["multiplier"], &price["age_ms"]), (&json!(1.37), &json!(10_000)));
    town.publish(&new_york(9, TICK + 10_000)).await;
    assert!(close(multiplier(&town, DUE + 20).await, 1.39));
}

#[tokio::test]
async fn nobody_goes_back_to_an_older_map() {
    let town = Town::new();
    new_york(8, TICK + 5_000).save(&town.store).await;
    town.cache.set_down(true);
    assert!(close(multiplier(&town, TICK + 5_000).await, 1.38));
    new_york(7, TICK).save(&town.cache).await;
    town.cache.set_down(false);
    assert!(close(multiplier(&town, DUE + 5_000).await, 1.38));
}
