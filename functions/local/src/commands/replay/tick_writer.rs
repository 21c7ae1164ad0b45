//! Writes the rows of closed ticks as lines of NDJSON (CONTRACT §4).

use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;

use equilibrium_app::policy::policy_set::{CityConfig, PolicySet};
use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::ProductId;
use equilibrium_domain::surge::map::{ClosedTick, MapHead, Row};
use equilibrium_domain::time::Timestamp;

/// Writes ticks, with the multipliers within the bounds of their policies. After the first write error, which
/// [`TickWriter::end`] returns, nothing more is written.
#[derive(Debug)]
pub struct TickWriter<W> {
    policies: Arc<PolicySet>,
    buffered: Mutex<Buffered<W>>,
}

#[derive(Debug)]
struct Buffered<W> {
    out: W,
    lines: Vec<u8>,
    ticks: u64,
    write_error: Option<io::Error>,
}

/// Size of the buffer at which it is written.
const BUFFER_BYTES: usize = 1 << 20;

impl<W: Write> TickWriter<W> {
    /// A writer to `out` of the ticks of cities with these policies.
    pub fn new(out: W, policies: Arc<PolicySet>) -> Self {
        let buffered = Buffered { out, lines: Vec::new(), ticks: 0, write_error: None };
        Self { policies, buffered: Mutex::new(buffered) }
    }

    /// Writes the rest and flushes; returns the number of pairs of city and tick with at least one row.
    ///
    /// # Errors
    /// The first write error.
    pub fn end(&self) -> io::Result<u64> {
        let mut buffered = self.buffered.lock();
        buffered.write();
        match buffered.write_error.take() {
            Some(error) => Err(error),
            None => buffered.out.flush().map(|()| buffered.ticks),
        }
    }

    /// Whether a write has failed.
    pub fn has_failed(&self) -> bool {
        self.buffered.lock().write_error.is_some()
    }
}

impl<W: Write> Buffered<W> {
    fn write(&mut self) {
        if self.write_error.is_none() {
            self.write_error = self.out.write_all(&self.lines).err();
        }
        self.lines.clear();
    }
}

impl<W: Write + Send> TickLog for TickWriter<W> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        let Some(config) = self.policies.city(map.city.as_str()) else { return Ok(()) };
        let mut buffered = self.buffered.lock();
        for tick in ticks {
            for at in tick.instants().take_while(|_| !tick.rows.is_empty()) {
                buffered.ticks += 1;
                append(&mut buffered.lines, (&config, map), at, &tick.rows);
                if buffered.lines.len() >= BUFFER_BYTES {
                    buffered.write();
                }
                if buffered.write_error.is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Appends the lines of the tick `at`, in milliseconds since the epoch, with the bounds in force at that time.
pub fn append(lines: &mut Vec<u8>, (config, map): (&CityConfig, &MapHead), at: i64, rows: &[Row]) {
    let bounds = config.bounds.in_force(at);
    let in_policy = &config.pricing.policy.products;
    let in_policy = |id: &ProductId| in_policy.iter().position(|product| product.id == *id);
    let products: Vec<Option<usize>> = map.products.iter().map(in_policy).collect();
    let at = Timestamp::from_ms(at).map(|at| at.to_string()).unwrap_or_default();
    let prefixes: Vec<String> = map
        .products
        .iter()
        .map(|product| format!(r#"{{"city":"{}","at":"{at}","product":"{product}","cell":""#, map.city))
        .collect();
    for row in rows {
        let Some(product) = products[usize::from(row.product)] else { continue };
        let (multiplier, _) = bounds.at(product, row.cell).report(row.published);
        lines.extend_from_slice(prefixes[usize::from(row.product)].as_bytes());
        hex(lines, row.cell.0);
        lines.extend_from_slice(b"\",\"demand\":");
        decimal(lines, row.demand);
        lines.extend_from_slice(b",\"supply\":");
        decimal(lines, row.supply);
        lines.extend_from_slice(b",\"multiplier\":");
        let hundredths = multiplier.hundredths();
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
    for digit in (0..=first).rev() {
        out.push(DIGITS[(number >> (4 * digit) & 15) as usize]);
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
    fn numbers_are_written_as_the_standard_library_writes_them() {
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
