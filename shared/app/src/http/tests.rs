//! Requests taken apart and answers put together.

use flate2::read::GzDecoder;
use std::io::Read;

use super::*;

fn get<'a>(path: &'a str, query: &'a str, headers: &'a [Header<'a>]) -> Request<'a> {
    Request { method: "GET", path, query, headers, body: b"" }
}

fn gzip_taken() -> [Header<'static>; 1] {
    [("Accept-Encoding".into(), "gzip".into())]
}

#[test]
fn a_path_is_decoded_segment_by_segment() {
    for (path, expected) in [
        ("/v1/price", vec!["v1", "price"]),
        ("/v1/%6Eyc", vec!["v1", "nyc"]),
        ("/v1/a%2Fb", vec!["v1", "a/b"]),
        ("/v1/a+b", vec!["v1", "a+b"]),
        ("/v1/%C3%A9", vec!["v1", "é"]),
        ("/v1/", vec!["v1", ""]),
        ("//v1", vec!["", "v1"]),
        ("/", vec![""]),
    ] {
        let (segments, count) = get(path, "", &[]).segments::<3>().unwrap().unwrap();
        assert_eq!(segments[..count], expected, "{path}");
    }
    assert_eq!(get("/a/b/c/d", "", &[]).segments::<3>().unwrap(), None);
    for malformed in ["/v1/%", "/v1/%4", "/v1/%G0", "/v1/%4G", "/v1/%FF", "/v1/%+1"] {
        let problem = get(malformed, "", &[]).segments::<3>().unwrap_err();
        assert_eq!((problem.status, problem.code), (400, "malformed_path"), "{malformed}");
    }
}

#[test]
fn a_parameter_is_found_whatever_stands_around_it() {
    for (query, lat, lng) in [
        ("lat=1&lng=2", Some("1"), Some("2")),
        ("x=1&lng=%322&&y", None, Some("22")),
        ("l%61t=1+2%2B3", Some("1 2+3"), None),
        ("lat", Some(""), None),
        ("lat=a=b", Some("a=b"), None),
        ("x=%GG&x=1", None, None),
        ("", None, None),
    ] {
        let [found_lat, found_lng] = get("/", query, &[]).parameters(["lat", "lng"]).unwrap();
        assert_eq!((found_lat.as_deref(), found_lng.as_deref()), (lat, lng), "{query}");
    }
}

#[test]
fn a_repeated_or_malformed_parameter_is_unreadable() {
    for (query, code, parameter) in [
        ("lat=1&lat=1", "repeated_parameter", Some("lat")),
        ("lat&l%61t=2", "repeated_parameter", Some("lat")),
        ("lat=%", "malformed_query", None),
        ("lat=%FF", "malformed_query", None),
        ("%FF=1", "malformed_query", None),
    ] {
        let problem = get("/", query, &[]).parameters(["lat"]).unwrap_err();
        assert_eq!((problem.status, problem.code, problem.parameter), (400, code, parameter), "{query}");
    }
}

#[test]
fn long_answers_are_compressed_for_those_who_take_it() {
    let long = "surge ".repeat(200);
    let answer = || Response::of(200, "application/json", &long);
    let headers = gzip_taken();
    let compressed = answer().compressed_for(&get("/", "", &headers));
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    let mut body = Vec::new();
    GzDecoder::new(&compressed.body[..]).read_to_end(&mut body).unwrap();
    assert_eq!(body, answer().body);

    assert_eq!(answer().compressed_for(&get("/", "", &[])), answer());
    let short = Response::of(200, "application/json", &"surge");
    assert_eq!(short.clone().compressed_for(&get("/", "", &headers)), short);
}

#[test]
fn a_problem_tells_programs_and_people() {
    let response = Response::from(Problem::new(422, "out_of_range", "must be 1 to 2").for_parameter("limit"));
    assert_eq!(response.status, 422);
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(
        String::from_utf8(response.body).unwrap(),
        r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"limit: must be 1 to 2","code":"out_of_range","parameter":"limit"}"#
    );
}

