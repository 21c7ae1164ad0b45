//! What is wrong with a request is answered, in words and for programs, and costs nobody else.

use crate::client::{Ask, get, gzip, post, post_array};
use crate::market::{driver, now_ms, place};
use crate::world::Server;

/// Asks on one connection, so that each answer leaves it usable.
fn assert_problems(cases: Vec<(Ask, u16, &str)>) {
    let server = Server::unfed();
    let mut connection = server.connect();
    for (ask, status, code) in cases {
        let reply = connection.ask(&ask).unwrap();
        assert_eq!(reply.problem(), (status, code.to_owned()), "{ask:?}");
    }
    assert_eq!(connection.ask(&get("/v1/cities")).unwrap().status, 200);
}

#[test]
fn what_is_not_there_is_404_with_the_reason() {
    assert_problems(vec![
        (get("/nowhere"), 404, "not_found"),
        (get("/v1"), 404, "not_found"),
        (get("/v1/events/1").by("POST"), 404, "not_found"),
        (get("/v1/cities/nyc/surge/8/more"), 404, "not_found"),
        (get("/v1/cities/atlantis"), 404, "unknown_city"),
        (get("/v1/cities/atlantis/surge"), 404, "unknown_city"),
        (get("/v1/price?lat=40.7&lng=-74&city=atlantis"), 404, "unknown_city"),
        (get("/v1/price?lat=0&lng=0"), 404, "outside_service_area"),
        (get("/v1/price?lat=0&lng=0&city=nyc"), 404, "outside_service_area"),
    ]);
}

#[test]
fn a_method_that_a_path_does_not_know_is_405_and_the_known_ones_are_named() {
    let server = Server::unfed();
    for (method, target, allow) in [
        ("GET", "/v1/events", "POST"),
        ("PUT", "/v1/events", "POST"),
        ("POST", "/v1/price?lat=40.7&lng=-74", "GET, HEAD"),
        ("DELETE", "/v1/cities", "GET, HEAD"),
        ("PUT", "/v1/cities/nyc", "GET, HEAD"),
        ("PATCH", "/v1/cities/nyc/surge", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ] {
        let reply = server.ask(&get(target).by(method));
        assert_eq!(reply.problem(), (405, "method_not_allowed".into()), "{method} {target}");
        assert_eq!(reply.header("allow"), allow, "{method} {target}");
    }
}

#[test]
fn a_query_that_cannot_be_read_is_400_and_a_wrong_one_422() {
    assert_problems(vec![
        (get("/v1/price"), 422, "missing_parameter"),
        (get("/v1/price?lat=40.7"), 422, "missing_parameter"),
        (get("/v1/price?lat=91&lng=-74"), 422, "out_of_range"),
        (get("/v1/price?lat=40.7&lng=-180.5"), 422, "out_of_range"),
        (get("/v1/price?lat=north&lng=-74"), 400, "malformed_parameter"),
        (get("/v1/price?lat=40.7&lng=NaN"), 400, "malformed_parameter"),
        (get("/v1/price?lat=40.7&lng=-74&lat=40.7"), 400, "repeated_parameter"),
        (get("/v1/price?lat=40.7&lng=%zz"), 400, "malformed_query"),
        (get("/v1/price?lat=40.7&lng=-74&product=sedan-chair"), 422, "unknown_product"),
        (get("/v1/cities/nyc/surge?product=sedan-chair"), 422, "unknown_product"),
        (get("/v1/cities/%ff"), 400, "malformed_path"),
        (get("/v1/cities?limit=0"), 422, "out_of_range"),
        (get("/v1/cities?limit=few"), 400, "malformed_parameter"),
        (get("/v1/cities?next=!"), 400, "malformed_parameter"),
    ]);
}

#[test]
fn a_body_of_another_type_or_encoding_is_415_and_an_unreadable_one_400() {
    let event = driver("d", place(0), now_ms());
    let packed = gzip(event.as_bytes());
    let typed =
        |content_type| Ask { headers: Vec::new(), ..post(event.clone()) }.with("content-type", content_type);
    let encoded = |bytes: &[u8]| post(bytes).with("content-encoding", "gzip");
    assert_problems(vec![
        (Ask { headers: Vec::new(), ..post(event.clone()) }, 415, "unsupported_media_type"),
        (typed("text/plain"), 415, "unsupported_media_type"),
        (post(event.clone()).with("content-encoding", "br"), 415, "unsupported_encoding"),
        (post(event.clone()).with("content-encoding", "gzip, gzip"), 415, "unsupported_encoding"),
        (encoded(event.as_bytes()), 400, "malformed_gzip"),
        (encoded(&packed[..packed.len() - 1]), 400, "malformed_gzip"),
        (post_array("[{}"), 400, "malformed_json"),
        (post_array("{}"), 400, "malformed_json"),
        (post_array("[{},]"), 400, "malformed_json"),
        (post_array("[]]"), 400, "malformed_json"),
        (post_array(vec![b'[', 0xff, b']']), 400, "malformed_json"),
    ]);
}

#[test]
fn a_refused_event_is_named_by_index_and_code_and_costs_no_neighbour() {
    let server = Server::unfed();
    let now_ms = now_ms();
    let good = |id| driver(id, place(0), now_ms);
    let lines = [
        good("d0").as_str(),
        "\r\n",
        "{\"type\":\"driver_location\"\n",
        &good("d2").replace("nyc", "atlantis"),
        &good("d3").replace("\"lat\":40.5", "\"lat\":140.5"),
        &good("d4").replace("\"id\":\"e\",", ""),
        &driver("d5", place(0), now_ms + 90_000),
        &good("d6").replace('{', "{\"products\":[\"sedan-chair\"],"),
        &good("d7").replace('{', &format!("{{\"pad\":\"{}\",", "x".repeat(4_096))),
        &good("d8"),
    ]
    .concat();
    let expected = [
        (1, "malformed_json"),
        (2, "unknown_city"),
        (3, "bad_field"),
        (4, "missing_field"),
        (5, "too_far_in_future"),
        (6, "unknown_product"),
        (7, "too_large"),
    ];
    let reply = server.ask(&post(lines));
    assert_eq!(reply.accepted(), 2);
    let answer = reply.json();
    let refused = answer["refused"].as_array().unwrap();
    assert_eq!(refused.len(), expected.len(), "{answer}");
    for (refused, (index, code)) in refused.iter().zip(expected) {
        assert_eq!(
            (refused["index"].as_i64(), refused["code"].as_str()),
            (Some(index), Some(code)),
            "{answer}"
        );
        assert!(refused["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    }
}
