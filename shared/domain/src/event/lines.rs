//! Splitting a record into the lines that hold its events.

/// Bytes of a line that are compared one by one.
const NEAR_BYTES: usize = 4;

/// The lines of a record, without their ends (`\n` or `\r\n`); the rest after the last end is a line too.
#[derive(Clone, Debug)]
pub struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Lines<'a> {
    /// The lines of `record`.
    #[must_use]
    pub fn new(record: &'a [u8]) -> Self {
        Self(Some(record))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let line = if let Some(end) = line_end(text) {
            self.0 = Some(&text[end + 1..]);
            &text[..end]
        } else {
            self.0 = None;
            text
        };
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// The first line feed. A body can consist of line feeds alone, and a search by `memchr` has a cost of its own.
#[inline]
fn line_end(text: &[u8]) -> Option<usize> {
    let near = text.iter().take(NEAR_BYTES).position(|byte| *byte == b'\n');
    near.or_else(|| Some(NEAR_BYTES + memchr::memchr(b'\n', text.get(NEAR_BYTES..)?)?))
}

/// Whether a line holds whitespace only. Blank lines are ignored and count as no events (CONTRACT §1).
#[must_use]
pub fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        let lines: Vec<&[u8]> = Lines::new(b"a\r\n\nb\n \r\nc\r\rd").collect();
        assert_eq!(lines, [&b"a"[..], b"", b"b", b" ", b"c\r\rd"]);
    }

    #[test]
    fn a_line_of_whitespace_is_blank() {
        assert!(is_blank(b" \t"));
        assert!(is_blank(b""));
        assert!(!is_blank(b" x"));
    }
}
