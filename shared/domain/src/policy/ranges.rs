//! The ranges of a policy's fields, both ends included, each with its reason.

use std::ops::RangeInclusive;

/// The resolutions of H3.
pub const RESOLUTION: RangeInclusive<i64> = 0..=15;

/// From a millisecond, the unit of times, to an hour.
pub const TICK_MS: RangeInclusive<i64> = 1..=3_600_000;

/// Up to a day, the shortest retention of a stream: a longer state could not be rebuilt from it.
pub const WINDOW_MS: RangeInclusive<i64> = 1..=86_400_000;

/// As [`WINDOW_MS`].
pub const DRIVER_TTL_MS: RangeInclusive<i64> = 1..=86_400_000;

/// From 0, which ends a driver's supply at the log-off, to a day, as [`WINDOW_MS`].
pub const ABSENT_MS: RangeInclusive<i64> = 0..=86_400_000;

/// From 0, for events that arrive in order, to a day, as [`WINDOW_MS`].
pub const LATENESS_MS: RangeInclusive<i64> = 0..=86_400_000;

/// A set of products is a 64-bit number.
pub const MAX_PRODUCTS: usize = 64;

/// Zones are searched one by one for each cell.
pub const MAX_ZONES: usize = 1_024;

/// The rings of a polygon are searched one by one for each cell.
pub const MAX_RINGS: usize = 1_024;

/// Rings 0 to 6 around a cell have 127 cells.
pub const MAX_RING_WEIGHTS: usize = 7;

/// Up to a year, at which multipliers hardly move.
pub const HALF_LIFE_MS: RangeInclusive<i64> = 1..=31_536_000_000;

/// From a hundredth, the unit of published multipliers, to 1; and it divides 1, so that 1.00× is published.
pub const STEP_HUNDREDTHS: RangeInclusive<u16> = 1..=100;

/// More drivers than any city has.
pub const MIN_LOST: RangeInclusive<i64> = 0..=1_000_000_000;

/// From 0, which disables the guard, to a day.
pub const HOLD_MS: RangeInclusive<i64> = 0..=86_400_000;

/// From 0, so that every change must be confirmed, to the largest multiplier.
pub const CHANGE_HUNDREDTHS: RangeInclusive<u16> = 0..=10_000;

/// From 0, so that every change must be confirmed, to a hundredfold.
pub const CHANGE_PERCENT: RangeInclusive<i64> = 0..=10_000;

/// No way is shorter than the great circle, and none is ten times as long.
pub const DETOUR: RangeInclusive<f64> = 1.0..=10.0;

/// From a slow walk to a fast train.
pub const SPEED_KMH: RangeInclusive<f64> = 1.0..=300.0;

/// Above 0, and at most a hundredfold, beyond what any city allows.
pub const MULTIPLIER_HUNDREDTHS: RangeInclusive<u16> = 1..=10_000;

/// What surge may publish under any policy: `m` is at most 1.2 times the highest cap, rounded to the widest step.
pub const PUBLISHED_HUNDREDTHS: RangeInclusive<u16> = 1..=12_100;

/// Up to a day: prices that are valid for longer are not dynamic.
pub const QUOTE_TTL_MS: RangeInclusive<i64> = 1..=86_400_000;

/// How far the end of an override may be away, in milliseconds: 30 days (CONTRACT §9).
pub const OVERRIDE_MS: i64 = 30 * 86_400_000;

/// How far the end of a kill may be away, in milliseconds: a day (CONTRACT §9).
pub const KILL_MS: i64 = 86_400_000;

/// Longest reason of an override, in characters: a few sentences.
pub const REASON_CHARS: usize = 1_000;

/// Longest display name, in characters: a line on a page.
pub const NAME_CHARS: usize = 200;

/// Laws are checked one by one for each zone and product.
pub const MAX_LAWS: usize = 256;

/// Longest name of a law, in characters: room for its title and an address.
pub const SOURCE_CHARS: usize = 1_000;

/// The years of a law's times, in UTC: every instant of theirs has a local time in every time zone.
pub const LAW_YEARS: RangeInclusive<i16> = 1970..=9998;

/// Daily maxima are kept for 400 days (CONTRACT §9).
pub const PRIOR_DAYS: RangeInclusive<i64> = 1..=400;

/// Less than the greatest number of prior days.
pub const DAYS_LEFT_OUT: RangeInclusive<i64> = 0..=399;
