//! The simulated city from its first price on, and every call in the banner.

use equilibrium_http::routes::{self, ROUTES};
use serde_json::{Value, json};

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::{Request, get, gunzip};
use crate::harness::market::{now_ms, rfc3339, total};
use crate::harness::process::until;

const MAP: &str = "/v1/cities/nyc/surge";

/// The requests of the banner's commands, run now.
fn requests(output: &[String]) -> Vec<Request> {
    let output =
        output.join("\n").replace("\\\n", "").replace(r#"'"$(date -u +%FT%TZ)"'"#, &rfc3339(now_ms()));
    output.lines().filter_map(|line| line.trim().strip_prefix("curl ")).map(curl_request).collect()
}

/// The request that `curl` sends for these arguments.
fn curl_request(arguments: &str) -> Request {
    let mut request = get("");
    let mut words = words(arguments).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-H" => {
                let header = words.next().unwrap();
                let (name, value) = header.split_once(": ").unwrap();
                request = request.header(name, value);
            }
            "--data-binary" => {
                request.method = "POST";
                request.body = words.next().unwrap().into();
            }
            url => {
                let (_, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
                request.target = format!("/{path}");
            }
        }
    }
    request
}

/// The words of a shell command: split at spaces outside single quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[test]
fn the_first_price_is_fresh() {
    let server = Server::start(&mut serve(&[]));
    let price = server.json("/v1/price?lat=40.7549&lng=-73.984");
    assert_eq!(price["mode"], "fresh", "{price}");
    assert!(
        price["as_of"].is_string() && price["age_ms"].as_i64().is_some_and(|age| age <= 30_000),
        "{price}"
    );
    assert!(price["multiplier"].as_f64().is_some_and(|multiplier| multiplier >= 1.0), "{price}");

    let map = server.map();
    assert!(total(&map, "demand") > 0 && total(&map, "supply") > 0);
    assert_eq!(map["completeness"], 1.0);
    let version = map["version"].as_i64();
    until("the next tick", || (server.map()["version"].as_i64() > version).then_some(()));
}

#[test]
fn every_command_of_the_banner_works_unchanged() {
    let server = Server::start(&mut serve(&[]));
    // The banner ends with the command that posts an event.
    server.process.wait_for_line("the last command", |line| line.contains("ride_requested").then_some(()));
    let requests = requests(&server.process.lines());
    assert_eq!(requests.len(), 9);
    let function = |request: &Request| {
        let path = request.target.split('?').next().unwrap_or_default();
        routes::find(path).map(|route| route.function)
    };
    for route in &ROUTES {
        let is_called = requests.iter().any(|request| function(request) == Some(route.function));
        assert!(is_called, "no command for {}", route.function.name());
    }
    for request in &requests {
        let response = server.request(request);
        let expected = match (request.method, request.target.as_str()) {
            ("POST", "/v1/quotes") => 201,
            ("POST", _) => 202,
            _ => 200,
        };
        assert_eq!(response.status, expected, "{request:?}: {}", response.text());
        if expected == 202 {
            assert_eq!(response.accepted(), 1, "{}", response.text());
        }
    }
    let index = server.request(&get("/"));
    assert_eq!((index.status, index.header("content-type")), (200, "text/plain; charset=utf-8"));
    let output = server.process.lines().join("\n");
    assert!(output.starts_with(index.text().trim_end()), "the index is the banner: {output}");
}

#[test]
fn the_map_is_negotiated_and_revalidated() {
    let server = Server::unfed();
    let map = server.fill(60);

    let plain = server.request(&get(MAP));
    assert_eq!((plain.header("content-type"), plain.header("content-encoding")), ("application/json", ""));
    let compressed = server.request(&get(MAP).header("accept-encoding", "gzip"));
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert!(
        compressed.body.len() < plain.body.len() / 2,
        "{} of {}",
        compressed.body.len(),
        plain.body.len()
    );
    let content: Value = serde_json::from_slice(&gunzip(&compressed.body)).unwrap();
    assert_eq!(content["cells"], map["cells"]);

    let known = plain.header("etag");
    let same = server.request(&get(MAP).header("if-none-match", known));
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, known, 0));
    let other = server.request(&get(MAP).header("if-none-match", "\"another\""));
    assert_eq!((other.status, other.header("etag")), (200, known));

    let hexagons = server.request(&get(MAP).header("accept", "application/geo+json"));
    assert_eq!(hexagons.header("content-type"), "application/geo+json");
    assert_ne!(hexagons.header("etag"), known);
    let hexagons = hexagons.json();
    assert_eq!((&hexagons["type"], &hexagons["as_of"]), (&json!("FeatureCollection"), &map["as_of"]));
    let features = hexagons["features"].as_array().unwrap();
    assert_eq!(features.len(), map["cells"].as_array().unwrap().len());
    for feature in features {
        let corners = feature["geometry"]["coordinates"][0].as_array().unwrap();
        assert_eq!(corners.first(), corners.last(), "{feature}");
        assert_eq!(corners.len(), 7, "{feature}");
    }

    server.close_ticks();
    until("another map", || {
        Some(server.request(&get(MAP).header("if-none-match", known)).status).filter(|status| *status == 200)
    });
}

#[test]
fn a_browser_gets_the_page_at_the_address_and_a_terminal_the_banner() {
    let server = Server::unfed();
    let page = server.request(&get("/").header("accept", "text/html,*/*;q=0.8"));
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let page = page.text();
    let (_, script) = page.split_once("type=\"module\" crossorigin src=\"").unwrap();
    let script = server.request(&get(script.split('"').next().unwrap()));
    assert_eq!((script.status, script.header("content-type")), (200, "text/javascript; charset=utf-8"));
    let banner = server.request(&get("/").header("accept", "*/*"));
    assert_eq!(banner.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(banner.header("vary"), "accept");
    assert!(banner.text().contains("Open this address in a browser"));
}

#[test]
fn a_head_response_has_the_headers_of_get_and_no_body() {
    let server = Server::unfed();
    server.fill(3);
    let mut connection = server.connect();
    for target in ["/", "/v1/cities", "/v1/cities/nyc", MAP, "/v1/price?lat=40.7549&lng=-73.984", "/nowhere"]
    {
        let full = connection.request(&get(target)).unwrap();
        let head = connection.request(&get(target).method("HEAD")).unwrap();
        assert_eq!((head.status, head.body.len()), (full.status, 0), "{target}");
        assert_eq!(head.header("content-type"), full.header("content-type"), "{target}");
        assert_eq!(head.header("etag"), full.header("etag"), "{target}");
    }
}