#[test]
fn a_problem_says_what_to_do_instead() {
    let refused = Response::from(Problem::method_not_allowed("GET"));
    assert_eq!((refused.header("allow"), refused.header("cache-control")), (Some("GET"), Some("no-store")));
    let wait =
        Problem::new(429, "too_many", "wait").with("retry-after", format!("{}", 7)).for_parameter("limit");
    assert_eq!(Response::from(wait).header("retry-after"), Some("7"));
}

fn payload(rest: &str) -> String {
    format!(
        r#"{{"version":"2.0","rawPath":"/v1/events","requestContext":{{"http":{{"method":"POST"}}}}{rest}}}"#
    )
}

#[test]
fn a_payload_is_read_whether_its_body_is_text_or_base_64() {
    for (rest, body) in [
        (r#","body":"a\n\"b\"","isBase64Encoded":false"#, "a\n\"b\""),
        (r#","body":"YQpi","isBase64Encoded":true"#, "a\nb"),
        (r#","body":null"#, ""),
        ("", ""),
    ] {
        let text = payload(rest);
        let payload = Payload::read(text.as_bytes()).unwrap();
        let request = payload.request();
        assert_eq!((request.method, request.path, request.query), ("POST", "/v1/events", ""));
        assert_eq!(request.body, body.as_bytes());
        assert_eq!(request.header("content-type"), None);
    }
    let text = payload(r#","headers":{"content-type":"a\tb","host":"x"},"rawQueryString":"a=%20""#);
    let read = Payload::read(text.as_bytes()).unwrap();
    assert_eq!(read.request().header("Content-Type"), Some("a\tb"));
    assert_eq!(read.request().query, "a=%20");
}

#[test]
fn what_stands_in_for_api_gateway_may_have_no_stage_and_no_query() {
    let payload = r#"{"version":"2.0","rawPath":"/v1/cities","rawQueryString":null,"body":null,
        "requestContext":{"stage":null,"http":{"method":"GET"}}}"#;
    let payload = Payload::read(payload.as_bytes()).unwrap();
    let request = payload.request();
    assert_eq!((request.path, request.query), ("/v1/cities", ""));
}

#[test]
fn a_stage_is_no_part_of_the_path() {
    for (stage, path, expected) in [
        ("$default", "/v1/price", "/v1/price"),
        ("prod", "/prod/v1/price", "/v1/price"),
        ("prod", "/product", "/product"),
        ("v1", "/v2/price", "/v2/price"),
        ("", "/v1/price", "/v1/price"),
    ] {
        let text = format!(
            r#"{{"version":"2.0","rawPath":"{path}","requestContext":{{"stage":"{stage}","http":{{"method":"GET"}}}}}}"#
        );
        assert_eq!(Payload::read(text.as_bytes()).unwrap().request().path, expected);
    }
}

#[test]
fn what_is_no_payload_is_refused() {
    let unencoded = payload(r#","body":"*","isBase64Encoded":true"#);
    assert!(matches!(Payload::read(unencoded.as_bytes()), Err(PayloadError::Body)));
    let first = payload("").replace("2.0", "1.0");
    assert!(matches!(Payload::read(first.as_bytes()), Err(PayloadError::Version)));
    for bad in ["", "{}", "[]", r#"{"version":"2.0","rawPath":1}"#] {
        assert!(matches!(Payload::read(bad.as_bytes()), Err(PayloadError::Shape(_))), "{bad}");
    }
}

#[test]
fn an_answer_that_is_no_text_goes_out_in_base_64() {
    let text = Response::of(200, "application/json", &"é\"").to_payload();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        r#"{"statusCode":200,"headers":{"content-type":"application/json"},"cookies":[],"body":"\"é\\\"\"","isBase64Encoded":false}"#
    );
    for response in [
        Response { body: vec![0xff], ..Response::empty(200) },
        Response { body: b"gz".to_vec(), ..Response::empty(200).with("content-encoding", "gzip") },
    ] {
        let payload = String::from_utf8(response.to_payload()).unwrap();
        assert!(payload.ends_with(r#""isBase64Encoded":true}"#), "{payload}");
    }
}
