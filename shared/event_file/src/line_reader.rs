//! Reads a file of events, plain or gzip, and splits it into lines.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use equilibrium_domain::event::MAX_EVENT_BYTES;
use equilibrium_http::gzip_members::GzipMembers;

/// Size of a block.
const BLOCK_BYTES: usize = 1 << 20;

/// Blocks that the reading thread may be ahead.
const MAX_BLOCKS_AHEAD: usize = 4;

/// The first two bytes of every gzip member (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The content of a file in blocks, read and decompressed by a thread of its own.
#[derive(Debug)]
pub struct BlockReader {
    received: Receiver<io::Result<Block>>,
    /// Size of the file.
    pub file_bytes: u64,
    /// Whether the input is a pipe or a device, whose next block may never come.
    may_rest: bool,
}

/// A block of the content.
#[derive(Debug)]
pub struct Block {
    /// The content.
    pub bytes: Vec<u8>,
    /// Bytes of the file that were read so far.
    pub read_bytes: u64,
}

impl BlockReader {
    /// Opens the file; its first bytes, not its name, decide whether it is gzip.
    ///
    /// # Errors
    /// The I/O error, also for a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut start = Vec::new();
        let (sender, received) = sync_channel(MAX_BLOCKS_AHEAD);
        // A pipe cannot be rewound: its first bytes are read from `start` again.
        (&mut file).take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
        let rewound = file.seek(SeekFrom::Start(0)).is_ok();
        let gzip = start == GZIP_MAGIC;
        let fill = if metadata.is_file() { Fill::Whole } else { Fill::Available };
        let start = io::Cursor::new(if rewound { Vec::new() } else { start });
        thread::spawn(move || {
            let mut counted =
                CountingReader { inner: start.chain(BufReader::with_capacity(BLOCK_BYTES, file)), bytes: 0 };
            let send = |block| sender.send(block).is_ok();
            if gzip {
                let mut content = GzipMembers::new(BufReader::with_capacity(BLOCK_BYTES, &mut counted));
                send_blocks(&mut content, Fill::Whole, |content| content.get_ref().get_ref().bytes, send);
            } else {
                send_blocks(&mut counted, fill, |content| content.bytes, send);
            }
        });
        Ok(Self { received, file_bytes: metadata.len(), may_rest: !metadata.is_file() })
    }

    /// Whether the input is a pipe or a device, whose next block may never come.
    #[must_use]
    pub fn may_rest(&self) -> bool {
        self.may_rest
    }

    /// The next block, unless the writer of a pipe rests.
    pub fn next_available(&mut self) -> Option<io::Result<Block>> {
        if self.may_rest { self.received.try_recv().ok() } else { self.next() }
    }
}

impl Iterator for BlockReader {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        self.received.recv().ok()
    }
}

/// How much a block holds.
#[derive(Clone, Copy)]
enum Fill {
    /// [`BLOCK_BYTES`], but for the last.
    Whole,
    /// What there is: the writer of a pipe may rest.
    Available,
}

/// Bytes that one read takes from a pipe, at most: as many as Linux keeps for it.
const PIPE_BYTES: usize = 1 << 16;

impl Fill {
    fn read(self, content: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Whole => {
                bytes.reserve_exact(BLOCK_BYTES);
                content.take(BLOCK_BYTES as u64).read_to_end(bytes)
            }
            Self::Available => {
                bytes.resize(PIPE_BYTES, 0);
                let read = content.read(bytes);
                bytes.truncate(*read.as_ref().unwrap_or(&0));
                read
            }
        }
    }
}

fn send_blocks<R: Read>(
    content: &mut R,
    fill: Fill,
    read_bytes: impl Fn(&R) -> u64,
    send: impl Fn(io::Result<Block>) -> bool,
) {
    loop {
        let mut bytes = Vec::new();
        let outcome = fill.read(content, &mut bytes);
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

struct CountingReader<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// The byte order mark with which some programs begin a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Splits blocks into lines. A byte order mark at the start is skipped. A line too long to be an event is truncated, but stays too long.
#[derive(Debug, Default)]
pub struct LineSplitter {
    partial: Vec<u8>,
    has_started: bool,
}

/// One byte more than the longest event, its carriage return, and a byte order mark before it.
const MAX_PARTIAL_BYTES: usize = MAX_EVENT_BYTES + 2 + BYTE_ORDER_MARK.len();

impl LineSplitter {
    /// Calls `line` with every line that ends in `block`, without its line ending.
    pub fn push(&mut self, block: &[u8], mut line: impl FnMut(&[u8])) {
        let mut rest = block;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.partial.is_empty() {
                line(strip_carriage_return(self.strip_mark(&rest[..end])));
            } else {
                self.append(&rest[..end]);
                let partial = std::mem::take(&mut self.partial);
                line(strip_carriage_return(self.strip_mark(&partial)));
                self.partial = partial;
                self.partial.clear();
            }
            rest = &rest[end + 1..];
        }
        self.append(rest);
    }

    /// Calls `line` with a last line that has no line ending.
    pub fn end(&mut self, mut line: impl FnMut(&[u8])) {
        let partial = std::mem::take(&mut self.partial);
        let last = self.strip_mark(&partial);
        if !last.is_empty() {
            line(strip_carriage_return(last));
        }
    }

    /// The line without the byte order mark, if it is the first. The writer of a pipe may divide the mark.
    fn strip_mark<'a>(&mut self, line: &'a [u8]) -> &'a [u8] {
        if std::mem::replace(&mut self.has_started, true) {
            return line;
        }
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    fn append(&mut self, piece: &[u8]) {
        let capacity = MAX_PARTIAL_BYTES - self.partial.len();
        self.partial.extend_from_slice(&piece[..piece.len().min(capacity)]);
        // A truncated line must not end with a carriage return, which would shorten it below the limit.
        if piece.len() > capacity {
            self.partial.fill(b'x');
        }
    }
}

fn strip_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
