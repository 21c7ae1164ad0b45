//! Writes the events of a simulated city, from a fixed start.

use std::io::{self, Write};

use super::policy::policy;
use super::{City, Settings};

/// 2026-03-06T17:00:00Z, noon of a Friday in New York; fixed, so that two runs give the same bytes.
pub(super) const START_MS: i64 = 1_772_816_400_000;

/// Writes the events of the city's first `minutes` in the order of their times, flushes `out` and returns the number
/// of events.
///
/// # Errors
/// The write error of `out`.
pub fn write_city(seed: u64, minutes: u32, out: &mut impl Write) -> io::Result<u64> {
    let mut city = City::new(&Settings::new(seed, START_MS), &policy());
    let mut text = Vec::new();
    for second in 1..=i64::from(minutes) * 60 {
        city.advance(START_MS + second * 1000, &mut text);
        out.write_all(&text)?;
        text.clear();
    }
    out.flush()?;
    Ok(city.events())
}
