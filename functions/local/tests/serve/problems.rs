//! A wrong request is answered with problem details (RFC 9457) and does not affect others.

use crate::harness::fixture::Server;
use crate::harness::http_client::{Request, get, gzip, post, post_array};
use crate::harness::market::{driver, now_ms, place};

/// Sends all requests on one connection, which must stay usable.
fn assert_problems(cases: Vec<(Request, u16, &str)>) {
    let server = Server::unfed();
    let mut connection = server.connect();
    for (request, status, code) in cases {
        let response = connection.request(&request).unwrap();
        assert_eq!(response.problem(), (status, code.to_owned()), "{request:?}");
    }
    assert_eq!(connection.request(&get("/v1/cities")).unwrap().status, 200);
}

#[test]
fn a_missing_resource_is_404_with_the_reason() {
    assert_problems(vec![
        (get("/nowhere"), 404, "not_found"),
        (get("/v1"), 404, "not_found"),
        (get("/v1/events/1").method("POST"), 404, "not_found"),
        (get("/v1/cities/nyc/surge/8/more"), 404, "not_found"),
        (get("/v1/cities/atlantis"), 404, "unknown_city"),
        (get("/v1/cities/atlantis/surge"), 404, "unknown_city"),
        (get("/v1/price?lat=40.7&lng=-74&city=atlantis"), 404, "unknown_city"),
        (get("/v1/price?lat=0&lng=0"), 404, "outside_service_area"),
        (get("/v1/price?lat=0&lng=0&city=nyc"), 404, "outside_service_area"),
    ]);
}

#[test]
fn an_unsupported_method_is_405_and_allow_lists_the_supported_ones() {
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
        let response = server.request(&get(target).method(method));
        assert_eq!(response.problem(), (405, "method_not_allowed".into()), "{method} {target}");
        assert_eq!(response.header("allow"), allow, "{method} {target}");
    }
}

#[test]
fn an_unreadable_query_is_400_and_an_invalid_one_422() {
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
    let compressed = gzip(event.as_bytes());
    let typed = |content_type| {
        Request { headers: Vec::new(), ..post(event.clone()) }.header("content-type", content_type)
    };
    let encoded = |bytes: &[u8]| post(bytes).header("content-encoding", "gzip");
    assert_problems(vec![
        (Request { headers: Vec::new(), ..post(event.clone()) }, 415, "unsupported_media_type"),
        (typed("text/plain"), 415, "unsupported_media_type"),
        (post(event.clone()).header("content-encoding", "br"), 415, "unsupported_encoding"),
        (post(event.clone()).header("content-encoding", "gzip, gzip"), 415, "unsupported_encoding"),
        (encoded(event.as_bytes()), 400, "malformed_gzip"),
        (encoded(&compressed[..compressed.len() - 1]), 400, "malformed_gzip"),
        (post_array("[{}"), 400, "malformed_json"),
        (post_array("{}"), 400, "malformed_json"),
        (post_array("[{},]"), 400, "malformed_json"),
        (post_array("[]]"), 400, "malformed_json"),
        (post_array(vec![b'[', 0xff, b']']), 400, "malformed_json"),
    ]);
}

#[test]
fn a_refused_event_is_named_by_index_and_code_and_others_are_accepted() {
    let server = Server::unfed();
    let now_ms = now_ms();
    let valid = |id| driver(id, place(0), now_ms);
    let lines = [
        valid("d0").as_str(),
        "\r\n",
        "{\"type\":\"driver_location\"\n",
        &valid("d2").replace("nyc", "atlantis"),
        &valid("d3").replace("\"lat\":40.5", "\"lat\":140.5"),
        &valid("d4").replace("\"id\":\"e\",", ""),
        &driver("d5", place(0), now_ms + 90_000),
        &valid("d6").replace('{', "{\"products\":[\"sedan-chair\"],"),
        &valid("d7").replace('{', &format!("{{\"pad\":\"{}\",", "x".repeat(4_096))),
        &valid("d8"),
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
    let response = server.request(&post(lines));
    assert_eq!(response.accepted(), 2);
    let receipt = response.json();
    let refused = receipt["refused"].as_array().unwrap();
    assert_eq!(refused.len(), expected.len(), "{receipt}");
    for (refused, (index, code)) in refused.iter().zip(expected) {
        assert_eq!(
            (refused["index"].as_i64(), refused["code"].as_str()),
            (Some(index), Some(code)),
            "{receipt}"
        );
        assert!(refused["message"].as_str().is_some_and(|message| !message.is_empty()), "{receipt}");
    }
}

#[test]
fn a_body_that_is_nested_too_deep_and_a_query_of_too_many_parameters_are_400() {
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let json = |method, target: &str| {
        let request = Request { body: nested.clone().into_bytes(), ..get(target) }.method(method);
        request.header("content-type", "application/json")
    };
    let parameters = vec!["a=1"; 60].join("&");
    assert_problems(vec![
        (json("POST", "/v1/quotes"), 400, "unreadable"),
        (json("POST", "/v1/cities/nyc/overrides"), 400, "unreadable"),
        (json("PUT", "/v1/cities/nyc/policy").header("if-match", "\"1\""), 400, "unreadable"),
        (get(&format!("/v1/price?{parameters}")), 400, "too_many_parameters"),
        (get(&format!("/v1/price?{}", "a".repeat(11_000))), 414, "target_too_long"),
        (get(&format!("/v1/cities/{}", "a".repeat(3_000))), 414, "target_too_long"),
    ]);
}
