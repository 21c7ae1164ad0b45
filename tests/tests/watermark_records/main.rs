//! Watermark records of many producers over one log: how many there are, and that none is lost. The first test prints the
//! figures of docs/performance.md.
#![expect(clippy::unwrap_used, reason = "a failed call fails the test")]

mod fleet;

use std::time::Duration;

use equilibrium_app::ingest::ports::Timer;
use equilibrium_domain::id::LaneId;
use tokio::time::timeout;

use crate::fleet::{Fleet, START_MS, TICK_MS};

const TICKS: i64 = 5;

/// Feeds five ticks by 100 producers, and checks that every lane has each of them: `within_ms` after it is due, if every
/// city has events by then, and the last one in any case.
async fn fed(cities: u32, lanes: u32, is_mixed: bool, within_ms: Option<i64>) -> Fleet {
    let fleet = Fleet::new(lanes);
    let until_ms = START_MS + (TICKS + 2) * TICK_MS;
    let feeders: Vec<_> =
        (0..100).map(|number| tokio::spawn(fleet.clone().feed(number, cities, is_mixed, until_ms))).collect();
    for (number, within_ms) in (1..=TICKS).filter_map(|number| Some((number, within_ms?))) {
        let tick = START_MS + number * TICK_MS;
        fleet.wait_after(tick, within_ms).await;
        assert_eq!(fleet.missing(cities, tick), 0, "of tick {number}");
    }
    for feeder in feeders {
        feeder.await.unwrap();
    }
    assert_eq!(fleet.unannounced(), 0);
    fleet
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss)]
fn print(what: &str, fleet: &Fleet) {
    let seconds = ((TICKS + 2) * TICK_MS / 1_000) as f64;
    let (state, meter) = (fleet.log.state.lock(), fleet.board.meter.lock());
    let per_second = |count: u64| count as f64 / seconds;
    println!(
        "{what}: {:.2} % of {:.0} records/s, {:.2} MB/s; board {:.1} WRU/s, {:.1} RRU/s",
        100.0 * state.watermarks as f64 / (state.events + state.watermarks) as f64,
        per_second(state.events + state.watermarks),
        per_second(state.bytes_of_watermarks) / 1e6,
        per_second(meter.write_units),
        per_second(meter.read_units),
    );
}

#[tokio::test(start_paused = true)]
async fn watermark_records_are_a_hundredth_of_all_where_every_call_has_events_of_many_cities() {
    let fleet = fed(500, 1_024, true, Some(1_000)).await;
    print("100 feeders, 500 cities, 1,024 lanes, calls of many cities", &fleet);
    assert!(fleet.share() <= 0.01, "{}", fleet.share());
}

#[tokio::test(start_paused = true)]
async fn watermark_records_are_a_twentieth_of_all_where_every_call_has_events_of_one_city() {
    // A city's next call comes after 1.7 s on average, so its tick is due at any time of the next.
    let fleet = fed(500, 1_024, false, None).await;
    print("100 feeders, 500 cities, 1,024 lanes, calls of one city", &fleet);
    assert!(fleet.share() <= 0.05, "{}", fleet.share());
}

