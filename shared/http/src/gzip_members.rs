//! The content of a gzip file: its members, one after the other (RFC 1952 §2.2), as `gzip -d` reads them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// The content of all members. Zeros after the last one are padding, as on tapes; other bytes are an error, after all
/// content.
#[derive(Debug)]
pub struct GzipMembers<R> {
    /// `None` after the last member.
    member: Option<GzDecoder<R>>,
    /// The input after the last member.
    rest: Option<R>,
}

impl<R: BufRead> GzipMembers<R> {
    /// Reads the members in `input`.
    pub fn new(input: R) -> Self {
        Self { member: Some(GzDecoder::new(input)), rest: None }
    }

    /// The input.
    ///
    /// # Panics
    /// Never: there is a member, or the rest after the last one.
    pub fn get_ref(&self) -> &R {
        self.member.as_ref().map(GzDecoder::get_ref).or(self.rest.as_ref()).expect("a member or the rest")
    }

    /// Continues after the end of a member: with the next one, or past the padding.
    fn end_member(&mut self, mut input: R) -> io::Result<()> {
        if input.fill_buf()?.first() == Some(&0x1f) {
            self.member = Some(GzDecoder::new(input));
            return Ok(());
        }
        let mut trailing = 0_u64;
        while let bytes @ [_, ..] = input.fill_buf()? {
            trailing += bytes.iter().filter(|byte| **byte != 0).count() as u64;
            let length = bytes.len();
            input.consume(length);
        }
        self.rest = Some(input);
        if trailing == 0 {
            return Ok(());
        }
        let message = format!("{trailing} bytes after the gzip data that are neither gzip nor zeros");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if let Some(member) = self.member.take() {
                self.end_member(member.into_inner())?;
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// All content, and the error after it.
    fn read(input: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut content = Vec::new();
        let read = GzipMembers::new(input).read_to_end(&mut content);
        (content, read.err().map(|error| error.to_string()))
    }

    #[test]
    fn members_follow_one_another_and_zeros_end_them() {
        let members = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(read(&members), (b"one two".to_vec(), None));
        assert_eq!(read(&[&members[..], &[0; 512]].concat()), (b"one two".to_vec(), None));
    }

    #[test]
    fn trailing_bytes_are_named_after_all_content() {
        let (content, error) = read(&[&gzip(b"one")[..], b"\0\0ab\0"].concat());
        assert_eq!(content, b"one");
        assert_eq!(error.unwrap(), "2 bytes after the gzip data that are neither gzip nor zeros");
    }

    #[test]
    fn a_truncated_or_damaged_member_is_an_error() {
        let whole = gzip(b"some content that is long enough to be cut");
        for end in 1..whole.len() {
            assert!(read(&whole[..end]).1.is_some(), "{end}");
        }
        assert!(read(&[&whole[..], &whole[..5]].concat()).1.is_some());
    }
}
