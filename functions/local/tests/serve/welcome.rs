//! The simulated city from its first moment, and every call that the welcome names.

use serde_json::{Value, json};

use crate::client::{Ask, get, inflate};
use crate::market::{now_ms, time, total};
use crate::world::{Server, serve, until};

const MAP: &str = "/v1/cities/nyc/surge";

/// The calls that a welcome names, as they would be typed now.
fn calls(said: &[String]) -> Vec<Ask> {
    let said = said.join("\n").replace("\\\n", "").replace(r#"'"$(date -u +%FT%TZ)"'"#, &time(now_ms()));
    said.lines().filter_map(|line| line.trim().strip_prefix("curl ")).map(typed).collect()
}

/// The request that `curl` makes of these arguments.
fn typed(arguments: &str) -> Ask {
    let mut ask = get("");
    let mut words = words(arguments).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-H" => {
                let header = words.next().unwrap();
                let (name, value) = header.split_once(": ").unwrap();
                ask = ask.with(name, value);
            }
            "--data-binary" => {
                ask.method = "POST";
                ask.body = words.next().unwrap().into();
            }
            url => {
                let (_, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
                ask.target = format!("/{path}");
            }
        }
    }
    ask
}

/// A shell's words: cut at spaces, but for what stands between single quotes.
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
fn every_call_of_the_welcome_works_as_it_is_typed() {
    let server = Server::start(&mut serve(&[]));
    // The welcome is said at once, and what it says last comes last.
    server.process.hear("how to post", |line| line.contains("ride_requested").then_some(()));
    let calls = calls(&server.process.lines());
    assert_eq!(calls.len(), 6);
    for call in &calls {
        let reply = server.ask(call);
        let expected = if call.method == "POST" { 202 } else { 200 };
        assert_eq!(reply.status, expected, "{call:?}: {}", reply.text());
        if expected == 202 {
            assert_eq!(reply.accepted(), 1, "{}", reply.text());
        }
    }
    let page = server.ask(&get("/"));
    assert_eq!((page.status, page.header("content-type")), (200, "text/plain; charset=utf-8"));
    let said = server.process.lines().join("\n");
    assert!(said.starts_with(page.text().trim_end()), "the page is the welcome: {said}");
}

#[test]
fn the_map_comes_as_the_client_likes_it() {
    let server = Server::unfed();
    let map = server.fill(60);

    let plain = server.ask(&get(MAP));
    assert_eq!((plain.header("content-type"), plain.header("content-encoding")), ("application/json", ""));
    let packed = server.ask(&get(MAP).with("accept-encoding", "gzip"));
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len() / 2, "{} of {}", packed.body.len(), plain.body.len());
    let inflated: Value = serde_json::from_slice(&inflate(&packed.body)).unwrap();
    assert_eq!(inflated["cells"], map["cells"]);

    let known = plain.header("etag");
    let same = server.ask(&get(MAP).with("if-none-match", known));
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, known, 0));
    let other = server.ask(&get(MAP).with("if-none-match", "\"another\""));
    assert_eq!((other.status, other.header("etag")), (200, known));

    let hexagons = server.ask(&get(MAP).with("accept", "application/geo+json"));
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
        Some(server.ask(&get(MAP).with("if-none-match", known)).status).filter(|status| *status == 200)
    });
}

#[test]
fn a_head_is_an_answer_without_its_body() {
    let server = Server::unfed();
    server.fill(3);
    let mut connection = server.connect();
    for target in ["/", "/v1/cities", "/v1/cities/nyc", MAP, "/v1/price?lat=40.7549&lng=-73.984", "/nowhere"]
    {
        let whole = connection.ask(&get(target)).unwrap();
        let head = connection.ask(&get(target).by("HEAD")).unwrap();
        assert_eq!((head.status, head.body.len()), (whole.status, 0), "{target}");
        assert_eq!(head.header("content-type"), whole.header("content-type"), "{target}");
        assert_eq!(head.header("etag"), whole.header("etag"), "{target}");
    }
}
