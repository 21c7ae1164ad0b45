//! A file of events, plain or gzip, as lines.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use equilibrium_domain::event::MAX_EVENT_BYTES;
use flate2::read::MultiGzDecoder;

/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Blocks read ahead of who uses them.
const BLOCKS_AHEAD: usize = 4;

/// The two bytes that every gzip member begins with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file's content, block by block, read and inflated by a thread of its own.
#[derive(Debug)]
pub struct BlockReader {
    received: Receiver<io::Result<Block>>,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// A piece of the content.
#[derive(Debug)]
pub struct Block {
    /// The content.
    pub bytes: Vec<u8>,
    /// How much of the file was read for all content so far.
    pub read_bytes: u64,
}

impl BlockReader {
    /// Opens the file; it is gzip if it begins so, whatever its name.
    ///
    /// # Errors
    /// What the system says, also of a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut start = Vec::new();
        let (sender, received) = sync_channel(BLOCKS_AHEAD);
        // What cannot be rewound, a pipe, has its first bytes put back before the others.
        (&mut file).take(GZIP.len() as u64).read_to_end(&mut start)?;
        let rewound = file.seek(SeekFrom::Start(0)).is_ok();
        let gzip = start == GZIP;
        let start = io::Cursor::new(if rewound { Vec::new() } else { start });
        thread::spawn(move || {
            let mut counted =
                Counted { inner: start.chain(BufReader::with_capacity(BLOCK_BYTES, file)), bytes: 0 };
            let send = |block| sender.send(block).is_ok();
            if gzip {
                let mut content = MultiGzDecoder::new(&mut counted);
                send_blocks(&mut content, |content| content.get_ref().bytes, send);
            } else {
                send_blocks(&mut counted, |content| content.bytes, send);
            }
        });
        Ok(Self { received, file_bytes: metadata.len() })
    }
}

impl Iterator for BlockReader {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        self.received.recv().ok()
    }
}

fn send_blocks<R: Read>(
    content: &mut R,
    read_bytes: impl Fn(&R) -> u64,
    send: impl Fn(io::Result<Block>) -> bool,
) {
    loop {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        let outcome = content.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut bytes);
        let is_end = bytes.is_empty();
        if !is_end && !send(Ok(Block { bytes, read_bytes: read_bytes(content) })) {
            return;
        }
        match outcome {
            Err(error) => {
                send(Err(error));
                return;
            }
            Ok(_) if is_end => return,
            Ok(_) => {}
        }
    }
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Cuts blocks into lines. Of a line too long to be an event no more is kept than shows that it is.
#[derive(Debug, Default)]
pub struct LineSplitter {
    begun: Vec<u8>,
}

/// One more than the longest event and its carriage return.
const KEPT_BYTES: usize = MAX_EVENT_BYTES + 2;

impl LineSplitter {
    /// Calls `line` with every line that ends in `block`, without its end.
    pub fn push(&mut self, block: &[u8], mut line: impl FnMut(&[u8])) {
        let mut rest = block;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.begun.is_empty() {
                line(without_return(&rest[..end]));
            } else {
                self.keep(&rest[..end]);
                line(without_return(&self.begun));
                self.begun.clear();
            }
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// Calls `line` with what no line end followed.
    pub fn end(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            line(without_return(&self.begun));
            self.begun.clear();
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = KEPT_BYTES - self.begun.len();
        self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
        // What is cut off must not leave a carriage return at the end: it would shorten the line.
        if piece.len() > room {
            self.begun.fill(b'x');
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(blocks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = LineSplitter::default();
        let mut seen = Vec::new();
        for block in blocks {
            lines.push(block, |line| seen.push(line.to_vec()));
        }
        lines.end(|line| seen.push(line.to_vec()));
        seen
    }

    #[test]
    fn lines_are_the_same_however_the_blocks_are_cut() {
        let text = b"one\r\ntwo\n\nthree\r\n\r\nfour";
        let whole = cut(&[text]);
        assert_eq!(whole, [&b"one"[..], b"two", b"", b"three", b"", b"four"]);
        for at in 0..=text.len() {
            assert_eq!(cut(&[&text[..at], &text[at..]]), whole, "cut at {at}");
        }
    }

    #[test]
    fn a_line_too_long_stays_too_long_and_costs_no_memory() {
        for block in [1000, 4096, 4097, 4098, 100_000] {
            let text = [vec![b'\r'; 200_000], b"\nnext".to_vec()].concat();
            let lines = cut(&text.chunks(block).collect::<Vec<_>>());
            assert_eq!(lines.len(), 2);
            assert!(lines[0].len() > MAX_EVENT_BYTES);
            assert_eq!(lines[1], b"next");
        }
        let longest = [vec![b'a'; MAX_EVENT_BYTES], b"\r\n".to_vec()].concat();
        for block in [1000, 4096, 4097, 5000] {
            assert_eq!(cut(&longest.chunks(block).collect::<Vec<_>>()), [vec![b'a'; MAX_EVENT_BYTES]]);
        }
    }
}
