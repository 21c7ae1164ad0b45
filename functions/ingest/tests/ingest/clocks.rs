//! Each lane hears a city's clock right behind the event by which its watermark reaches a tick (HOUSE).

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use equilibrium_domain::event::watermark;
use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;
use equilibrium_ingest::handle_event;

use crate::world::{LANES, NOW, Reply, World, lane_of, lanes, ping, post};

/// The tick at `NOW`: a multiple of five seconds.
const TICK: i64 = NOW;

/// What a lane of the log says, one text a line or clock: `driver@ms after TICK`, `city watermark first`.
fn story(world: &World, lane: LaneId) -> Vec<String> {
    let mut story = Vec::new();
    for record in world.log.lanes().remove(&lane).unwrap_or_default() {
        if !wire::is_frame(&record) {
            for line in String::from_utf8(record).unwrap().lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                story.push(event["driver_id"].as_str().unwrap().to_owned());
            }
            continue;
        }
        let (told, clocks) = watermark::read(&record, lanes()).unwrap();
        assert_eq!(told, lane);
        for (city, clock) in clocks {
            story.push(format!("{city} {} {}", clock.watermark - TICK, clock.first_tick - TICK));
        }
    }
    story
}

/// How many clocks are in the log, over all lanes.
fn clocks(world: &World) -> u32 {
    let told = world.log.held().records.iter().filter(|(_, record)| wire::is_frame(record)).count();
    u32::try_from(told).unwrap()
}

fn accepted(reply: &Reply) -> u64 {
    reply.json()["accepted"].as_u64().unwrap()
}

#[tokio::test]
async fn every_lane_hears_the_clock_right_behind_the_event_that_moves_it() {
    let world = World::new();
    // The first event names the first tick. The watermark is five seconds behind, so the tick at -10 s is reached by the event at -5 s.
    let times = [-12_000, -11_000, -5_001, -5_000, -4_000, -6_000, -1, 0, 0];
    let drivers: Vec<String> = (0..times.len()).map(|n| format!("d{n}")).collect();
    let lines: Vec<String> = drivers.iter().zip(times).map(|(driver, at)| ping(driver, TICK + at)).collect();
    assert_eq!(accepted(&world.send_lines(&lines).await), 9);
    for lane in lanes().iter() {
        let of =
            |from: usize, to: usize| drivers[from..to].iter().filter(move |id| lane_of(id) == lane).cloned();
        let first = [of(0, 1).collect(), vec!["nyc -17000 -10000".to_owned()]];
        let before = [of(1, 3).collect(), vec!["nyc -10001 -10000".to_owned()]];
        let told = [of(3, 4).collect(), vec!["nyc -10000 -10000".to_owned()]];
        let later = [of(4, 8).collect(), vec!["nyc -5000 -10000".to_owned()], of(8, 9).collect()];
        let all = [first.concat(), before.concat(), told.concat(), later.concat()].concat();
        assert_eq!(story(&world, lane), all, "lane {lane}");
    }
}

#[tokio::test]
async fn a_fast_clock_moves_no_watermark_beyond_now() {
    let world = World::new();
    world.send_lines(&[ping("a", TICK - 20_000), ping("b", TICK + 60_000)]).await;
    assert_eq!(story(&world, lane_of("b")).last().unwrap(), "nyc -5000 -20000");
}

#[tokio::test]
async fn what_is_refused_moves_no_watermark() {
    let world = World::new();
    let rocket = ping("b", TICK).replace("\"lat\"", "\"products\":[\"rocket\"],\"lat\"");
    let lines = [ping("a", TICK - 20_000), rocket, ping("c", TICK + 60_001)];
    assert_eq!(accepted(&world.send_lines(&lines).await), 1);
    assert_eq!(clocks(&world), LANES);
    let half = post("application/json", &format!("[{}", ping("b", TICK)));
    assert_eq!(world.send(&half).await.status, 400);
    world.send_lines(&[ping("a", TICK - 19_000)]).await;
    assert_eq!(clocks(&world), LANES);
}

#[tokio::test]
async fn every_city_has_its_own_clock() {
    let world = World::new();
    let suva = |driver, at| ping(driver, TICK + at).replace("nyc", "suva");
    let lines = [ping("a", TICK - 20_000), suva("b", -12_000), ping("c", TICK - 12_000), suva("d", -4000)];
    world.send_lines(&lines).await;
    let heard: Vec<String> = story(&world, LaneId(0)).into_iter().filter(|told| told.contains(' ')).collect();
    let begun = ["nyc -25000 -20000", "suva -17000 -10000"];
    assert_eq!(heard, [begun, ["nyc -17000 -20000", "suva -9000 -10000"]].concat());
}

#[tokio::test]
async fn a_tick_is_told_once_by_an_instance() {
    let world = World::new();
    world.send_lines(&[ping("a", TICK - 20_000), ping("a", TICK - 12_000)]).await;
    assert_eq!(clocks(&world), 2 * LANES, "the city's beginning, and its first tick");
    world.send_lines(&[ping("a", TICK - 20_000), ping("a", TICK - 11_000)]).await;
    assert_eq!(clocks(&world), 2 * LANES);
    world.send_lines(&[ping("a", TICK - 10_000)]).await;
    assert_eq!(clocks(&world), 3 * LANES);
}

#[tokio::test]
async fn a_clock_that_not_every_lane_heard_is_told_again() {
    let world = World::new();
    let lines = [ping("a", TICK - 20_000), ping("a", TICK - 12_000)];
    let missed = LaneId((lane_of("a").0 + 1) % 4);
    world.log.held().fails = Some((missed, 0));
    assert_eq!(world.send_lines(&lines).await.status, 503);
    assert_eq!(clocks(&world), 2 * (LANES - 1));
    world.log.held().fails = None;
    world.send_lines(&lines).await;
    assert_eq!(clocks(&world), 2 * (LANES - 1) + LANES);
    assert_eq!(story(&world, missed), ["nyc -17000 -20000"]);
}

#[tokio::test]
async fn a_clock_is_told_again_when_its_client_hung_up() {
    let world = World::new();
    let lines = [ping("a", TICK - 20_000), ping("a", TICK - 12_000)];
    {
        let payload = post("application/x-ndjson", &lines.join("\n")).payload();
        let mut handled = pin!(handle_event(&world.ingester, &payload, &world.book, NOW));
        assert!(handled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(clocks(&world), 0);
    world.log.free();
    world.send_lines(&lines[..1]).await;
    assert_eq!(clocks(&world), LANES);
}
