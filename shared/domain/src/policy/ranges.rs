//! What each field of a policy may be, both ends included, and why.

use std::ops::RangeInclusive;

/// The resolutions that H3 has.
pub const RESOLUTION: RangeInclusive<i64> = 0..=15;

/// From ten ticks a second, faster than any phone reports, to one an hour.
pub const TICK_MS: RangeInclusive<i64> = 100..=3_600_000;

/// A day, the least that the log keeps its records: a longer memory could not be rebuilt from it.
pub const WINDOW_MS: RangeInclusive<i64> = 1..=86_400_000;

/// As [`WINDOW_MS`].
pub const DRIVER_TTL_MS: RangeInclusive<i64> = 1..=86_400_000;

/// None, where events come in order, to the day the log keeps at least.
pub const LATENESS_MS: RangeInclusive<i64> = 0..=86_400_000;

/// The products a driver serves are one bit each of 64.
pub const MAX_PRODUCTS: usize = 64;

/// Zones are looked through one by one for each cell.
pub const MAX_ZONES: usize = 1_024;

/// Rings of a polygon are looked through one by one for each cell.
pub const MAX_RINGS: usize = 1_024;

/// Rings 0 to 6: 127 cells feed each other.
pub const MAX_RING_WEIGHTS: usize = 7;

/// A year: slower than that is standing still.
pub const HALF_LIFE_MS: RangeInclusive<i64> = 1..=31_536_000_000;

/// From a hundredth, the finest that is reported, to a whole fare.
pub const STEP_HUNDREDTHS: RangeInclusive<u16> = 1..=100;

/// Above nothing, and at most a hundredfold, beyond what any city lets a price rise to.
pub const MULTIPLIER_HUNDREDTHS: RangeInclusive<u16> = 1..=10_000;

/// A day: a price promised for longer is no longer dynamic.
pub const QUOTE_TTL_MS: RangeInclusive<i64> = 1..=86_400_000;

/// Longest name for people, in characters: a line on a page.
pub const NAME_CHARS: usize = 200;
