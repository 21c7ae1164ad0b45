//! The binary format of everything that is stored or sent: frames of variable-length integers.
//!
//! A frame is `ff 45 51 kind version`, its content, and the XXH3 of all of that. Its first byte never occurs in UTF-8,
//! so a client's JSON cannot be mistaken for a frame.

pub mod json;
pub mod products;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A watermark record.
    Watermark = b'k',
    /// Tick counts of a lane.
    Counts = b'r',
    /// An entry of the checkpoint log of a range of lanes.
    LaneEntry = b'l',
    /// A snapshot of a range of lanes.
    LaneSnapshot = b's',
    /// An entry of a city's checkpoint log.
    CityEntry = b'c',
    /// A snapshot of a city's pricing.
    CitySnapshot = b't',
    /// A segment of a city's checkpoint log, kept for explanations.
    CitySegment = b'g',
    /// Changed multipliers of some ticks of a city, kept for its history.
    History = b'y',
    /// A mark in a checkpoint log.
    LogMark = b'p',
    /// Records that wait for a log that cannot go on.
    ParkedRecords = b'q',
    /// A note in the list of parked logs.
    ParkedLog = b'n',
    /// The head of a city's map.
    MapHead = b'h',
    /// A chunk of a city's map.
    MapChunk = b'm',
    /// A part of the watermark board.
    BoardPart = b'w',
    /// Changes of a city's map.
    Changes = b'd',
    /// The map at the start of a freeze.
    FrozenMap = b'f',
    /// The figures of a local day of a city.
    DayFigures = b'a',
}

impl Kind {
    /// The version of its frames.
    fn version(self) -> u8 {
        match self {
            // Version 4 had no epoch.
            Self::CitySnapshot => 5,
            // Version 3 had multipliers within limits in the place of published ones; a history had these with limits in the
            // place of reported ones.
            Self::CityEntry | Self::MapHead | Self::MapChunk | Self::Changes | Self::History => 4,
            // Version 3 had no epoch.
            Self::LaneSnapshot => 4,
            // Version 2 had a checkpoint log per lane, and snapshots within entries.
            Self::Watermark
            | Self::Counts
            | Self::LaneEntry
            | Self::LogMark
            | Self::ParkedRecords
            | Self::ParkedLog
            | Self::BoardPart
            | Self::FrozenMap
            | Self::DayFigures
            | Self::CitySegment => 3,
        }
    }
}

const MAGIC: [u8; 3] = [0xff, b'E', b'Q'];
pub(crate) const HEAD: usize = MAGIC.len() + 2;
pub(crate) const SEAL: usize = 8;

/// Why bytes cannot be decoded. A decoder never guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Corrupt {
    /// The bytes are not a frame of the expected kind.
    #[error("not a {kind:?} frame")]
    NotThis {
        /// The expected kind.
        kind: Kind,
    },
    /// The frame has a version that this build does not know.
    #[error("a {kind:?} frame of unknown version {version}")]
    UnknownVersion {
        /// The expected kind.
        kind: Kind,
        /// The version of the frame.
        version: u8,
    },
    /// The checksum does not match: bytes of the frame have changed, or are missing at the end.
    #[error("a {kind:?} frame with a wrong checksum")]
    Checksum {
        /// The expected kind.
        kind: Kind,
    },
    /// The checksum matches, but the content is invalid.
    #[error("invalid content at byte {at}: {what}")]
    Invalid {
        /// What the decoder was reading.
        what: &'static str,
        /// Offset within the content.
        at: usize,
    },
}

/// Begins a frame in `out`; [`seal`] ends it.
pub fn begin(out: &mut Vec<u8>, kind: Kind) {
    out.extend_from_slice(&MAGIC);
    out.push(kind as u8);
    out.push(kind.version());
}

/// Ends the frame that begins at the first byte of `frame`.
pub fn seal(frame: &mut Vec<u8>) {
    let sum = xxh3_64(frame);
    frame.extend_from_slice(&sum.to_le_bytes());
}

/// Whether the bytes are a whole, unchanged frame of any kind and version.
#[must_use]
pub fn is_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
        && bytes.split_last_chunk().is_some_and(|(content, sum)| *sum == xxh3_64(content).to_le_bytes())
}

/// A reader of the content of the frame in `bytes`.
///
/// # Errors
/// [`Corrupt`] unless `bytes` are one whole, unchanged frame of this kind and of a known version.
pub fn open(bytes: &[u8], kind: Kind) -> Result<Reader<'_>, Corrupt> {
    if bytes.get(..MAGIC.len()) != Some(&MAGIC) || bytes.get(MAGIC.len()) != Some(&(kind as u8)) {
        return Err(Corrupt::NotThis { kind });
    }
    let (content, sum) = bytes.split_at(bytes.len().saturating_sub(SEAL).max(HEAD.min(bytes.len())));
    if sum != xxh3_64(content).to_le_bytes() {
        return Err(Corrupt::Checksum { kind });
    }
    let version = content[HEAD - 1];
    if version != kind.version() {
        return Err(Corrupt::UnknownVersion { kind, version });
    }
    Ok(Reader { bytes: &content[HEAD..], at: 0 })
}

