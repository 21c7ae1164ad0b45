//! Requests for the page and its files.
#![allow(clippy::unwrap_used)]

use std::io::Read;

use equilibrium_http::{Header, Request, Response};
use equilibrium_page::{Basemaps, respond};
use flate2::read::GzDecoder;

/// What a browser accepts when it opens a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

fn send(method: &str, path: &str, headers: &[(&'static str, &str)], basemaps: &Basemaps) -> Option<Response> {
    let headers: Vec<Header<'_>> =
        headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    respond(&Request { method, path, query: "", headers: &headers, body: b"" }, basemaps)
}

fn get(path: &str, headers: &[(&'static str, &str)]) -> Response {
    send("GET", path, headers, &Basemaps::default()).unwrap()
}

fn page(headers: &[(&'static str, &str)]) -> Response {
    get("/", &[&[("accept", BROWSER)], headers].concat())
}

fn text(response: &Response) -> String {
    let body = response.body.bytes();
    if response.header("content-encoding") != Some("gzip") {
        return String::from_utf8(body.into_owned()).unwrap();
    }
    let mut text = String::new();
    GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
    text
}

/// The path of the page's script.
fn script() -> String {
    let page = text(&page(&[]));
    let from = page.find("/assets/index-").unwrap();
    page[from..].split('"').next().unwrap().to_owned()
}

#[test]
fn a_browser_gets_the_page_and_a_terminal_the_text_of_the_host() {
    let page = page(&[]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(text(&page).starts_with("<!doctype html>"));
    assert!(send("GET", "/", &[("accept", "text/HTML, */*")], &Basemaps::default()).is_some());
    for accept in ["*/*", "text/plain", "text/*", "application/json", "text/html;q=0", "text/html;q=0.1, */*"]
    {
        assert_eq!(send("GET", "/", &[("accept", accept)], &Basemaps::default()), None, "{accept}");
    }
    assert_eq!(send("GET", "/", &[], &Basemaps::default()), None);
    assert_eq!(send("GET", "/v1/cities", &[("accept", BROWSER)], &Basemaps::default()), None);
}

#[test]
fn the_page_is_revalidated_by_a_tag_of_its_coding() {
    let plain = page(&[]);
    let compressed = page(&[("accept-encoding", "gzip")]);
    assert_eq!(plain.header("cache-control"), Some("no-cache"));
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert_eq!(text(&compressed), text(&plain));
    let (plain_tag, gzip_tag) = (plain.header("etag").unwrap(), compressed.header("etag").unwrap());
    assert_ne!(plain_tag, gzip_tag);

    let known = page(&[("if-none-match", plain_tag)]);
    assert_eq!((known.status, known.body.is_empty(), known.header("etag")), (304, true, Some(plain_tag)));
    assert_eq!(known.header("vary"), Some("accept, accept-encoding"));
    let of_another_coding = page(&[("if-none-match", plain_tag), ("accept-encoding", "gzip")]);
    assert_eq!(of_another_coding.status, 200);
    assert_eq!(page(&[("if-none-match", gzip_tag), ("accept-encoding", "gzip")]).status, 304);
}

#[test]
fn the_page_runs_no_inline_script_and_loads_from_its_own_origin_alone() {
    let response = page(&[]);
    let policy = response.header("content-security-policy").unwrap();
    for directive in
        ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.split("; ").any(|given| given == directive), "{directive}");
    }
    assert!(!policy.contains("unsafe-eval"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
    let page = text(&response);
    let scripts = page.split("<script").skip(1);
    assert!(
        scripts.map(|script| script.split('>').next().unwrap()).all(|tag| tag.contains("src=\"/assets/"))
    );
}

#[test]
fn a_built_file_is_kept_for_ever_and_compressed() {
    let script = script();
    let compressed = get(&script, &[("accept-encoding", "gzip, br")]);
    assert_eq!(compressed.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(compressed.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(compressed.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(compressed.header("vary"), Some("accept-encoding"));
    let plain = get(&script, &[]);
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(text(&compressed), text(&plain));
    assert!(compressed.body.len() < plain.body.len() / 2);
}

#[test]
fn other_methods_and_names_are_refused() {
    let script = script();
    let posted = send("POST", &script, &[], &Basemaps::default()).unwrap();
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(send("DELETE", "/", &[("accept", BROWSER)], &Basemaps::default()).unwrap().status, 405);
    let head = send("HEAD", &script, &[], &Basemaps::default()).unwrap();
    assert_eq!((head.status, head.body.is_empty()), (200, true));
    for name in ["/assets/", "/assets/nothing.js", "/assets/../index.html", "/assets/%2e%2e/index.html"] {
        assert_eq!(get(name, &[]).status, 404, "{name}");
    }
    assert_eq!(get(&script, &[("accept-encoding", "br, *;q=0")]).status, 406);
}

#[test]
fn a_basemap_beside_a_city_file_is_served_and_revalidated() {
    let basemaps = Basemaps::of([("rome".to_owned(), br#"{"type":"Topology"}"#.to_vec())]);
    let path = "/assets/city/rome.topo.json";
    let response = send("GET", path, &[], &basemaps).unwrap();
    assert_eq!((response.status, text(&response)), (200, r#"{"type":"Topology"}"#.to_owned()));
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    let tag = response.header("etag").unwrap();
    assert_eq!(send("GET", path, &[("if-none-match", tag)], &basemaps).unwrap().status, 304);
}

#[test]
fn a_city_without_a_basemap_has_null_instead() {
    let response = get("/assets/city/oslo.topo.json", &[]);
    assert_eq!((response.status, text(&response)), (200, "null".to_owned()));
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    assert_eq!(get("/assets/city/oslo", &[]).status, 404);
}

#[test]
fn basemaps_are_found_beside_the_city_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rome.topo.json"), "{}").unwrap();
    let basemaps = Basemaps::beside(&folder.path().join("cities.json"), ["oslo", "rome"]).unwrap();
    assert_eq!(text(&send("GET", "/assets/city/rome.topo.json", &[], &basemaps).unwrap()), "{}");
    assert_eq!(text(&send("GET", "/assets/city/oslo.topo.json", &[], &basemaps).unwrap()), "null");
}
