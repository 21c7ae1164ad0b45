//! Server-sent events (HTML standard, "Server-sent events").

use serde::Serialize;

/// The media type of a stream of events.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// A comment, which keeps an idle connection in use.
pub const COMMENT: &[u8] = b":\n\n";

/// The field that sets how long a client waits before it connects again.
#[must_use]
pub fn retry(ms: u32) -> Vec<u8> {
    format!("retry: {ms}\n\n").into_bytes()
}

/// The event called `name` with `data` as JSON, which has no line breaks.
///
/// # Panics
/// If a map in `data` has keys that are not strings.
#[must_use]
pub fn event(name: &str, id: Option<&str>, data: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    for (field, value) in [("id", id), ("event", Some(name))] {
        if let Some(value) = value {
            out.extend_from_slice(format!("{field}: {value}\n").as_bytes());
        }
    }
    out.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut out, data).expect("keys are strings, and a vector accepts every write");
    out.extend_from_slice(b"\n\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_fields_and_an_empty_line() {
        let text = |id| String::from_utf8(event("tick", id, &"a\nb")).unwrap();
        assert_eq!(text(Some("7")), "id: 7\nevent: tick\ndata: \"a\\nb\"\n\n");
        assert_eq!(text(None), "event: tick\ndata: \"a\\nb\"\n\n");
        assert_eq!(retry(1_000), b"retry: 1000\n\n");
    }
}
