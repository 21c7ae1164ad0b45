//! The head of a response on the wire.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use equilibrium_http::{Response, reason_phrase};

/// The beginning of the year 10000, which an HTTP date cannot express, since the epoch.
const END_OF_DATES: Duration = Duration::from_hours(70_389_528);

/// What becomes of the connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is closed.
    Close,
    /// It stays open, as is usual in HTTP/1.1.
    Open,
    /// It stays open, which an HTTP/1.0 client has asked for.
    Open10,
    /// It carries content of unknown length in chunks (RFC 9112 §7.1).
    Chunked,
    /// It carries content that ends with the connection, for an HTTP/1.0 client.
    Unframed,
}

/// The head of `response`. One without content that could have some, for it answers `HEAD` or is 304, has no length.
pub fn head(response: &Response, is_head: bool, next: Next) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        head.write_fmt(arguments).expect("a vector accepts every write");
    };
    line(format_args!("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status)));
    let is_text = |value: &str| value.bytes().all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7f);
    for (name, value) in response.headers.iter().filter(|(_, value)| is_text(value)) {
        line(format_args!("{name}: {value}\r\n"));
    }
    let is_stream = matches!(next, Next::Chunked | Next::Unframed);
    if !is_head && !is_stream && response.status != 304 {
        line(format_args!("content-length: {}\r\n", response.body.len()));
    }
    match next {
        Next::Close | Next::Unframed => line(format_args!("connection: close\r\n")),
        Next::Chunked => line(format_args!("transfer-encoding: chunked\r\n")),
        Next::Open10 => line(format_args!("connection: keep-alive\r\n")),
        Next::Open => {}
    }
    let now = SystemTime::now();
    if now.duration_since(UNIX_EPOCH).is_ok_and(|since| since < END_OF_DATES) {
        line(format_args!("date: {}\r\n", httpdate::HttpDate::from(now)));
    }
    line(format_args!("\r\n"));
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_length_date_and_what_becomes_of_the_connection() {
        let text =
            |response: &Response, is_head, next| String::from_utf8(head(response, is_head, next)).unwrap();
        let response = Response::of(200, "application/json", &7).with("x", "a\r\nb: c");
        let open = text(&response, false, Next::Open);
        let start = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\ndate: ";
        assert!(open.starts_with(start) && open.ends_with(" GMT\r\n\r\n"), "{open}");
        assert!(text(&response, false, Next::Close).contains("\r\nconnection: close\r\n"));
        assert!(text(&response, false, Next::Open10).contains("\r\nconnection: keep-alive\r\n"));
        let chunked = text(&response, false, Next::Chunked);
        assert!(
            chunked.contains("\r\ntransfer-encoding: chunked\r\n") && !chunked.contains("content-length")
        );
        let unframed = text(&response, false, Next::Unframed);
        assert!(unframed.contains("\r\nconnection: close\r\n") && !unframed.contains("content-length"));
        assert!(!text(&response, true, Next::Open).contains("content-length"));
        assert!(!text(&Response::empty(304), false, Next::Open).contains("content-length"));
    }
}
