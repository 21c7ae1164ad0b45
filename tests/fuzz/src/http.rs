//! Heads of requests, and what is read from their targets and headers.

use equilibrium_app::notify::change::VersionId;
use equilibrium_http::{Codings, Request, etag_matches, excludes, negotiate, page_token, parameters, routes};
use equilibrium_http_server::head::{self, Head, MAX_HEAD_BYTES};

use crate::select;

const OFFERS: [&str; 3] = ["application/json", "application/geo+json", "text/html"];
const PARAMETERS: [&str; 4] = ["city", "lat", "lng", "product"];

/// What is read is read again from its other forms.
pub fn target(input: &[u8]) {
    let (selected, input) = select(input);
    if selected % 8 == 0 {
        return request_head(input);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    match selected % 8 {
        1 => preferences(text),
        2 => entity_tags(text),
        3 => path(text),
        4 => query(text),
        5 => {
            let Some(id) = VersionId::parse(text) else { return };
            assert_eq!(VersionId::parse(&id.to_string()), Some(id));
        }
        6 => {
            assert_eq!(
                page_token::decode("page", &page_token::encode(text), |key| Some(key.to_owned()))
                    .ok()
                    .as_deref(),
                Some(text)
            );
            drop(page_token::decode("page", text, |key| Some(key.to_owned())));
        }
        _ => {
            let degrees = parameters::degrees("lat", Some(text), -90.0..=90.0);
            assert!(degrees.is_err() || degrees.is_ok_and(|degrees| degrees.abs() <= 90.0));
            let count = parameters::count("limit", Some(text), 1..=100);
            assert!(
                count.is_err()
                    || count.is_ok_and(|count| count.is_some_and(|count| (1..=100).contains(&count)))
            );
        }
    }
}

/// A head has one length, whatever follows it, and is read the same when its lines are written again.
fn request_head(bytes: &[u8]) {
    let Ok(Some(length)) = head::length(bytes) else { return };
    assert!(length <= MAX_HEAD_BYTES && length <= bytes.len());
    let bytes = &bytes[..length];
    assert!(matches!(head::length(bytes), Ok(Some(same)) if same == length));
    assert!(matches!(head::length(&bytes[..length - 1]), Ok(None)), "the head is complete before its end");
    let Ok(head) = Head::read(bytes) else { return };
    assert!(head.path.starts_with('/') || head.path == "*");
    for (at, (name, _)) in head.headers.iter().enumerate() {
        assert!(
            !head.headers[..at].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)),
            "{name} twice"
        );
    }
    // Joined values are not always read as those of several lines, and an absolute target has another host.
    let is_joined = head.headers.iter().any(|(_, value)| value.contains(','));
    if is_joined || head.headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        return;
    }
    let version = i32::from(!head.is_http_10);
    let mut written = format!("{} {}?{} HTTP/1.{version}\r\n", head.method, head.path, head.query);
    for (name, value) in &head.headers {
        written.extend([name, ": ", value, "\r\n"]);
    }
    written.push_str("\r\n");
    if head.path != "*" && written.len() <= MAX_HEAD_BYTES {
        assert_eq!(Head::read(written.as_bytes()).ok().as_ref(), Some(&head));
    }
}

fn preferences(list: &str) {
    if let Some(chosen) = negotiate(list, &OFFERS) {
        assert!(OFFERS.contains(&chosen) && !excludes(list, chosen));
        assert_eq!(negotiate(list, &[chosen]), Some(chosen));
    }
    let codings = Codings::of(Some(list));
    assert!(codings.gzip || !codings.prefers_gzip);
    // White space and empty elements mean nothing (RFC 9110 §5.6.1); an open quote reaches to the end.
    assert_eq!(Codings::of(Some(&format!(" , {list}"))), codings);
    assert_eq!(negotiate(&format!(" , {list}"), &OFFERS), negotiate(list, &OFFERS));
}

fn entity_tags(text: &str) {
    let (tag, list) = text.split_once('\n').unwrap_or((text, ""));
    if tag.contains('"') {
        assert!(!etag_matches(list, tag) || list.trim() == "*");
        return;
    }
    assert!(etag_matches(&format!("\"{tag}\""), tag));
    assert!(etag_matches(&format!("W/\"other, \", W/\"{tag}\""), tag));
    if list.matches('"').count().is_multiple_of(2) && list.trim() != "*" {
        assert!(etag_matches(&format!("{list},\"{tag}\""), tag));
    }
}

/// A path is the same however many of its characters are percent-encoded.
fn path(path: &str) {
    let route = routes::find(path);
    let request = Request { method: "GET", path, query: "", headers: &[], body: b"" };
    let Ok(Some((segments, count))) = request.segments::<8>() else { return };
    let encoded: String =
        segments[..count].iter().flat_map(|segment| ["/".to_owned(), percent_encoded(segment)]).collect();
    let again = Request { path: &encoded, ..request };
    assert_eq!(again.segments::<8>().ok().flatten(), Some((segments, count)));
    if path.starts_with('/') {
        assert_eq!(routes::find(&encoded), route);
    }
}

fn query(query: &str) {
    let request = Request { method: "GET", path: "/", query, headers: &[], body: b"" };
    let Ok(values) = request.parameters(PARAMETERS) else { return };
    let given = PARAMETERS.iter().zip(&values).filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs: Vec<String> =
        given.map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value))).collect();
    let again = Request { query: &pairs.join("&"), ..request };
    assert_eq!(again.parameters(PARAMETERS).ok(), Some(values.clone()));
}

fn percent_encoded(text: &str) -> String {
    let digit = |digit: u8| char::from(b"0123456789ABCDEF"[usize::from(digit)]);
    text.bytes().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)]).collect()
}
