//! How records go into the log: packed, in lane order, and 503 where they do not.

use equilibrium_app::contract;
use equilibrium_app::ingest::ingester::MAX_RECORD_BYTES;
use equilibrium_domain::id::LaneId;

use crate::world::{NOW, SlowLog, World, lane_of, padded, ping, sample};

/// Many events of many drivers, larger together than one record a lane.
fn crowd() -> Vec<String> {
    (0..1500).map(|n| padded(&ping(&format!("d{}", n % 97), NOW - 1500 + n), 500)).collect()
}

/// What a lane should hold of `lines`, in order.
fn share(lane: LaneId, lines: &[String]) -> String {
    let mut share = String::new();
    for event in lines {
        let driver = event.split("\"driver_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        if lane_of(driver.unwrap()) == lane {
            share.push_str(event);
            share.push('\n');
        }
    }
    share
}

#[tokio::test]
async fn the_log_in_memory_keeps_the_contract() {
    let log = SlowLog::default();
    contract::event_log(&log, async |lane| log.lanes().remove(&lane).unwrap_or_default()).await;
    assert_eq!(log.held().most_at_once, usize::from(contract::STREAM_PARTS));
}

#[tokio::test]
async fn lanes_are_put_at_once_and_a_lanes_records_one_after_the_other() {
    let (world, lines) = (World::begun().await, crowd());
    // The log itself panics if a lane is put to while it is.
    assert_eq!(world.send_lines(&lines).await.json()["accepted"], 1500);
    assert_eq!(world.log.held().most_at_once, 4);
    for (lane, records) in world.log.lanes() {
        assert!(records.len() > 3);
        assert!(records.iter().all(|record| record.len() <= MAX_RECORD_BYTES));
        let full = &records[..records.len() - 1];
        assert!(
            full.iter().all(|record| record.len() + 501 > MAX_RECORD_BYTES),
            "a record ends before it is full"
        );
        assert_eq!(String::from_utf8(records.concat()).unwrap(), share(lane, &lines));
    }
}

#[tokio::test]
async fn a_record_is_filled_to_the_last_byte_and_no_further() {
    let world = World::begun().await;
    let line = padded(&ping("d", NOW), 255);
    world.send_lines(&vec![line; 101]).await;
    let sizes: Vec<usize> = world.log.lanes()[&lane_of("d")].iter().map(Vec::len).collect();
    assert_eq!(sizes, [25_600, 256]);
}

#[tokio::test]
async fn a_log_that_fails_is_a_problem_and_what_was_put_is_in_lane_order() {
    let (world, lines) = (World::begun().await, crowd());
    world.log.held().fails = Some((LaneId(1), 2));
    let reply = world.send_lines(&lines).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.json()["code"], "unavailable");
    assert_eq!(reply.tally, equilibrium_ingest::IngestMetrics::default());
    for (lane, records) in world.log.lanes() {
        let all = share(lane, &lines);
        let put = String::from_utf8(records.concat()).unwrap();
        if lane == LaneId(1) {
            assert_eq!(records.len(), 2);
            assert!(all.starts_with(&put) && put.len() < all.len());
        } else {
            assert_eq!(put, all);
        }
    }
}

#[tokio::test]
async fn the_same_body_sent_again_after_a_failure_is_in_the_log_whole() {
    let (world, lines) = (World::begun().await, crowd());
    world.log.held().fails = Some((LaneId(2), 0));
    assert_eq!(world.send_lines(&lines).await.status, 503);
    world.log.held().fails = None;
    world.log.held().records.clear();
    assert_eq!(world.send_lines(&lines).await.json()["accepted"], 1500);
    for (lane, records) in world.log.lanes() {
        assert_eq!(String::from_utf8(records.concat()).unwrap(), share(lane, &lines));
    }
}

#[tokio::test]
async fn a_handler_runs_on_any_thread() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let (world, payload) = (World::new(), sample("ndjson").payload());
    let handled =
        is_send(equilibrium_ingest::handle_event(&world.ingester, &payload, &world.book, NOW)).await;
    assert_eq!(handled.unwrap().1.accepted, 6);
}
