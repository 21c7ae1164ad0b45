//! Answers compared with every rung of the ladder, and where their maps came from.

use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::metrics::RungMetrics;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::price::rungs::{SAMPLE_INTERVAL_MS, SAMPLED_OF};
use equilibrium_app::price::tier::{Tier, TierHits};
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::map::{ChunkName, encode_chunk};
use serde_json::json;
use tokio::time::Duration;

use crate::fixture::*;

const NEW_YORK: &str = "/v1/price?lat=40.7128&lng=-74.006";
const AUCKLAND: &str = "/v1/price?lat=-36.85&lng=174.76";

/// The results of one check, after a price at `now`.
async fn checked(fixture: &Fixture, url: &str, now: i64) -> RungMetrics {
    ok_body(&fixture.get(url, now).await);
    assert!(fixture.maps.has_sample());
    fixture.maps.finish().await;
    assert!(!fixture.maps.has_sample());
    fixture.maps.take_metrics().rungs
}

fn failed(metrics: &RungMetrics) -> Vec<Mode> {
    let rungs = [Mode::Fresh, Mode::Cached, Mode::Static, Mode::Degraded];
    rungs.into_iter().filter(|mode| metrics.failures_of(*mode) > 0).collect()
}

#[tokio::test]
async fn every_rung_of_a_healthy_system_gives_a_price() {
    let fixture = Fixture::priced().await;
    let metrics = checked(&fixture, NEW_YORK, TICK + 1_000).await;
    assert_eq!(metrics, RungMetrics { checks: 1, failures: [0; 4], differences: [0, 1] });
    // Degraded is 1.0, and 1.2 under the city's floor; the price in force is 1.37.
    let fixture = Fixture::priced().await;
    let quiet = checked(&fixture, "/v1/price?lat=40.6&lng=-74", TICK + 1_000).await;
    assert_eq!(quiet, RungMetrics { checks: 1, ..RungMetrics::default() }, "the same price at the floor");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_has_nothing_or_something_else_is_found_while_prices_are_fresh() {
    let manhattan = cell(MANHATTAN.0, MANHATTAN.1, 8);
    let parent = Cell(manhattan.h3().unwrap().parent(h3o::Resolution::Five).unwrap().into());
    let name = ChunkName::new(parent, 7);
    for case in ["empty", "stopped", "damaged", "another price", "down", "hangs"] {
        let fixture = Fixture::new();
        let map = new_york(7, TICK);
        map.save(&fixture.store).await;
        if case == "stopped" {
            new_york(6, TICK - 15_000).save(&fixture.cache).await;
            fixture.cache.set_down(true);
            fixture.maps.read_all(fixture.cities(), TICK).await;
            fixture.cache.set_down(false);
        } else if case != "empty" {
            map.save(&fixture.cache).await;
        }
        match case {
            "damaged" => fixture.cache.maps().save_chunk(&map.head.city, name, b"damaged").await.unwrap(),
            "another price" => {
                let rows = encode_chunk(&[row(0, manhattan, 12, 3, 250)]);
                fixture.store.maps().save_chunk(&map.head.city, name, &rows).await.unwrap();
            }
            "down" => fixture.cache.set_down(true),
            "hangs" => fixture.cache.set_delay(60_000),
            _ => {}
        }
        let metrics = checked(&fixture, NEW_YORK, TICK + 1_000).await;
        assert_eq!(failed(&metrics), [Mode::Cached], "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_give_the_map_is_found_while_the_cache_can() {
    let fixture = Fixture::new();
    new_york(7, TICK).save(&fixture.cache).await;
    assert_eq!(failed(&checked(&fixture, NEW_YORK, TICK).await), [Mode::Cached]);
    let fixture = Fixture::priced().await;
    fixture.store.set_delay(60_000);
    assert_eq!(failed(&checked(&fixture, NEW_YORK, TICK).await), [Mode::Cached]);
}

#[tokio::test]
async fn a_deployment_without_a_cache_misses_none() {
    let fixture = Fixture::priced().await;
    let maps = MapReader::new(fixture.store.clone(), equilibrium_app::memory::NoOp, Sleep);
    let request = equilibrium_http::Request {
        method: "GET",
        path: "/v1/price",
        query: "lat=40.7128&lng=-74.006",
        headers: &[],
        body: b"",
    };
    let reading = (&maps, &fixture.rendered, &fixture.source, &fixture.past);
    ok_body(&equilibrium_price::respond(reading, &request, &fixture.policies, TICK).await);
    maps.finish().await;
    let metrics = maps.take_metrics();
    assert_eq!((metrics.rungs.checks, metrics.rungs.failures), (1, [0; 4]));
}

#[tokio::test]
async fn the_rung_that_answers_is_named_by_those_above_it_that_fail() {
    for (url, age_ms, mode, failures) in [
        (NEW_YORK, 31_000, "cached", vec![Mode::Fresh]),
        (NEW_YORK, 300_001, "degraded", vec![Mode::Fresh, Mode::Cached]),
        (AUCKLAND, 0, "static", vec![Mode::Fresh, Mode::Cached]),
    ] {
        let fixture = Fixture::priced().await;
        let price = ok_body(&fixture.get(url, TICK + age_ms).await);
        assert_eq!(price["mode"], json!(mode));
        fixture.maps.finish().await;
        let metrics = fixture.maps.take_metrics().rungs;
        assert_eq!((metrics.checks, failed(&metrics)), (1, failures), "{mode}");
        assert_eq!(metrics.differences, [0, u64::from(mode != "degraded")], "{mode}");
    }
}

#[tokio::test]
async fn the_first_answer_and_every_thousandth_is_compared_and_none_within_ten_seconds_of_another() {
    let fixture = Fixture::priced().await;
    let mut checks = Vec::new();
    for answer in 0..3 * SAMPLED_OF {
        // A millisecond for each answer, and ten seconds before the second thousand.
        let now =
            TICK + i64::try_from(answer).unwrap() + i64::from(answer >= 2 * SAMPLED_OF) * SAMPLE_INTERVAL_MS;
        fixture.get(NEW_YORK, now).await;
        fixture.maps.finish().await;
        if fixture.maps.take_metrics().rungs.checks > 0 {
            checks.push(answer);
        }
    }
    assert_eq!(checks, [0, 2 * SAMPLED_OF], "one in a second is enough");
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_the_comparison() {
    let fixture = Fixture::priced().await;
    fixture.maps.read_all(fixture.cities(), TICK).await;
    fixture.store.set_delay(500);
    let began = tokio::time::Instant::now();
    ok_body(&fixture.get(NEW_YORK, TICK).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    fixture.maps.finish().await;
    assert_eq!(began.elapsed(), Duration::from_secs(1), "a head and a chunk of the store");
}

#[tokio::test(start_paused = true)]
async fn answers_are_counted_by_where_their_map_came_from() {
    let hits = |memory, cache, store, misses| TierHits { hits: [memory, cache, store], misses };
    let fixture = Fixture::priced().await;
    fixture.get(NEW_YORK, TICK).await;
    assert_eq!(fixture.maps.take_metrics().hits, hits(0, 1, 0, 0));
    for ms in [1, 5_000, 29_999] {
        fixture.get(NEW_YORK, TICK + ms).await;
    }
    assert_eq!(fixture.maps.take_metrics().hits, hits(3, 0, 0, 0));
    fixture.get(NEW_YORK, TICK + 60_000).await;
    assert_eq!(fixture.maps.take_metrics().hits, hits(1, 0, 0, 0), "nothing newer is read");
    fixture.get(NEW_YORK, TICK + 300_001).await;
    assert_eq!(fixture.maps.take_metrics().hits, hits(0, 0, 0, 1), "too old for a price");

    let fixture = Fixture::priced().await;
    fixture.cache.set_down(true);
    fixture.get(NEW_YORK, TICK).await;
    let taken = fixture.maps.take_metrics().hits;
    assert_eq!((taken, taken.of(Tier::Store), taken.answers()), (hits(0, 0, 1, 0), 1, 1));

    let fixture = Fixture::new();
    fixture.get(NEW_YORK, TICK).await;
    assert_eq!(fixture.maps.take_metrics().hits, hits(0, 0, 0, 1));
}
