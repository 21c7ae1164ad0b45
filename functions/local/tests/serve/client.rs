//! HTTP/1.1 as its clients speak it, down to the byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::world::PATIENCE;

/// Bytes of a chunk where a body is sent in chunks.
const CHUNK: usize = 10_000;

/// How long a slow client takes for each piece.
const DRIP_EVERY: Duration = Duration::from_millis(200);

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

pub fn get(target: &str) -> Ask {
    Ask { method: "GET", target: target.into(), headers: Vec::new(), body: Vec::new() }
}

/// Events, as lines.
pub fn post(body: impl Into<Vec<u8>>) -> Ask {
    let ask = Ask { body: body.into(), ..get("/v1/events") }.by("POST");
    ask.with("content-type", "application/x-ndjson")
}

/// Events, as an array.
pub fn post_array(body: impl Into<Vec<u8>>) -> Ask {
    Ask { headers: Vec::new(), ..post(body) }.with("content-type", "application/json")
}

impl Ask {
    pub fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Its body in chunks, of a length that nobody was told.
    pub fn chunked(self) -> Self {
        self.with("transfer-encoding", "chunked")
    }

    /// Its body packed.
    pub fn gzipped(mut self) -> Self {
        self.body = gzip(&self.body);
        self.with("content-encoding", "gzip")
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            write!(bytes, "{name}: {value}\r\n").unwrap();
        }
        if self.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            bytes.extend_from_slice(b"\r\n");
            for chunk in self.body.chunks(CHUNK) {
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

/// A connection, kept for as many requests as the server takes.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self::to(address).unwrap()
    }

    /// A connection to who may be gone.
    pub fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The answer, which may come before the server has read all.
    pub fn ask(&mut self, ask: &Ask) -> io::Result<Reply> {
        let sent = self.send(&ask.bytes());
        let reply = self.reply(ask.method == "HEAD");
        if reply.is_err() { sent.and(reply) } else { reply }
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Says that nothing more comes.
    pub fn finish(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer; `bare` where a body's length is not followed by one.
    pub fn reply(&mut self, bare: bool) -> io::Result<Reply> {
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
        let mut reply = Reply { status, headers, body: Vec::new() };
        if !bare && status != 304 {
            reply.body.resize(reply.header("content-length").parse().unwrap(), 0);
            self.0.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// Whatever the server still says until it closes.
    pub fn rest(&mut self) -> String {
        self.drip(b"")
    }

    /// Sends a piece again and again, each a moment after the last, until the server closes; gives what it
    /// said.
    pub fn drip(&mut self, piece: &[u8]) -> String {
        self.0.get_ref().set_read_timeout(Some(DRIP_EVERY)).unwrap();
        let mut said = Vec::new();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // What is written to a closed connection is lost, as it may be; what was said before is not.
            drop(self.send(piece));
            match self.0.read_to_end(&mut said) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Ok(_) => return String::from_utf8(said).unwrap(),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return String::from_utf8(said).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the connection was not closed: {}", String::from_utf8_lossy(&said));
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of a header, by its lower-case name.
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

    /// How many events were accepted, by 202 alone.
    pub fn accepted(&self) -> u64 {
        assert_eq!(self.status, 202, "{}", self.text());
        self.json()["accepted"].as_u64().unwrap()
    }

    /// The status and the code of a problem as RFC 9457 has it.
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

pub fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut inflated).unwrap();
    inflated
}
