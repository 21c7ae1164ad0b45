//! Writes a closed tick's rows as the lines of CONTRACT §4.

use parking_lot::Mutex;
use std::io::{self, Write};

use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::surge::map::{ClosedTick, MapHead};
use equilibrium_domain::time::Timestamp;

/// Writes rows; of a failure it keeps the first, and writes no more.
#[derive(Debug)]
pub struct TickWriter<W>(Mutex<Writing<W>>);

#[derive(Debug)]
struct Writing<W> {
    out: W,
    lines: Vec<u8>,
    ticks: u64,
    failure: Option<io::Error>,
}

/// Bytes gathered before they are written.
const GATHERED_BYTES: usize = 1 << 20;

impl<W: Write> TickWriter<W> {
    /// A writer to `out`.
    pub fn new(out: W) -> Self {
        Self(Mutex::new(Writing { out, lines: Vec::new(), ticks: 0, failure: None }))
    }

    /// Ends the file: the number of pairs of city and tick with at least one row.
    ///
    /// # Errors
    /// The first failure to write.
    pub fn end(&self) -> io::Result<u64> {
        let mut writing = self.0.lock();
        writing.write();
        match writing.failure.take() {
            Some(failure) => Err(failure),
            None => writing.out.flush().map(|()| writing.ticks),
        }
    }

    /// Whether writing has failed.
    pub fn has_failed(&self) -> bool {
        self.0.lock().failure.is_some()
    }
}

impl<W: Write> Writing<W> {
    fn write(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(&self.lines).err();
        }
        self.lines.clear();
    }
}

impl<W: Write + Send> TickLog for TickWriter<W> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        let mut writing = self.0.lock();
        for tick in ticks {
            writing.ticks += u64::from(!tick.rows.is_empty());
            append(&mut writing.lines, map, tick);
            if writing.lines.len() >= GATHERED_BYTES {
                writing.write();
            }
        }
        Ok(())
    }
}

/// Appends a tick's lines.
pub fn append(lines: &mut Vec<u8>, map: &MapHead, tick: &ClosedTick) {
    let at = Timestamp::from_ms(tick.at).map(|at| at.to_string()).unwrap_or_default();
    let heads: Vec<String> = map
        .products
        .iter()
        .map(|product| format!(r#"{{"city":"{}","at":"{at}","product":"{product}","cell":""#, map.city))
        .collect();
    for row in &tick.rows {
        lines.extend_from_slice(heads[usize::from(row.product)].as_bytes());
        hex(lines, row.cell.0);
        lines.extend_from_slice(b"\",\"demand\":");
        decimal(lines, row.demand);
        lines.extend_from_slice(b",\"supply\":");
        decimal(lines, row.supply);
        lines.extend_from_slice(b",\"multiplier\":");
        let hundredths = row.multiplier.hundredths();
        decimal(lines, u32::from(hundredths / 100));
        lines.push(b'.');
        lines.push(b'0' + (hundredths / 10 % 10) as u8);
        if hundredths % 10 != 0 {
            lines.push(b'0' + (hundredths % 10) as u8);
        }
        lines.extend_from_slice(b"}\n");
    }
}

fn hex(out: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let first = (number | 1).ilog2() / 4;
    for place in (0..=first).rev() {
        out.push(DIGITS[(number >> (4 * place) & 15) as usize]);
    }
}

fn decimal(out: &mut Vec<u8>, number: u32) {
    if number >= 10 {
        decimal(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_library_does() {
        for number in [0, 9, 10, 99, 100, 4_294_967_295] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
        for number in [0, 1, 15, 16, 0x0882_a100_811f_ffff, u64::MAX] {
            let mut out = Vec::new();
            hex(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:x}"));
        }
    }
}
