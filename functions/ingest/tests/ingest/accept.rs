//! Accepted events are in the log, in whatever form the client sent them.

use equilibrium_domain::event::{self, Event};
use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;

use crate::fixture::{Fixture, NOW, gzip, lane_of, lanes, ping, post, sample};

/// The lines of a sample's body.
fn lines_of(name: &str) -> Vec<String> {
    sample(name).text().lines().map(str::to_owned).collect()
}

/// The line of every event in the log, by lane.
fn logged(fixture: &Fixture) -> Vec<(LaneId, String)> {
    let mut logged = Vec::new();
    for (lane, records) in fixture.log.lanes() {
        for record in records.into_iter().filter(|record| !wire::is_frame(record)) {
            let text = String::from_utf8(record).unwrap();
            assert!(text.ends_with('\n'));
            logged.extend(text.lines().map(|event| (lane, event.to_owned())));
        }
    }
    logged
}

#[tokio::test]
async fn an_accepted_event_is_in_the_log_in_its_entitys_lane() {
    let fixture = Fixture::new();
    let reply = fixture.send(&sample("post-events-ndjson")).await;
    assert_eq!((reply.status, reply.header("content-type")), (202, "application/json"));
    assert_eq!(reply.json(), serde_json::json!({"accepted": 6, "refused": []}));
    assert_eq!(reply.metrics.accepted, 6);
    let lines = lines_of("post-events-ndjson");
    let weather = lanes().lane_of(lines[5].as_bytes());
    let homes = ["d-1", "d-2", "u-1", "u-1", "r-2"].map(lane_of).into_iter().chain([weather]);
    let mut expected: Vec<_> = homes.zip(lines).collect();
    expected.sort_by_key(|(lane, _)| *lane);
    assert_eq!(logged(&fixture), expected);
}

#[tokio::test]
async fn an_array_gives_the_same_records_as_the_same_events_in_lines() {
    let lines = lines_of("post-events-ndjson");
    let (array, ndjson) = (Fixture::new(), Fixture::new());
    let body = format!(" [ {}\n]\n", lines.join(" ,\t"));
    assert_eq!(array.send(&post("application/json", &body)).await.json()["accepted"], 6);
    ndjson.send(&sample("post-events-ndjson")).await;
    assert_eq!(array.log.lanes(), ndjson.log.lanes());
}

#[tokio::test]
async fn a_pretty_printed_array_is_logged_one_event_a_line() {
    let (array, ndjson) = (Fixture::new(), Fixture::new());
    assert!(sample("post-events-array").text().contains("\r\n    \"type\""));
    assert_eq!(array.send(&sample("post-events-array")).await.json()["accepted"], 6);
    ndjson.send(&sample("post-events-ndjson")).await;
    let read = |fixture: &Fixture| {
        let lines = logged(fixture);
        let known = lines.iter().map(|(lane, line)| {
            let event = event::read(line.as_bytes()).unwrap();
            // The lane of an unknown event is that of its line's hash, and the lines differ.
            let lane = if event == Event::Unknown { LaneId(0) } else { *lane };
            format!("{lane} {event:?}")
        });
        let mut known: Vec<_> = known.collect();
        known.sort();
        known
    };
    assert_eq!(read(&array).len(), 6);
    // A driver's list of products is logged as the client wrote it.
    let unspaced = |texts: Vec<String>| -> Vec<String> {
        texts.into_iter().map(|text| text.replace([' ', '\n'], "")).collect()
    };
    assert_eq!(unspaced(read(&array)), unspaced(read(&ndjson)));
}

#[tokio::test]
async fn a_compressed_or_base64_body_gives_the_same_records() {
    let plain = Fixture::new();
    plain.send(&sample("post-events-ndjson")).await;
    let lines = sample("post-events-ndjson");
    for call in [
        sample("post-events-gzip"),
        lines.clone().with_bytes(lines.text().as_bytes()),
        post("Application/X-NDJSON ; charset=\"UTF-8\"", lines.text()),
        lines.clone().with_header("content-encoding", "identity"),
        lines.gzipped().with_header("content-encoding", "X-GZIP"),
    ] {
        let fixture = Fixture::new();
        assert_eq!(fixture.send(&call).await.status, 202);
        assert_eq!(fixture.log.lanes(), plain.log.lanes());
    }
}

#[tokio::test]
async fn concatenated_gzip_members_are_one_body() {
    let fixture = Fixture::new();
    let half = |driver| gzip(format!("{}\n", ping(driver, NOW)).as_bytes());
    let call = sample("post-events-gzip").with_bytes(&[half("d1"), half("d2")].concat());
    assert_eq!(fixture.send(&call).await.json()["accepted"], 2);
}

#[tokio::test]
async fn an_empty_body_is_accepted_without_events() {
    let fixture = Fixture::new();
    for call in [
        sample("post-events-ndjson").without_body(),
        post("application/x-ndjson", "\r\n \n"),
        post("application/json", " []"),
        post("application/x-ndjson", "\n").gzipped(),
        sample("post-events-gzip").with_text(""),
    ] {
        let reply = fixture.send(&call).await;
        assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (202, Some(0)));
    }
    assert!(fixture.log.lanes().is_empty());
}
