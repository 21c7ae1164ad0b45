//! The head of a request: what it must be for the request to be read at all (RFC 9112 §2 to §6).

use std::borrow::Cow;
use std::net::Ipv4Addr;

use equilibrium_http::{Header, Problem};

/// Maximum size of a head, in bytes. API Gateway takes at most 10,240 bytes of request line and headers.
pub const MAX_HEAD_BYTES: usize = 16 << 10;

/// Maximum number of header lines.
pub const MAX_HEADERS: usize = 100;

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// After this many bytes.
    Bytes(u64),
    /// With its last chunk.
    Chunked,
}

/// A head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// The path with its leading slash, percent-encoded, or `*`.
    pub path: &'a str,
    /// The query without its question mark, percent-encoded.
    pub query: &'a str,
    /// The headers, each name once.
    pub headers: Vec<Header<'a>>,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the request is HTTP/1.0.
    pub is_http_10: bool,
    /// Whether the client keeps the connection open.
    pub keeps_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// The length of the head at the start of `bytes`; `None` if it has not arrived completely.
///
/// # Errors
/// 400 `malformed_request`, 414 `target_too_long` or 431 `headers_too_large`.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::Request::new(&mut headers).parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => Ok(Some(length)),
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => Ok(None),
        Ok(_) => Err(too_large(bytes)),
        Err(httparse::Error::TooManyHeaders) => Err(Problem::new(
            431,
            "headers_too_large",
            format!("a request has at most {MAX_HEADERS} headers"),
        )),
        Err(error) => Err(malformed(format!("the request is not HTTP/1.1: {error}"))),
    }
}

fn too_large(bytes: &[u8]) -> Problem {
    let detail = |what| format!("{what} longer than {MAX_HEAD_BYTES} bytes");
    if bytes[..MAX_HEAD_BYTES.min(bytes.len())].contains(&b'\n') {
        Problem::new(431, "headers_too_large", detail("request line and headers are"))
    } else {
        Problem::new(414, "target_too_long", detail("the request line is"))
    }
}

/// 400: the request is not one.
pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(400, "malformed_request", detail)
}

impl<'a> Head<'a> {
    /// Reads a complete head.
    ///
    /// # Errors
    /// The problem of a request that cannot be read, or that is not for this server.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(bytes).map_err(|error| malformed(format!("the request is not HTTP/1.1: {error}")))?;
        let is_http_10 = request.version == Some(0);
        let mut head = Self {
            method: request.method.unwrap_or_default(),
            path: "",
            query: "",
            headers: joined(request.headers),
            body: BodyLength::Bytes(0),
            is_http_10,
            keeps_alive: false,
            expects_continue: false,
        };
        let authority = head.read_target(request.path.unwrap_or_default())?;
        require_loopback(request.headers, authority, is_http_10)?;
        head.body = head.body_length(request.headers)?;
        let has_option = |option| head.tokens("connection").any(|token| token.eq_ignore_ascii_case(option));
        head.keeps_alive = !has_option("close") && (!is_http_10 || has_option("keep-alive"));
        head.expects_continue = head.expects_continue()?;
        Ok(head)
    }

    /// Reads path and query, and returns the authority of a target in absolute form (RFC 9112 §3.2).
    fn read_target(&mut self, target: &'a str) -> Result<Option<&'a str>, Problem> {
        if target.bytes().any(|byte| !(b'!'..=b'~').contains(&byte) || byte == b'#') {
            return Err(malformed("the target has characters that a URI does not have"));
        }
        let absolute =
            target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &target[7..]);
        let (authority, rest) = match absolute {
            Some(absolute) => {
                let end = absolute.find(['/', '?']).unwrap_or(absolute.len());
                (Some(&absolute[..end]), &absolute[end..])
            }
            None if target.starts_with('/') || target == "*" => (None, target),
            None => return Err(malformed("the target is neither a path nor an http URI")),
        };
        (self.path, self.query) = rest.split_once('?').unwrap_or((rest, ""));
        if self.path.is_empty() {
            self.path = "/";
        }
        Ok(authority)
    }

    /// How the body ends. Two different answers are refused: the next request could begin at either (RFC 9112 §6.3).
    fn body_length(&self, lines: &[httparse::Header<'_>]) -> Result<BodyLength, Problem> {
        let is_coded = values(lines, "transfer-encoding").next().is_some();
        let mut lengths = values(lines, "content-length");
        let Some(length) = lengths.next() else {
            return if is_coded { self.coded_length() } else { Ok(BodyLength::Bytes(0)) };
        };
        if is_coded {
            return Err(malformed("the request has both content-length and transfer-encoding"));
        }
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) || lengths.any(|other| other != length)
        {
            return Err(malformed("content-length is not one number"));
        }
        let digit =
            |length: u64, digit: &u8| length.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        Ok(BodyLength::Bytes(length.iter().fold(0, digit)))
    }

    fn coded_length(&self) -> Result<BodyLength, Problem> {
        let codings: Vec<&str> = self.tokens("transfer-encoding").collect();
        let is_chunked = |coding: &&&str| coding.eq_ignore_ascii_case("chunked");
        let is_last = codings.last().as_ref().is_some_and(is_chunked);
        if self.is_http_10 || !is_last || codings.iter().filter(is_chunked).count() > 1 {
            return Err(malformed("the last transfer coding of a request is chunked, once, in HTTP/1.1"));
        }
        if codings.len() > 1 {
            let detail = "chunked is the only transfer coding; use content-encoding for gzip";
            return Err(Problem::new(501, "unsupported_transfer_encoding", detail));
        }
        Ok(BodyLength::Chunked)
    }

    fn expects_continue(&self) -> Result<bool, Problem> {
        let expectation = self.tokens("expect").next().filter(|_| !self.is_http_10);
        match expectation {
            None => Ok(false),
            Some(expectation) if expectation.eq_ignore_ascii_case("100-continue") => Ok(true),
            Some(_) => Err(Problem::new(417, "expectation_failed", "the only expectation is 100-continue")),
        }
    }

    /// The elements of a list.
    fn tokens(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        let elements = named.flat_map(|(_, list)| list.split(',').map(str::trim));
        elements.filter(|element| !element.is_empty())
    }
}

