//! Watermark records: one in every lane, after the events by which cities' watermarks reach ticks.

use equilibrium_admission::Open;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use equilibrium_app::ingest::ports::Timer;
use equilibrium_domain::event::watermark;
use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;
use equilibrium_ingest::handle_event;

use crate::fixture::{Fixture, LANES, NOW, Reply, lane_of, lanes, ping, post, pseudonym};

/// `NOW` is a tick: a multiple of five seconds.
const TICK: i64 = NOW;

/// The contents of a lane: for an event its driver's pseudonym, for a watermark `city watermark first_tick`, in
/// milliseconds after `TICK`.
fn contents(fixture: &Fixture, lane: LaneId) -> Vec<String> {
    let mut contents = Vec::new();
    for record in fixture.log.lanes().remove(&lane).unwrap_or_default() {
        if !wire::is_frame(&record) {
            for line in String::from_utf8(record).unwrap().lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                contents.push(event["driver_id"].as_str().unwrap().to_owned());
            }
            continue;
        }
        let record = watermark::read(&record).unwrap();
        assert_eq!((record.lane, record.lanes), (lane, lanes()));
        for (city, watermark) in record.cities {
            contents.push(format!("{city} {} {}", watermark.watermark - TICK, watermark.first_tick - TICK));
        }
    }
    contents
}

/// The number of watermark records in all lanes.
fn watermark_records(fixture: &Fixture) -> u32 {
    let count = fixture.log.state().records.iter().filter(|(_, record)| wire::is_frame(record)).count();
    u32::try_from(count).unwrap()
}

fn accepted(reply: &Reply) -> u64 {
    reply.json()["accepted"].as_u64().unwrap()
}

#[tokio::test]
async fn every_lane_has_one_record_after_the_events_that_moved_the_watermark() {
    let fixture = Fixture::new();
    // The first event sets the first tick. The watermark is five seconds less than the greatest time.
    let times = [-12_000, -11_000, -5_001, -5_000, -4_000, -6_000, -1, 0, 0];
    let drivers: Vec<String> = (0..times.len()).map(|n| format!("d{n}")).collect();
    let lines: Vec<String> = drivers.iter().zip(times).map(|(driver, at)| ping(driver, TICK + at)).collect();
    assert_eq!(accepted(&fixture.send_lines(&lines).await), 9);
    for lane in lanes().iter() {
        let events = drivers.iter().filter(|id| lane_of(id) == lane).map(|id| pseudonym(id));
        let all: Vec<String> = events.chain(["nyc -5000 -10000".to_owned()]).collect();
        assert_eq!(contents(&fixture, lane), all, "lane {lane}");
    }
}

#[tokio::test]
async fn an_event_from_a_fast_clock_moves_the_watermark_no_further_than_now() {
    let fixture = Fixture::new();
    fixture.send_lines(&[ping("a", TICK - 20_000), ping("b", TICK + 60_000)]).await;
    assert_eq!(contents(&fixture, lane_of("b")).last().unwrap(), "nyc -5000 -20000");
}

#[tokio::test]
async fn a_refused_event_does_not_move_the_watermark() {
    let fixture = Fixture::new();
    let rocket = ping("b", TICK).replace("\"lat\"", "\"products\":[\"rocket\"],\"lat\"");
    let lines = [ping("a", TICK - 20_000), rocket, ping("c", TICK + 60_001)];
    assert_eq!(accepted(&fixture.send_lines(&lines).await), 1);
    assert_eq!(watermark_records(&fixture), LANES);
    let half = post("application/json", &format!("[{}", ping("b", TICK)));
    assert_eq!(fixture.send(&half).await.status, 400);
    fixture.send_lines(&[ping("a", TICK - 19_000)]).await;
    assert_eq!(watermark_records(&fixture), LANES);
}

#[tokio::test]
async fn one_record_names_all_cities_that_are_due() {
    let fixture = Fixture::new();
    let suva = |driver, at| ping(driver, TICK + at).replace("nyc", "suva");
    let lines = [ping("a", TICK - 20_000), suva("b", -12_000), ping("c", TICK - 12_000), suva("d", -4000)];
    fixture.send_lines(&lines).await;
    let found: Vec<String> =
        contents(&fixture, LaneId(0)).into_iter().filter(|text| text.contains(' ')).collect();
    assert_eq!(found, ["nyc -17000 -20000", "suva -9000 -10000"]);
    assert_eq!(watermark_records(&fixture), LANES);
}

#[tokio::test]
async fn a_reached_tick_is_announced_once_and_at_its_turn() {
    let fixture = Fixture::new();
    fixture.send_lines(&[ping("a", TICK - 20_000), ping("a", TICK - 12_000)]).await;
    assert_eq!(watermark_records(&fixture), LANES);
    fixture.send_lines(&[ping("a", TICK - 20_000), ping("a", TICK - 11_000)]).await;
    assert_eq!(watermark_records(&fixture), LANES, "the same tick");
    assert_eq!(fixture.timer.now_ms(), NOW);
    fixture.send_lines(&[ping("a", TICK - 10_000)]).await;
    assert_eq!(watermark_records(&fixture), 2 * LANES);
    assert_eq!(fixture.timer.now_ms(), NOW + 1_000, "the response waited until a second after the last");
}

#[tokio::test]
async fn a_watermark_missing_in_a_lane_is_announced_again() {
    let fixture = Fixture::new();
    let lines = [ping("a", TICK - 20_000), ping("a", TICK - 12_000)];
    let missed = LaneId((lane_of("a").0 + 1) % 4);
    fixture.log.state().fails = Some((missed, 0));
    assert_eq!(fixture.send_lines(&lines).await.status, 202, "the events are in the log");
    assert!(contents(&fixture, missed).is_empty());
    fixture.log.state().fails = None;
    fixture.send_lines(&lines[..1]).await;
    assert_eq!(contents(&fixture, missed), ["nyc -17000 -20000"]);
    fixture.timer.advance(10_000);
    fixture.send_lines(&lines).await;
    assert_eq!(contents(&fixture, missed), ["nyc -17000 -20000"], "and once only");
}

#[tokio::test]
async fn events_that_may_not_be_in_the_log_move_no_watermark() {
    let fixture = Fixture::new();
    fixture.log.state().fails = Some((lane_of("a"), 0));
    assert_eq!(fixture.send_lines(&[ping("a", TICK - 12_000)]).await.status, 503);
    assert_eq!(watermark_records(&fixture), 0);

    // A request whose client disconnects.
    {
        let payload = post("application/x-ndjson", &ping("b", TICK - 11_000)).payload();
        let mut handled = pin!(handle_event(&Open, &fixture.ingester, &payload, &fixture.policies, NOW));
        assert!(handled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    fixture.log.release_lanes();
    fixture.log.state().fails = None;
    fixture.send_lines(&[ping("c", TICK - 20_000)]).await;
    assert_eq!(contents(&fixture, lane_of("c")), [pseudonym("c"), "nyc -25000 -20000".to_owned()]);
}
