//! Each refused event is listed with its index, code and message; its neighbours are accepted.

use equilibrium_domain::event::Refusal;
use equilibrium_domain::wire;
use equilibrium_ingest::{MAX_LISTED, MAX_LISTED_BYTES};

use crate::fixture::{Fixture, NOW, padded, ping, post, sample};

fn owned(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(index, code)| (*index, (*code).to_owned())).collect()
}

#[tokio::test]
async fn every_refusal_is_listed_with_its_index_and_code() {
    let fixture = Fixture::new();
    let reply = fixture.send(&sample("post-events-refused")).await;
    assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (202, Some(2)));
    let expected = [
        (1, "too_large"),
        (2, "malformed_json"),
        (3, "malformed_json"),
        (4, "missing_field"),
        (5, "bad_field"),
        (6, "unknown_city"),
        (7, "unknown_product"),
        (8, "unknown_product"),
        (9, "too_far_in_future"),
    ];
    assert_eq!(reply.refused(), owned(&expected));
    assert!(Refusal::CODES.iter().all(|code| expected.iter().any(|(_, expected)| expected == code)));
    assert_eq!(reply.json()["refused"][3]["message"], "`driver_id` is missing");
    assert_eq!(reply.json()["refused"][7]["message"], "the city has no product \"boat\"");
    assert_eq!(reply.metrics.refused, [1, 2, 1, 1, 1, 2, 1]);
    assert!(reply.json().get("unlisted").is_none());
    let logged: usize = fixture
        .log
        .state()
        .records
        .iter()
        .filter(|(_, record)| !wire::is_frame(record))
        .map(|(_, record)| record.split(|b| *b == b'\n').count() - 1)
        .sum();
    assert_eq!(logged, 2);
}

#[tokio::test]
async fn an_array_has_the_same_refusals_as_the_same_events_in_lines() {
    let refused = sample("post-events-refused");
    // Without the line that would make the array malformed, and without blank lines.
    let elements: Vec<&str> =
        refused.text().lines().filter(|line| !line.is_empty() && line.ends_with(['}', ']'])).collect();
    let array = Fixture::new().send(&post("application/json", &format!("[{}]", elements.join(",\n")))).await;
    let ndjson = Fixture::new().send(&post("application/x-ndjson", &elements.join("\n"))).await;
    assert_eq!(array.refused().len(), 8);
    assert_eq!(array.json(), ndjson.json());
}

#[tokio::test]
async fn an_element_that_is_not_an_object_is_malformed() {
    let fixture = Fixture::new();
    let body = format!("[null,true,-1.5e3,\"a,]\",[[]],{{}},{},\"{}\"]", ping("d", NOW), "x".repeat(4095));
    let reply = fixture.send(&post("application/json", &body)).await;
    let expected: Vec<(u64, &str)> = (0..5).map(|index| (index, "malformed_json")).collect();
    let expected = [expected, vec![(5, "missing_field"), (7, "too_large")]].concat();
    assert_eq!(reply.refused(), owned(&expected));
    assert_eq!(reply.json()["accepted"], 1);
}

#[tokio::test]
async fn an_event_of_4096_bytes_is_accepted_and_one_more_byte_is_too_large() {
    let lines = [padded(&ping("d", NOW), 4096), padded(&ping("d", NOW), 4097)];
    for (content_type, body) in
        [("application/x-ndjson", lines.join("\r\n")), ("application/json", format!("[{}]", lines.join(",")))]
    {
        let reply = Fixture::new().send(&post(content_type, &body)).await;
        assert_eq!(reply.refused(), owned(&[(1, "too_large")]));
        assert_eq!(reply.json()["accepted"], 1);
    }
}

#[tokio::test]
async fn an_event_may_be_sixty_seconds_ahead_and_no_more() {
    let reply = Fixture::new().send_lines(&[ping("d", NOW + 60_000), ping("d", NOW + 60_001)]).await;
    assert_eq!(reply.refused(), owned(&[(1, "too_far_in_future")]));
    assert_eq!(reply.json()["refused"][0]["message"], "`time` is 60001 ms ahead of now");
}

#[tokio::test]
async fn deep_nesting_refuses_one_event_and_no_other() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    for deep in [deep("[", "]"), deep("{\"a\":", "}")] {
        for (content_type, body) in [
            ("application/x-ndjson", format!("{deep}\n{}", ping("d", NOW))),
            ("application/json", format!("[{deep},{}]", ping("d", NOW))),
        ] {
            let reply = Fixture::new().send(&post(content_type, &body)).await;
            assert_eq!(reply.refused(), owned(&[(0, "too_large")]));
            assert_eq!(reply.json()["accepted"], 1);
        }
    }
    let nested =
        ping("d", NOW).replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(1900), "]".repeat(1900)), 1);
    assert_eq!(Fixture::new().send_lines(&[nested]).await.json()["accepted"], 1);
}

#[tokio::test]
async fn a_response_lists_the_first_thousand_refusals_and_counts_the_others() {
    let usual = format!("{}\n", ping("d", NOW).replace("nyc", "gone"));
    for (events, unlisted) in [(1_000, None), (1_001, Some(1))] {
        let reply = Fixture::new().send(&post("application/x-ndjson", &usual.repeat(events))).await;
        assert_eq!(reply.refused().len() as u64, MAX_LISTED);
        assert_eq!(reply.json().get("unlisted").and_then(serde_json::Value::as_u64), unlisted);
        assert!(reply.body.len() < MAX_LISTED_BYTES);
    }
    let quoted = format!("{}\n", padded(&ping("d", NOW), 3_000).replace("nyc", &"x".repeat(64)));
    let quoted = quoted.replacen('{', &format!("{{\"products\":[\"{}\"],", "p".repeat(1_000)), 1).repeat(250);
    let reply = Fixture::new().send(&post("application/x-ndjson", &quoted)).await;
    assert!(reply.body.len() < MAX_LISTED_BYTES + 100, "{}", reply.body.len());

    let invalid = format!("{}\n{}", "x\n".repeat(500_000), ping("d", NOW));
    let reply = Fixture::new().send(&post("application/x-ndjson", &invalid)).await;
    let listed = reply.refused().len() as u64;
    assert!(reply.body.len() < MAX_LISTED_BYTES + 100);
    assert_eq!(listed + reply.json()["unlisted"].as_u64().unwrap(), 500_000);
    assert_eq!(reply.json()["accepted"], 1);
    assert_eq!(reply.metrics.refused[1], 500_000);
}