#[tokio::test(start_paused = true)]
async fn one_city_costs_a_few_write_units_a_tick() {
    let fleet = Fleet::new(64);
    let feeders = [fleet.feeder(), fleet.feeder()];
    // 672 events/s in calls of 100.
    for call in 0..200_u64 {
        let at_ms = START_MS + i64::try_from(call).unwrap() * 149;
        fleet.timer.wait_until(at_ms).await;
        let events: Vec<_> = (0..100).map(|driver| (0, call * 100 + driver, at_ms)).collect();
        fleet.call(&feeders[usize::from(call % 2 == 1)], &events).await;
    }
    print("2 feeders, 1 city, 64 lanes, 672 events/s", &fleet);
    assert_eq!(fleet.missing(1, START_MS + 4 * TICK_MS), 0);
    let ticks = 6;
    assert!(fleet.board.meter.lock().write_units <= 6 * ticks, "{}", fleet.board.meter.lock().write_units);
    assert!(fleet.log.state.lock().watermarks <= 64 * (ticks + 1));
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_down_neither_stops_ticks_nor_fills_the_stream() {
    let fleet = Fleet::new(256);
    fleet.board.meter.lock().is_down = true;
    let until_ms = START_MS + 6 * TICK_MS;
    let feeders: Vec<_> =
        (0..200).map(|number| tokio::spawn(fleet.clone().feed(number, 50, true, until_ms))).collect();
    fleet.wait_after(START_MS + 2 * TICK_MS, 2_000).await;
    assert_eq!(fleet.missing(50, START_MS + 2 * TICK_MS), 0);
    for feeder in feeders {
        feeder.await.unwrap();
    }
    print("200 feeders, 50 cities, 256 lanes, without a board", &fleet);
    assert!(fleet.share() <= 0.06, "{}", fleet.share());
}

#[tokio::test(start_paused = true)]
async fn the_tick_of_a_producer_that_ends_with_its_turn_taken_is_announced_by_another() {
    let fleet = Fleet::new(8);
    let (first, second) = (fleet.feeder(), fleet.feeder());
    let at_ms = START_MS + 1;
    fleet.timer.wait_until(at_ms).await;
    fleet.log.state.lock().hangs = true;
    let ended = timeout(Duration::from_secs(2), fleet.call(&first, &[(7, 1, at_ms)])).await;
    assert!(ended.is_err(), "it ended while it put the first record");
    fleet.log.state.lock().hangs = false;
    drop(first);
    assert_eq!(fleet.missing(8, 0), 8 * 8);

    // Another city's event is enough.
    fleet.timer.wait_until(at_ms + TICK_MS).await;
    fleet.call(&second, &[(3, 2, at_ms + TICK_MS)]).await;
    let state = fleet.log.state.lock();
    for lane in (0..8).map(LaneId) {
        assert_eq!(state.reached[&(lane, 7)].1, START_MS + TICK_MS, "the first tick");
        assert_eq!(state.reached[&(lane, 3)].1, START_MS + 2 * TICK_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn an_announcement_that_its_producer_never_makes_is_made_by_another() {
    let fleet = Fleet::new(8);
    let (first, second) = (fleet.feeder(), fleet.feeder());
    fleet.timer.wait_until(START_MS + 1).await;
    fleet.call(&second, &[(7, 1, START_MS + 1)]).await;
    // A second must pass between two announcements; the producer that waits for it ends.
    let ended = timeout(Duration::from_millis(300), fleet.call(&first, &[(3, 2, START_MS + 1)])).await;
    assert!(ended.is_err());
    drop(first);
    assert_eq!(fleet.missing(8, 0), 8 * 7);
    fleet.timer.wait_until(START_MS + 3_000).await;
    fleet.call(&second, &[(5, 3, START_MS + 3_000)]).await;
    let state = fleet.log.state.lock();
    for lane in (0..8).map(LaneId) {
        assert_eq!(state.reached[&(lane, 3)].1, START_MS + TICK_MS);
        assert!(state.reached.contains_key(&(lane, 5)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_announced_within_its_call_though_no_event_follows() {
    let fleet = Fleet::new(8);
    let feeder = fleet.feeder();
    fleet.timer.wait_until(START_MS + 1).await;
    fleet.call(&feeder, &[(0, 1, START_MS + 1), (1, 2, START_MS + 1)]).await;
    fleet.timer.wait_until(START_MS + 10_000).await;
    // The other city is not due: the announcement waits for it a while, and is made.
    fleet.call(&feeder, &[(0, 1, START_MS + 10_000)]).await;
    let state = fleet.log.state.lock();
    assert!((0..8).all(|lane| state.reached[&(LaneId(lane), 0)].0 == START_MS + 5_000));
    assert!(fleet.timer.now_ms() < START_MS + 10_700, "{}", fleet.timer.now_ms() - START_MS);
}
