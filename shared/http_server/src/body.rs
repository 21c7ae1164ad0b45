//! The body of a request, from the socket into memory (RFC 9112 §6 and §7.1).

use std::io;
use std::time::Duration;

use equilibrium_http::Problem;

use crate::head::BodyLength;
use crate::pool::{Gone, Hold, Pool};
use crate::stream::Stream;

/// How long the server waits in all for the body of a request.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest initial capacity of a body, and how much of it is read at once; a client may never send what it announces.
const READ_BYTES: usize = 64 << 10;

/// Maximum length of all chunk extensions and trailers of a body, which are dropped, and of one chunk's line.
const MAX_EXTENSION_BYTES: usize = 8 << 10;

/// A body, and the room that it takes in the pool until it is dropped.
#[derive(Debug)]
pub struct Body<'a> {
    pub bytes: Vec<u8>,
    hold: Hold<'a>,
}

/// Why a body was not read.
#[derive(Debug)]
pub enum NoBody {
    /// The client is answered with a problem.
    Refused(Problem),
    /// The client is gone.
    Lost,
}

impl From<io::Error> for NoBody {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl From<Gone> for NoBody {
    fn from(gone: Gone) -> Self {
        let detail = match gone {
            Gone::TimedOut => "the body was not received within 10 s",
            Gone::LetGo => "the body arrived too slowly while other requests needed the memory",
        };
        Self::Refused(Problem::new(408, "request_timeout", detail))
    }
}

fn incomplete() -> NoBody {
    NoBody::Refused(Problem::new(400, "incomplete_body", "the body ended early or is not valid HTTP/1.1"))
}

/// Reads a body of at most `max` bytes; `too_large` is the answer to a longer one.
pub async fn read<'a>(
    stream: &mut Stream,
    pool: &'a Pool,
    length: BodyLength,
    (max, too_large): (usize, fn() -> Problem),
) -> Result<Body<'a>, NoBody> {
    let too_large = || NoBody::Refused(too_large());
    let mut body = Body { bytes: Vec::new(), hold: pool.hold() };
    match length {
        BodyLength::Bytes(length) => {
            let length =
                usize::try_from(length).ok().filter(|length| *length <= max).ok_or_else(too_large)?;
            body.read_exactly(stream, length).await?;
        }
        BodyLength::Chunked => {
            let mut chunks = Chunks { stream, used: 0, extensions: 0 };
            while let Some(chunk) = chunks.begin(&body).await? {
                if chunk > max - body.bytes.len() {
                    return Err(too_large());
                }
                chunks.read(&mut body, chunk).await?;
            }
            chunks.stream.arrived.drain(..chunks.used);
        }
    }
    Ok(body)
}

impl Body<'_> {
    async fn read_exactly(&mut self, stream: &mut Stream, length: usize) -> Result<(), NoBody> {
        let rest = stream.arrived.split_off(length.min(stream.arrived.len()));
        self.bytes = std::mem::replace(&mut stream.arrived, rest);
        while self.bytes.len() < length {
            let missing = length - self.bytes.len();
            self.bytes.reserve(missing.min(READ_BYTES));
            match stream.try_read_into(&mut self.bytes, missing.min(READ_BYTES))? {
                Some(0) => return Err(incomplete()),
                Some(read) => self.hold.grow(read).await?,
                None => self.wait(stream).await?,
            }
        }
        Ok(())
    }

    /// Waits for more of the body. Only the client's time counts: waiting for room is the server's.
    async fn wait(&self, stream: &Stream) -> Result<(), NoBody> {
        let left = BODY_READ_TIMEOUT.saturating_sub(self.hold.waited()).max(Duration::from_millis(1));
        Ok(self.hold.wait(left, stream.readable()).await??)
    }
}

/// The chunks of a body. What has been used of the bytes that arrived is dropped before more are read.
struct Chunks<'s> {
    stream: &'s mut Stream,
    used: usize,
    extensions: usize,
}

impl Chunks<'_> {
    /// Reads the line before a chunk and returns the chunk's size; `None` after the last one and its trailers.
    async fn begin(&mut self, body: &Body<'_>) -> Result<Option<usize>, NoBody> {
        let line = self.line(body).await?;
        let digits = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        self.count(line.len() - digits)?;
        let size = std::str::from_utf8(&line[..digits]).ok().filter(|digits| !digits.starts_with('+'));
        let size = size.and_then(|digits| usize::from_str_radix(digits, 16).ok()).ok_or_else(incomplete)?;
        if size > 0 {
            return Ok(Some(size));
        }
        loop {
            let trailer = self.line(body).await?;
            if trailer.is_empty() {
                return Ok(None);
            }
            self.count(trailer.len())?;
        }
    }

    /// Appends a chunk to `body`.
    async fn read(&mut self, body: &mut Body<'_>, size: usize) -> Result<(), NoBody> {
        let end = body.bytes.len() + size;
        loop {
            let missing = end - body.bytes.len();
            let arrived = &self.stream.arrived[self.used..];
            let arrived = &arrived[..missing.min(arrived.len())];
            body.bytes.extend_from_slice(arrived);
            let read = arrived.len();
            self.used += read;
            body.hold.grow(read).await?;
            if read == missing {
                break;
            }
            self.fill(body).await?;
        }
        if self.line(body).await?.is_empty() { Ok(()) } else { Err(incomplete()) }
    }

    /// The next line, without its CRLF.
    async fn line(&mut self, body: &Body<'_>) -> Result<Vec<u8>, NoBody> {
        loop {
            let arrived = &self.stream.arrived[self.used..];
            if let Some(end) = arrived.iter().position(|byte| *byte == b'\n') {
                let line = arrived[..end].strip_suffix(b"\r").ok_or_else(incomplete)?.to_vec();
                self.used += end + 1;
                return Ok(line);
            }
            if arrived.len() > MAX_EXTENSION_BYTES {
                return Err(incomplete());
            }
            self.fill(body).await?;
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), NoBody> {
        self.extensions += bytes;
        if self.extensions > MAX_EXTENSION_BYTES { Err(incomplete()) } else { Ok(()) }
    }

    async fn fill(&mut self, body: &Body<'_>) -> Result<(), NoBody> {
        self.stream.arrived.drain(..self.used);
        self.used = 0;
        loop {
            match self.stream.try_fill(usize::MAX)? {
                Some(0) => return Err(incomplete()),
                Some(_) => return Ok(()),
                None => body.wait(self.stream).await?,
            }
        }
    }
}
