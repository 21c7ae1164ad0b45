//! Files of events: members of gzip, and lines over the borders of blocks.

use std::io::Read;

use equilibrium_domain::event::MAX_EVENT_BYTES;
use equilibrium_event_file::line_reader::LineSplitter;
use equilibrium_http::gzip_members::GzipMembers;
use flate2::bufread::MultiGzDecoder;

use crate::select;

/// The most bytes that are inflated: four times the longest body.
const MAX_BYTES: u64 = 4 << 20;

/// A file reads the same whatever its blocks, and gzip as another reader reads it.
pub fn target(input: &[u8]) {
    let (selected, content) = select(input);
    if selected % 2 == 0 { gzip(content) } else { lines(content) }
}

fn gzip(file: &[u8]) {
    let (mut content, mut reference) = (Vec::new(), Vec::new());
    let read = GzipMembers::new(file).take(MAX_BYTES).read_to_end(&mut content);
    let reference_read = MultiGzDecoder::new(file).take(MAX_BYTES).read_to_end(&mut reference);
    // The other reader refuses padding, after all content.
    assert!(content.starts_with(&reference) || reference.starts_with(&content));
    if reference_read.is_ok() {
        assert!(read.is_ok() && content == reference);
    }
    // Deflate represents at most 258 bytes by two bits.
    assert!(content.len() <= file.len() * 1_032);
}

fn lines(input: &[u8]) {
    let (size, content) =
        input.split_first().map_or((1, input), |(size, rest)| (usize::from(*size).max(1), rest));
    let whole = split(content, content.len().max(1));
    let in_blocks = split(content, size);
    assert_eq!(in_blocks.len(), whole.len());
    assert!(
        in_blocks.iter().zip(&whole).all(|(line, whole)| is_same(line, whole)),
        "the lines depend on the blocks"
    );
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let mut expected: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    expected.pop_if(|last| last.is_empty());
    let expected: Vec<&[u8]> = expected.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    assert_eq!(whole.len(), expected.len());
    assert!(whole.iter().zip(expected).all(|(line, expected)| is_same(line, expected)));
}

/// A line that is too long to be an event may be truncated anywhere behind that length.
fn is_same(line: &[u8], expected: &[u8]) -> bool {
    line == expected || line.len() > MAX_EVENT_BYTES && expected.len() > MAX_EVENT_BYTES
}

fn split(content: &[u8], size: usize) -> Vec<Vec<u8>> {
    let mut splitter = LineSplitter::default();
    let mut lines = Vec::new();
    for block in content.chunks(size) {
        splitter.push(block, |line| lines.push(line.to_vec()));
    }
    splitter.end(|line| lines.push(line.to_vec()));
    lines
}
