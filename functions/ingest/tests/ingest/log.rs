//! How records are put into the log: packed, in lane order, and 503 if the log fails.

use equilibrium_admission::Open;
use equilibrium_app::contract;
use equilibrium_app::ingest::record_packer::MAX_RECORD_BYTES;
use equilibrium_domain::id::LaneId;

use crate::fixture::{Fixture, NOW, SlowLog, lane_of, logged_ping, ping, sample};

/// Length of a logged event, with its line end.
const LINE_BYTES: usize = 200;

/// An event whose canonical form is of that length.
fn event(driver: &str, ms: i64) -> String {
    let line = ping(driver, ms);
    let id = "e".repeat(LINE_BYTES - logged_ping(&line, driver).len());
    line.replace("\"id\":\"e\"", &format!("\"id\":\"{id}\""))
}

/// Many events of many drivers: more than one record for each lane.
fn crowd() -> Vec<String> {
    (0..3000).map(|n| event(&format!("d{}", n % 97), NOW - 3000 + n)).collect()
}

/// The lines that belong to a lane as they are logged, in order.
fn share(lane: LaneId, lines: &[String]) -> String {
    let mut share = String::new();
    for event in lines {
        let driver = event.split("\"driver_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let driver = driver.unwrap();
        if lane_of(driver) == lane {
            share.push_str(&logged_ping(event, driver));
            share.push('\n');
        }
    }
    share
}

#[tokio::test]
async fn the_log_in_memory_keeps_the_contract() {
    let log = SlowLog::default();
    contract::event_log(&log, async |lane| log.lanes().remove(&lane).unwrap_or_default()).await;
    assert_eq!(log.state().most_at_once, usize::from(contract::STREAM_PARTS));
}

#[tokio::test]
async fn lanes_are_put_concurrently_and_the_records_of_a_lane_one_by_one() {
    let (fixture, lines) = (Fixture::begun().await, crowd());
    // The log panics if two puts to a lane overlap.
    assert_eq!(fixture.send_lines(&lines).await.json()["accepted"], 3000);
    assert_eq!(fixture.log.state().most_at_once, 4);
    for (lane, records) in fixture.log.lanes() {
        assert!(records.len() > 3);
        assert!(records.iter().all(|record| record.len() <= MAX_RECORD_BYTES));
        let full = &records[..records.len() - 1];
        assert!(
            full.iter().all(|record| record.len() + LINE_BYTES > MAX_RECORD_BYTES),
            "a record was put before it was full"
        );
        assert_eq!(String::from_utf8(records.concat()).unwrap(), share(lane, &lines));
    }
}

#[tokio::test]
async fn a_record_is_filled_up_to_the_limit_exactly() {
    let fixture = Fixture::begun().await;
    fixture.send_lines(&vec![event("d", NOW); 129]).await;
    let sizes: Vec<usize> = fixture.log.lanes()[&lane_of("d")].iter().map(Vec::len).collect();
    assert_eq!(sizes, [25_600, 200]);
}

#[tokio::test]
async fn a_failed_put_is_answered_with_503_and_leaves_each_lane_in_order() {
    let (fixture, lines) = (Fixture::begun().await, crowd());
    fixture.log.state().fails = Some((LaneId(1), 2));
    let reply = fixture.send_lines(&lines).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.json()["code"], "unavailable");
    assert_eq!(reply.metrics, equilibrium_ingest::IngestMetrics::default());
    for (lane, records) in fixture.log.lanes() {
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
async fn a_body_sent_again_after_a_failure_is_completely_in_the_log() {
    let (fixture, lines) = (Fixture::begun().await, crowd());
    fixture.log.state().fails = Some((LaneId(2), 0));
    assert_eq!(fixture.send_lines(&lines).await.status, 503);
    fixture.log.state().fails = None;
    fixture.log.state().records.clear();
    assert_eq!(fixture.send_lines(&lines).await.json()["accepted"], 3000);
    for (lane, records) in fixture.log.lanes() {
        assert_eq!(String::from_utf8(records.concat()).unwrap(), share(lane, &lines));
    }
}

#[tokio::test]
async fn the_handlers_future_is_send() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let (fixture, payload) = (Fixture::new(), sample("post-events-ndjson").payload());
    let handled =
        is_send(equilibrium_ingest::handle_event(&Open, &fixture.ingester, &payload, &fixture.policies, NOW))
            .await;
    assert_eq!(handled.unwrap().1.accepted, 6);
}