/// The values of a header's lines.
fn values<'h>(lines: &'h [httparse::Header<'_>], name: &str) -> impl Iterator<Item = &'h [u8]> {
    lines.iter().filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
}

/// The headers; the values of a repeated one are joined (RFC 9110 §5.3). Bytes that are not UTF-8 are replaced, so that a
/// value with them is not taken for another.
fn joined<'a>(lines: &[httparse::Header<'a>]) -> Vec<Header<'a>> {
    let mut headers: Vec<Header<'a>> = Vec::with_capacity(lines.len());
    for line in lines {
        let value = String::from_utf8_lossy(line.value);
        match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(line.name)) {
            Some((_, values)) => {
                let values = values.to_mut();
                values.push_str(", ");
                values.push_str(&value);
            }
            None => headers.push((line.name.into(), value)),
        }
    }
    headers
}

/// Requires exactly one `Host` (RFC 9112 §3.2), none in HTTP/1.0, that names this machine. Requests are not authenticated:
/// a page from elsewhere, whose name is made to resolve to a loopback address, must not reach them.
fn require_loopback(
    lines: &[httparse::Header<'_>],
    authority: Option<&str>,
    is_http_10: bool,
) -> Result<(), Problem> {
    let mut hosts = values(lines, "host");
    let host = hosts.next();
    if hosts.next().is_some() || host.is_none() && !is_http_10 {
        return Err(malformed("a request has exactly one host header"));
    }
    let named = authority.map(str::as_bytes).into_iter().chain(host);
    for name in named {
        if !std::str::from_utf8(name).is_ok_and(is_loopback) {
            let detail = "only requests to this machine's loopback are answered; see the host header";
            return Err(Problem::new(421, "misdirected_request", detail));
        }
    }
    Ok(())
}

/// Whether a host, with or without a port, is this machine's loopback, or a name of one label: those are given on this
/// machine and its network, while a page from elsewhere has a name with a domain.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.split_once(']') {
        Some((_, port)) => {
            (&host[..host.len() - port.len()], port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => host.split_once(':').map_or((host, Some("")), |(name, port)| (name, Some(port))),
    };
    let is_label = name.starts_with(|it: char| it.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_name = is_label || name == "[::1]";
    let is_address = || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback());
    port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())) && (is_name || is_address())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(head: &str) -> Option<(u16, &'static str)> {
        let read = match length(head.as_bytes()) {
            Ok(Some(length)) => Head::read(&head.as_bytes()[..length]).map(drop),
            Ok(None) => Ok(()),
            Err(problem) => Err(problem),
        };
        read.err().map(|problem| (problem.status, problem.code))
    }

    #[test]
    fn a_request_has_exactly_one_host_and_it_is_this_machine() {
        let host = |lines: &str| problem(&format!("GET / HTTP/1.1\r\n{lines}\r\n"));
        for name in [
            "localhost",
            "LOCALHOST:8080",
            "my-laptop:8080",
            "127.0.0.1",
            "127.9.8.7:1",
            "[::1]",
            "[::1]:8080",
            "localhost:",
        ] {
            assert_eq!(host(&format!("Host: {name}\r\n")), None, "{name}");
        }
        for name in [
            "attacker.example",
            "localhost.attacker.example",
            "attacker.example:8080",
            "attacker.",
            "2130706433",
            "",
            "localhost:80:80",
            "localhost:x",
            "user@localhost",
            "128.0.0.1",
            "127.1",
            "0.0.0.0",
            "[::2]",
            "[::1]x",
            "[::1",
            "::1",
            "localhost, localhost",
        ] {
            assert_eq!(host(&format!("Host: {name}\r\n")), Some((421, "misdirected_request")), "{name}");
        }
        assert_eq!(host(""), Some((400, "malformed_request")));
        assert_eq!(host("Host: localhost\r\nhOST: localhost\r\n"), Some((400, "malformed_request")));
        assert_eq!(problem("GET / HTTP/1.0\r\n\r\n"), None);
        assert_eq!(problem("GET http://a.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap().0, 421);
        assert_eq!(problem("GET http://localhost/ HTTP/1.1\r\nhost: localhost\r\n\r\n"), None);
    }

    #[test]
    fn a_target_is_a_path_or_an_http_uri() {
        for (target, path, query) in [
            ("/v1/price?lat=1&q=?", "/v1/price", "lat=1&q=?"),
            ("/", "/", ""),
            ("//a/b", "//a/b", ""),
            ("http://localhost:8080/v1?x", "/v1", "x"),
            ("HTTP://localhost", "/", ""),
            ("http://localhost?x", "/", "x"),
            ("*", "*", ""),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            let head = Head::read(text.as_bytes()).unwrap();
            assert_eq!((head.path, head.query), (path, query), "{target}");
        }
        for target in ["v1/price", "localhost:80", "ftp://localhost/", "/a#b", "/\u{e9}", "/a b", ""] {
            let text = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            assert_eq!(problem(&text), Some((400, "malformed_request")), "{target}");
        }
    }

    #[test]
    fn a_body_has_one_length() {
        let length = |lines: &str| {
            let text = format!("POST / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
            Head::read(text.as_bytes()).map(|head| head.body).map_err(|problem| problem.status)
        };
        for (lines, expected) in [
            ("", Ok(BodyLength::Bytes(0))),
            ("content-length: 12\r\n", Ok(BodyLength::Bytes(12))),
            ("content-length: 12\r\ncontent-length: 12\r\n", Ok(BodyLength::Bytes(12))),
            ("content-length: 18446744073709551616\r\n", Ok(BodyLength::Bytes(u64::MAX))),
            ("transfer-encoding: Chunked\r\n", Ok(BodyLength::Chunked)),
            ("content-length: 12\r\ncontent-length: 13\r\n", Err(400)),
            ("content-length: 12, 12\r\n", Err(400)),
            ("content-length: +1\r\n", Err(400)),
            ("content-length: \r\n", Err(400)),
            ("content-length: 0\r\ntransfer-encoding: chunked\r\n", Err(400)),
            ("transfer-encoding: gzip, chunked\r\n", Err(501)),
            ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n", Err(501)),
            ("transfer-encoding: chunked, gzip\r\n", Err(400)),
            ("transfer-encoding: chunked, chunked\r\n", Err(400)),
            ("transfer-encoding: gzip\r\n", Err(400)),
            ("transfer-encoding: \r\n", Err(400)),
            ("transfer-encoding : chunked\r\n", Err(400)),
            ("transfer-encoding: chunked\r\n folded\r\n", Err(400)),
        ] {
            assert_eq!(length(lines), expected, "{lines:?}");
        }
        let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(problem(old), Some((400, "malformed_request")));
    }

    #[test]
    fn a_head_too_long_or_with_too_many_headers_is_refused() {
        let headers = |count: usize| "x: y\r\n".repeat(count);
        let head = |lines: &str| format!("GET / HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n");
        assert_eq!(problem(&head(&headers(MAX_HEADERS - 1))), None);
        assert_eq!(problem(&head(&headers(MAX_HEADERS))), Some((431, "headers_too_large")));
        let long = "y".repeat(MAX_HEAD_BYTES);
        assert_eq!(problem(&head(&format!("x: {long}\r\n"))), Some((431, "headers_too_large")));
        assert_eq!(problem(&format!("GET / HTTP/1.1\r\nx: {long}")), Some((431, "headers_too_large")));
        assert_eq!(problem(&format!("GET /{long}")), Some((414, "target_too_long")));
        assert_eq!(problem(&format!("GET /{long} HTTP/1.1\r\n\r\n")), Some((414, "target_too_long")));
        assert_eq!(problem("GET / HT"), None);
    }

    #[test]
    fn a_repeated_header_is_one_list_and_a_byte_that_is_no_text_is_kept_apart() {
        let text = b"GET / HTTP/1.1\r\nhost: localhost\r\nAccept: a\r\nx: 1\r\naccept: b\r\nexpect: 100-Continue\r\n\
            content-encoding: gzip\xff\r\nConnection: x, Close\r\n\r\n";
        let head = Head::read(text).unwrap();
        let value =
            |name: &str| head.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
        assert_eq!((value("Accept"), value("accept")), (Some("a, b"), None));
        assert_eq!(value("content-encoding"), Some("gzip\u{fffd}"));
        assert!(head.expects_continue && !head.keeps_alive);
        assert_eq!(problem("GET / HTTP/1.1\r\nhost: localhost\r\nexpect: x\r\n\r\n").unwrap().0, 417);
        for (version, connection, keeps_alive) in
            [("1.1", "", true), ("1.0", "", false), ("1.0", "connection: Keep-Alive\r\n", true)]
        {
            let text = format!("GET / HTTP/{version}\r\nhost: localhost\r\n{connection}\r\n");
            assert_eq!(
                Head::read(text.as_bytes()).unwrap().keeps_alive,
                keeps_alive,
                "{version} {connection}"
            );
        }
    }
}
