//! What is acknowledged is in the log, whatever form it came in.

use equilibrium_domain::event::{self, Event};
use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;

use crate::world::{NOW, World, gzip, lane_of, lanes, ping, post, sample};

/// The lines of a sample's body.
fn lines_of(name: &str) -> Vec<String> {
    sample(name).text().lines().map(str::to_owned).collect()
}

/// Every event's line in the log, by lane.
fn logged(world: &World) -> Vec<(LaneId, String)> {
    let mut logged = Vec::new();
    for (lane, records) in world.log.lanes() {
        for record in records.into_iter().filter(|record| !wire::is_frame(record)) {
            let text = String::from_utf8(record).unwrap();
            assert!(text.ends_with('\n'));
            logged.extend(text.lines().map(|event| (lane, event.to_owned())));
        }
    }
    logged
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_log_in_its_entitys_lane() {
    let world = World::new();
    let reply = world.send(&sample("ndjson")).await;
    assert_eq!((reply.status, reply.header("content-type")), (202, "application/json"));
    assert_eq!(reply.json(), serde_json::json!({"accepted": 6, "refused": []}));
    assert_eq!(reply.tally.accepted, 6);
    let lines = lines_of("ndjson");
    let weather = lanes().lane_of(lines[5].as_bytes());
    let homes = ["d-1", "d-2", "u-1", "u-1", "r-2"].map(lane_of).into_iter().chain([weather]);
    let mut expected: Vec<_> = homes.zip(lines).collect();
    expected.sort_by_key(|(lane, _)| *lane);
    assert_eq!(logged(&world), expected);
}

#[tokio::test]
async fn an_array_gives_the_records_that_its_lines_would() {
    let lines = lines_of("ndjson");
    let (array, ndjson) = (World::new(), World::new());
    let body = format!(" [ {}\n]\n", lines.join(" ,\t"));
    assert_eq!(array.send(&post("application/json", &body)).await.json()["accepted"], 6);
    ndjson.send(&sample("ndjson")).await;
    assert_eq!(array.log.lanes(), ndjson.log.lanes());
}

#[tokio::test]
async fn a_printed_array_is_written_one_event_a_line() {
    let (array, ndjson) = (World::new(), World::new());
    assert!(sample("array").text().contains("\r\n    \"type\""));
    assert_eq!(array.send(&sample("array")).await.json()["accepted"], 6);
    ndjson.send(&sample("ndjson")).await;
    let read = |world: &World| {
        let lines = logged(world);
        let known = lines.iter().map(|(lane, line)| {
            let event = event::read(line.as_bytes()).unwrap();
            // An unknown event's lane is that of its line's hash, and the lines differ.
            let lane = if event == Event::Unknown { LaneId(0) } else { *lane };
            format!("{lane} {event:?}")
        });
        let mut known: Vec<_> = known.collect();
        known.sort();
        known
    };
    assert_eq!(read(&array).len(), 6);
    // A driver's list of products stands in the event as it was written.
    let unspaced = |texts: Vec<String>| -> Vec<String> {
        texts.into_iter().map(|text| text.replace([' ', '\n'], "")).collect()
    };
    assert_eq!(unspaced(read(&array)), unspaced(read(&ndjson)));
}

#[tokio::test]
async fn a_packed_or_encoded_body_is_the_same() {
    let plain = World::new();
    plain.send(&sample("ndjson")).await;
    let lines = sample("ndjson");
    for call in [
        sample("gzip"),
        lines.clone().with_bytes(lines.text().as_bytes()),
        post("Application/X-NDJSON ; charset=\"UTF-8\"", lines.text()),
        lines.clone().with_header("content-encoding", "identity"),
        lines.packed().with_header("content-encoding", "X-GZIP"),
    ] {
        let world = World::new();
        assert_eq!(world.send(&call).await.status, 202);
        assert_eq!(world.log.lanes(), plain.log.lanes());
    }
}

#[tokio::test]
async fn two_packed_bodies_one_after_the_other_are_one_body() {
    let world = World::new();
    let half = |driver| gzip(format!("{}\n", ping(driver, NOW)).as_bytes());
    let call = sample("gzip").with_bytes(&[half("d1"), half("d2")].concat());
    assert_eq!(world.send(&call).await.json()["accepted"], 2);
}

#[tokio::test]
async fn nothing_is_accepted_of_an_empty_body() {
    let world = World::new();
    for call in [
        sample("ndjson").without_body(),
        post("application/x-ndjson", "\r\n \n"),
        post("application/json", ""),
        post("application/json", " []"),
        post("application/json", "\n").packed(),
        sample("gzip").with_text(""),
    ] {
        let reply = world.send(&call).await;
        assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (202, Some(0)));
    }
    assert!(world.log.lanes().is_empty());
}
