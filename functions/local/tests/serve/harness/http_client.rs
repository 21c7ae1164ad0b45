//! A client of HTTP/1.1 that controls every byte that it sends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use equilibrium_openapi::conformance::{self, Observed};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::process::TIMEOUT;

/// Size of a chunk of a chunked body.
const CHUNK_BYTES: usize = 10_000;

/// Time between the pieces that a slow client sends.
const DRIP_INTERVAL: Duration = Duration::from_millis(200);

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub fn get(target: &str) -> Request {
    Request { method: "GET", target: target.into(), headers: Vec::new(), body: Vec::new() }
}

/// Posts events as lines.
pub fn post(body: impl Into<Vec<u8>>) -> Request {
    let request = Request { body: body.into(), ..get("/v1/events") }.method("POST");
    request.header("content-type", "application/x-ndjson")
}

/// Posts events as an array.
pub fn post_array(body: impl Into<Vec<u8>>) -> Request {
    Request { headers: Vec::new(), ..post(body) }.header("content-type", "application/json")
}

impl Request {
    pub fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the body in chunks, without `content-length`.
    pub fn chunked(self) -> Self {
        self.header("transfer-encoding", "chunked")
    }

    /// Compresses the body.
    pub fn gzipped(mut self) -> Self {
        self.body = gzip(&self.body);
        self.header("content-encoding", "gzip")
    }

    /// The request on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            write!(bytes, "{name}: {value}\r\n").unwrap();
        }
        if self.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            bytes.extend_from_slice(b"\r\n");
            for chunk in self.body.chunks(CHUNK_BYTES) {
                write!(bytes, "{:x}\r\n", chunk.len()).unwrap();
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            if !self.body.is_empty() {
                write!(bytes, "content-length: {}\r\n", self.body.len()).unwrap();
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// A persistent connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::connect(address).unwrap()
    }

    /// A connection to a server that may not be running.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads its response, which may arrive before the server has read everything.
    pub fn request(&mut self, request: &Request) -> io::Result<Response> {
        let sent = self.send(&request.bytes());
        let response =
            self.response(request.method == "HEAD").inspect(|response| response.assert_conforms(request));
        if response.is_err() { sent.and(response) } else { response }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Closes the sending half.
    pub fn shutdown_write(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads the next response; with `is_head` its `content-length` is not followed by a body.
    pub fn response(&mut self, is_head: bool) -> io::Result<Response> {
        let mut response = self.head()?;
        if !is_head && response.status != 304 {
            response.body.resize(response.header("content-length").parse().unwrap(), 0);
            self.0.read_exact(&mut response.body)?;
        }
        Ok(response)
    }

    /// Reads the next chunk of a response.
    pub fn chunk(&mut self) -> io::Result<String> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut chunk = vec![0; size + 2];
        self.0.read_exact(&mut chunk)?;
        assert_eq!(&chunk[size..], b"\r\n");
        chunk.truncate(size);
        String::from_utf8(chunk).map_err(io::Error::other)
    }

    /// Reads the head of the next response.
    pub fn head(&mut self) -> io::Result<Response> {
        let status = self.line()?;
        let status = status.strip_prefix("HTTP/1.1 ").and_then(|status| status.get(..3)?.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_owned(), value.to_owned()));
        }
        Ok(Response { status, headers, body: Vec::new() })
    }

    /// Everything that the server sends until it closes the connection.
    pub fn read_to_close(&mut self) -> String {
        self.drip(b"")
    }

    /// Sends a piece every [`DRIP_INTERVAL`] until the server closes the connection; returns what the server sent.
    pub fn drip(&mut self, piece: &[u8]) -> String {
        self.0.get_ref().set_read_timeout(Some(DRIP_INTERVAL)).unwrap();
        let mut received = Vec::new();
        let end = Instant::now() + TIMEOUT;
        while Instant::now() < end {
            // A write to a closed connection may fail; what the server sent before can still be read.
            drop(self.send(piece));
            match self.0.read_to_end(&mut received) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Ok(_) => return String::from_utf8(received).unwrap(),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return String::from_utf8(received).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the connection was not closed: {}", String::from_utf8_lossy(&received));
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Checks an answer of the API against its description.
    #[track_caller]
    fn assert_conforms(&self, request: &Request) {
        let (method, path) = (request.method, request.target.split('?').next().unwrap_or_default());
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let observed = Observed { method, path, status: self.status, headers: &headers, body: &self.body };
        let checked = if path.starts_with("/v1/") { conformance::check(&observed) } else { Ok(()) };
        checked.unwrap_or_else(|violation| panic!("{method} {path}: {}, {violation}", self.status));
    }

    /// The value of a header, by its lower-case name; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The number of accepted events of a 202.
    pub fn accepted(&self) -> u64 {
        assert_eq!(self.status, 202, "{}", self.text());
        self.json()["accepted"].as_u64().unwrap()
    }

    /// The status and the code of problem details (RFC 9457).
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        for text in ["type", "title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {problem}");
        }
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    content
}
