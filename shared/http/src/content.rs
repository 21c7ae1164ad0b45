//! The content of a response, and the end of it that many responses share.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// The header of a gzip member without name and time, by an unknown system (RFC 1952 §2.3.1).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The content of a response: bytes of its own around bytes that it shares with other responses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    start: Vec<u8>,
    shared: Option<Arc<Vec<u8>>>,
    end: Vec<u8>,
}

impl Content {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all bytes.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The bytes in their order.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.start, self.shared.as_ref().map_or(&[], |shared| shared.as_slice()), &self.end]
    }

    /// The bytes in one piece.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.parts() {
            [start, [], []] => start.into(),
            parts => parts.concat().into(),
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(start: Vec<u8>) -> Self {
        Self { start, ..Self::default() }
    }
}

/// The end of many responses, written and compressed once.
#[derive(Debug)]
pub struct SharedEnd {
    plain: Arc<Vec<u8>>,
    compressed: OnceLock<(Arc<Vec<u8>>, Crc)>,
}

impl SharedEnd {
    /// The end `plain`.
    #[must_use]
    pub fn new(plain: Vec<u8>) -> Self {
        Self { plain: Arc::new(plain), compressed: OnceLock::new() }
    }

    /// Its length in bytes, not compressed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// The content that begins with `start`.
    #[must_use]
    pub fn after(&self, start: Vec<u8>) -> Content {
        Content { start, shared: Some(Arc::clone(&self.plain)), end: Vec::new() }
    }

    /// The content that begins with `start`, as one gzip member: not every client reads a second one. `start` is
    /// compressed alone, up to the border of a byte, so that what is compressed already can follow (RFC 1951 §3.2.4).
    #[must_use]
    pub fn gzip_after(&self, start: &[u8]) -> Content {
        let (compressed, end_sum) = self.compressed.get_or_init(|| {
            let mut deflate = DeflateEncoder::new(Vec::with_capacity(self.len() / 4), Compression::fast());
            let finished = deflate.write_all(&self.plain).and_then(|()| deflate.finish());
            (Arc::new(finished.expect("a vector accepts every write")), sum(&self.plain))
        });
        let mut member = DeflateEncoder::new(GZIP_HEADER.to_vec(), Compression::fast());
        let flushed = member.write_all(start).and_then(|()| member.flush());
        flushed.expect("a vector accepts every write");
        let mut whole = sum(start);
        whole.combine(end_sum);
        let end = [whole.sum().to_le_bytes(), whole.amount().to_le_bytes()].concat();
        Content { start: member.get_ref().clone(), shared: Some(Arc::clone(compressed)), end }
    }
}

fn sum(bytes: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn all_parts_are_one_content() {
        let mut content = SharedEnd::new(b"cd".to_vec()).after(b"ab".to_vec());
        assert_eq!((content.len(), &*content.bytes()), (4, &b"abcd"[..]));
        content.clear();
        assert!(content.is_empty() && content.bytes().is_empty());
    }

    #[test]
    fn a_start_and_a_compressed_end_are_one_gzip_member() {
        for end in [Vec::new(), b"x".to_vec(), b"surge ".repeat(50_000)] {
            let end = SharedEnd::new(end);
            for start in [&b""[..], b"{\"age_ms\":1,", &b"start ".repeat(9_000)] {
                let member = end.gzip_after(start).bytes().into_owned();
                let mut rest = &member[..];
                let mut content = Vec::new();
                GzDecoder::new(&mut rest).read_to_end(&mut content).unwrap();
                assert_eq!(content, *end.after(start.to_vec()).bytes());
                assert!(member.len() < content.len() / 50 + 100);
            }
        }
    }
}