/// Appends an unsigned number, 7 bits per byte, the low bits first (LEB128).
pub fn put_varint_u64(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        #[expect(clippy::cast_possible_truncation)]
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation)]
    out.push(number as u8);
}

/// Appends a signed number; small numbers of either sign take few bytes (zigzag).
pub fn put_varint_i64(out: &mut Vec<u8>, number: i64) {
    put_varint_u64(out, zigzag(number));
}

/// Maps signed to unsigned numbers so that small ones stay small: 0, −1, 1, −2 become 0, 1, 2, 3.
#[must_use]
pub fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

/// Appends a number as eight bytes, the low byte first.
pub fn put_u64_le(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends the length of `bytes`, then the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads content in the order in which it was written.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`, which are part of a frame's content.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The number of bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The error that `what` is invalid at this position.
    #[must_use]
    pub fn invalid(&self, what: &'static str) -> Corrupt {
        Corrupt::Invalid { what, at: self.at }
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`Corrupt`] at the end. It names `what`, as do the errors of the other methods.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, Corrupt> {
        let byte = *self.bytes.get(self.at).ok_or(self.invalid(what))?;
        self.at += 1;
        Ok(byte)
    }

    /// A number that [`put_varint_u64`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] at the end, if the number exceeds 64 bits, or if it has more bytes than it needs.
    pub fn varint_u64(&mut self, what: &'static str) -> Result<u64, Corrupt> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte(what)?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                // The tenth byte holds only the 64th bit, and only a 0 of one byte ends with a byte 0.
                let is_valid = (place < 9 || byte == 1) && (place == 0 || byte > 0);
                return if is_valid { Ok(number) } else { Err(self.invalid(what)) };
            }
        }
        Err(self.invalid(what))
    }

    /// A number of at most `max` that [`put_varint_u64`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] at the end, or if the number is greater.
    pub fn varint_up_to(&mut self, max: u64, what: &'static str) -> Result<u64, Corrupt> {
        let number = self.varint_u64(what)?;
        if number > max { Err(self.invalid(what)) } else { Ok(number) }
    }

    /// A number of at most 32 bits that [`put_varint_u64`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] at the end, or if the number is greater.
    pub fn varint_u32(&mut self, what: &'static str) -> Result<u32, Corrupt> {
        u32::try_from(self.varint_u64(what)?).map_err(|_| self.invalid(what))
    }

    /// A count of elements that take at least one byte each.
    ///
    /// # Errors
    /// [`Corrupt`] if fewer bytes than that are left.
    pub fn count(&mut self, what: &'static str) -> Result<usize, Corrupt> {
        let count = self.varint_u64(what)?;
        let bytes_left = self.bytes.len() - self.at;
        usize::try_from(count).ok().filter(|count| *count <= bytes_left).ok_or(self.invalid(what))
    }

    /// A number that [`put_varint_i64`] wrote.
    ///
    /// # Errors
    /// As for [`Self::varint_u64`].
    pub fn varint_i64(&mut self, what: &'static str) -> Result<i64, Corrupt> {
        let number = self.varint_u64(what)?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// An instant in milliseconds since the epoch: a signed number far enough from overflow to add any lifetime.
    ///
    /// # Errors
    /// [`Corrupt`] at the end, or if the number is farther than 2⁶⁰ from 0.
    pub fn instant(&mut self, what: &'static str) -> Result<i64, Corrupt> {
        const MAX_ABS_MS: u64 = 1 << 60;
        let instant_ms = self.varint_i64(what)?;
        if instant_ms.unsigned_abs() > MAX_ABS_MS { Err(self.invalid(what)) } else { Ok(instant_ms) }
    }

    /// A number that [`put_u64_le`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] at the end.
    pub fn u64_le(&mut self, what: &'static str) -> Result<u64, Corrupt> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    }

    /// Bytes that [`put_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] at the end.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Corrupt> {
        let length = self.count(what)?;
        self.take(length, what)
    }

    /// Bytes that [`put_bytes`] wrote, as text.
    ///
    /// # Errors
    /// [`Corrupt`] at the end, or if they are not UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, Corrupt> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes).map_err(|_| self.invalid(what))
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`Corrupt`] at the end.
    pub fn slice(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Corrupt> {
        self.take(length, what)
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Corrupt> {
        let bytes =
            self.bytes.get(self.at..).and_then(|rest| rest.get(..length)).ok_or(self.invalid(what))?;
        self.at += length;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(kind: Kind, content: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        begin(&mut frame, kind);
        frame.extend_from_slice(content);
        seal(&mut frame);
        frame
    }

    #[test]
    fn small_numbers_take_few_bytes() {
        for (number, bytes) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            let mut out = Vec::new();
            put_varint_u64(&mut out, number);
            assert_eq!(out.len(), bytes, "{number}");
        }
        assert_eq!([0, -1, 1, -2, i64::MIN].map(zigzag), [0, 1, 2, 3, u64::MAX]);
    }

    #[test]
    fn a_damaged_frame_is_refused_with_its_fault() {
        let frame = sealed(Kind::Watermark, b"abc");
        assert_eq!(open(&frame, Kind::Watermark).unwrap().bytes, b"abc");
        assert!(is_frame(&frame));
        for text in [&b"{}"[..], b"", b"\xffEQ", b"\xffEQk\x02 and text without a checksum"] {
            assert!(!is_frame(text), "{text:?}");
        }
        assert_eq!(open(&frame, Kind::Counts).unwrap_err(), Corrupt::NotThis { kind: Kind::Counts });
        assert_eq!(open(b"", Kind::Watermark).unwrap_err(), Corrupt::NotThis { kind: Kind::Watermark });
        for cut in 4..frame.len() {
            assert_eq!(
                open(&frame[..cut], Kind::Watermark).unwrap_err(),
                Corrupt::Checksum { kind: Kind::Watermark }
            );
        }
        let mut damaged = frame.clone();
        damaged[6] ^= 1;
        assert_eq!(open(&damaged, Kind::Watermark).unwrap_err(), Corrupt::Checksum { kind: Kind::Watermark });
        let mut newer = MAGIC.to_vec();
        newer.extend_from_slice(b"k\x09abc");
        seal(&mut newer);
        assert_eq!(
            open(&newer, Kind::Watermark).unwrap_err(),
            Corrupt::UnknownVersion { kind: Kind::Watermark, version: 9 }
        );
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        assert!(open(&sealed(Kind::Watermark, b""), Kind::Watermark).unwrap().is_done());
    }

    #[test]
    fn numbers_out_of_range_are_invalid() {
        let invalid = |at| Corrupt::Invalid { what: "x", at };
        let reader = |bytes: &'static [u8]| Reader::new(bytes);
        assert_eq!(reader(&[0x80]).varint_u64("x"), Err(invalid(1)));
        assert_eq!(reader(&[0xff; 11]).varint_u64("x"), Err(invalid(10)));
        let ones = [0xff; 9];
        let with = |last| [&ones[..], &[last]].concat();
        assert_eq!(Reader::new(&with(1)).varint_u64("x"), Ok(u64::MAX));
        assert_eq!(Reader::new(&with(2)).varint_u64("x"), Err(invalid(10)));
        assert_eq!(reader(&[5]).varint_up_to(5, "x"), Ok(5));
        assert_eq!(reader(&[5]).varint_up_to(4, "x"), Err(invalid(1)));
        assert_eq!(reader(&[2, 7, 7]).count("x"), Ok(2));
        assert_eq!(reader(&[3, 7, 7]).count("x"), Err(invalid(1)));
        assert_eq!(reader(&[1, 0xff]).text("x"), Err(invalid(2)));
        assert_eq!(reader(&[1; 7]).u64_le("x"), Err(invalid(0)));
        assert_eq!(Reader::new(&with(1)).varint_u32("x"), Err(invalid(10)));
    }

    #[test]
    fn a_number_has_one_encoding() {
        for longer in [
            &[0x80, 0][..],
            &[0x81, 0],
            &[0x81, 0x80, 0],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
        ] {
            let at = longer.len();
            assert_eq!(Reader::new(longer).varint_u64("x"), Err(Corrupt::Invalid { what: "x", at }));
        }
        assert_eq!(Reader::new(&[0]).varint_u64("x"), Ok(0));
    }

    #[test]
    fn an_instant_leaves_room_for_a_lifetime() {
        for (instant, fits) in
            [(1 << 60, true), (-(1 << 60), true), ((1 << 60) + 1, false), (i64::MIN, false)]
        {
            let mut out = Vec::new();
            put_varint_i64(&mut out, instant);
            assert_eq!(Reader::new(&out).instant("x").is_ok(), fits, "{instant}");
        }
    }

    proptest! {
        #[test]
        fn written_values_read_back(number in any::<u64>(), shift in 0..64, signed in any::<i64>(), bytes in any::<Vec<u8>>()) {
            let mut out = Vec::new();
            put_varint_u64(&mut out, number >> shift);
            put_varint_i64(&mut out, signed >> shift);
            put_u64_le(&mut out, number);
            put_bytes(&mut out, &bytes);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint_u64("a"), Ok(number >> shift));
            prop_assert_eq!(reader.varint_i64("b"), Ok(signed >> shift));
            prop_assert!(!reader.is_done());
            prop_assert_eq!(reader.u64_le("c"), Ok(number));
            prop_assert_eq!(reader.bytes("d"), Ok(&bytes[..]));
            prop_assert!(reader.is_done());
        }

        #[test]
        fn random_bytes_are_not_a_frame(bytes in any::<Vec<u8>>()) {
            let mut framed = MAGIC.to_vec();
            framed.push(b'k');
            framed.extend_from_slice(&bytes);
            prop_assert!(open(&framed, Kind::Watermark).is_err());
        }
    }
}
