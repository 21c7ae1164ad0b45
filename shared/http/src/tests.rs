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
