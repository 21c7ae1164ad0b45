//! Accepted events are in the log in their canonical form, in whatever form the client sent them.

use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;

use crate::fixture::{Fixture, NOW, gzip, lane_of, ping, post, pseudonym, sample};

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

/// The events of the samples as the log has them: each with its entity. The event of an unknown type is not there.
fn canonical() -> Vec<(LaneId, String)> {
    let common = |kind: &str, id: u32, time: &str| {
        format!(r#"{{"type":"{kind}","id":"e{id}","time":"2026-03-06T17:00:{time}Z","city":"nyc","#)
    };
    let person = |key: &str, id: &str| format!(r#""{key}":"{}""#, pseudonym(id));
    let (request, rider) = (person("request_id", "r-1"), person("rider_id", "u-1"));
    let events = [
        (
            "d-1",
            common("driver_location", 1, "00.058")
                + &person("driver_id", "d-1")
                + r#","lat":40.756707,"lng":-73.976588,"status":"available"}"#,
        ),
        (
            "d-2",
            common("driver_location", 2, "01.250")
                + &person("driver_id", "d-2")
                + r#","lat":40.7527,"lng":-73.9772,"status":"on_trip","products":["standard","xl"]}"#,
        ),
        (
            "u-1",
            common("ride_requested", 3, "02.500")
                + r#""lat":40.7505,"lng":-73.9934,"#
                + &format!(
                    r#"{request},{rider},"product":"xl","dropoff_lat":40.6413,"dropoff_lng":-73.7781}}"#
                ),
        ),
        ("u-1", common("ride_matched", 4, "04.000") + &format!("{request},{rider}}}")),
        ("r-2", common("ride_cancelled", 5, "06.125") + &person("request_id", "r-2") + "}"),
    ];
    let mut events: Vec<_> = events.into_iter().map(|(entity, line)| (lane_of(entity), line)).collect();
    events.sort_by_key(|(lane, _)| *lane);
    events
}

#[tokio::test]
async fn an_accepted_event_is_in_the_log_in_the_lane_of_its_pseudonym() {
    let fixture = Fixture::new();
    let reply = fixture.send(&sample("post-events-ndjson")).await;
    assert_eq!((reply.status, reply.header("content-type")), (202, "application/json"));
    assert_eq!(reply.json(), serde_json::json!({"accepted": 6, "refused": []}));
    assert_eq!(logged(&fixture), canonical());
}

#[tokio::test]
async fn an_event_of_an_unknown_type_is_accepted_and_not_in_the_log() {
    let fixture = Fixture::new();
    let lines = [r#"{"type":"weather","id":["d-1"],"driver_id":"d-1"}"#, r#"{"type":""}"#].map(str::to_owned);
    let reply = fixture.send_lines(&lines).await;
    assert_eq!(reply.json(), serde_json::json!({"accepted": 2, "refused": []}));
    assert_eq!((reply.metrics.accepted, reply.metrics.unknown), (2, 2));
    assert!(fixture.log.lanes().is_empty());
}

#[tokio::test]
async fn no_id_of_a_person_is_in_any_byte_of_the_log() {
    let fixture = Fixture::new();
    let people = ["driver-4711", "rider-4711", "request-4711"];
    let [driver, rider, request] = people;
    let others = format!(r#""x":"{driver}","note":["{rider}"],"{request}":{{"a":"{driver}"}}"#);
    let common =
        format!(r#""id":"e","time":"2026-03-06T17:00:00Z","city":"nyc","lat":40.75,"lng":-73.97,{others}"#);
    let ids = format!(r#""driver_id":"{driver}","rider_id":"{rider}","request_id":"{request}""#);
    let escaped = ids.replace("-4711", "\\u002d4711");
    let mut lines = Vec::new();
    for ids in [&ids, &escaped] {
        lines.push(format!(r#"{{"type":"driver_location","status":"available",{common},{ids}}}"#));
        for kind in ["ride_requested", "ride_matched", "ride_completed", "ride_cancelled", driver] {
            lines.push(format!(r#"{{"type":"{kind}",{common},{ids}}}"#));
        }
        // Refused: a city that could be a person's id, and a product that could.
        lines.push(format!(r#"{{"type":"ride_matched",{common},{ids},"city":"{driver}"}}"#));
        lines.push(format!(r#"{{"type":"ride_requested",{common},{ids},"product":"{rider}"}}"#));
    }
    let reply = fixture.send_lines(&lines).await;
    assert_eq!((reply.metrics.accepted, reply.metrics.refused.iter().sum()), (12, 4));
    let bytes: Vec<u8> = fixture.log.state().records.iter().flat_map(|(_, record)| record.clone()).collect();
    for person in people {
        assert!(!bytes.windows(person.len()).any(|window| window == person.as_bytes()), "{person}");
        let pseudonym = pseudonym(person);
        assert!(bytes.windows(pseudonym.len()).any(|window| window == pseudonym.as_bytes()), "{person}");
    }
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
    assert_eq!(array.log.lanes(), ndjson.log.lanes());
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
