//! The mode of a price by the age of its map, and the fallback if the map is too old (CONTRACT §6). What bounds the
//! multiplier in every mode is in [`super::bounds`].

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use crate::policy::{HOURS_OF_WEEK, Multiplier, Policy, Published};
use crate::surge::map::Row;

/// Greatest age of a fresh price, in milliseconds (CONTRACT §6).
pub const FRESH_MS: i64 = 30_000;

/// Greatest age of a cached price, in milliseconds (CONTRACT §6).
pub const CACHED_MS: i64 = 300_000;

/// The source of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The map, at most [`FRESH_MS`] old.
    Fresh,
    /// The map, at most [`CACHED_MS`] old.
    Cached,
    /// The policy's static table of the hours of the week.
    Static,
    /// 1.0: there is no recent map, and the city has no static table.
    Degraded,
}

impl Mode {
    /// The mode of a map of this age; `None` if no tick has closed yet.
    #[must_use]
    pub fn by_age(age_ms: Option<i64>, has_table: bool) -> Self {
        match age_ms {
            Some(age_ms) if age_ms <= FRESH_MS => Self::Fresh,
            Some(age_ms) if age_ms <= CACHED_MS => Self::Cached,
            _ if has_table => Self::Static,
            _ => Self::Degraded,
        }
    }

    /// The mode's name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Cached => "cached",
            Self::Static => "static",
            Self::Degraded => "degraded",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The multipliers in force in a city at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Fallback<'a> {
    policy: &'a Policy,
    /// The age of the map in milliseconds: 0 if its tick is ahead of this clock.
    pub age_ms: Option<i64>,
    /// The mode of the city's prices.
    pub mode: Mode,
    /// In [`Mode::Static`], the hour of the week whose multiplier is in force everywhere.
    pub hour: Option<usize>,
}

impl<'a> Fallback<'a> {
    /// The multipliers in force at `now_ms` with a map as of `as_of`, both in milliseconds since the epoch.
    #[must_use]
    pub fn new(policy: &'a Policy, as_of: Option<i64>, now_ms: i64) -> Self {
        Self::in_mode(
            policy,
            as_of,
            Mode::by_age(age_ms(as_of, now_ms), policy.static_hours.is_some()),
            now_ms,
        )
    }

    /// The multipliers of a mode, whatever the age of the map.
    #[must_use]
    pub fn in_mode(policy: &'a Policy, as_of: Option<i64>, mode: Mode, now_ms: i64) -> Self {
        let hour = (mode == Mode::Static).then(|| hour_of_week(&policy.timezone, now_ms));
        Self { policy, age_ms: age_ms(as_of, now_ms), mode, hour }
    }

    /// The multiplier of a cell before bounds, given its row of the map, if there is one.
    #[must_use]
    pub fn published(&self, row: Option<&Row>) -> Published {
        match (self.mode, row) {
            (Mode::Fresh | Mode::Cached, Some(row)) => row.published,
            _ => self.without_row().into(),
        }
    }

    /// The multiplier of a cell without a row.
    fn without_row(&self) -> Multiplier {
        let table = self.policy.static_hours.as_ref().zip(self.hour);
        table.map_or(Multiplier::ONE, |(table, hour)| table[hour])
    }
}

fn age_ms(as_of: Option<i64>, now_ms: i64) -> Option<i64> {
    as_of.map(|as_of| now_ms.saturating_sub(as_of).max(0))
}

/// The hour of the week at `now_ms`, in milliseconds since the epoch: 0 begins on Monday at 00:00 local time.
#[must_use]
pub fn hour_of_week(timezone: &TimeZone, now_ms: i64) -> usize {
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let local = timezone.to_datetime(now);
    let days = local.weekday().to_monday_zero_offset().unsigned_abs();
    let hour = usize::from(days) * 24 + usize::from(local.hour().unsigned_abs());
    hour.min(HOURS_OF_WEEK - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Position;
    use crate::geo::locate::cell_at;
    use serde_json::json;

    /// Monday 2026-03-02, 00:00 in New York.
    const MONDAY: i64 = 1_772_427_600_000;

    fn policy(table: &[f64]) -> Policy {
        let world = json!({"type": "Polygon", "coordinates": [[[-90, 30], [-60, 30], [-60, 50], [-90, 50], [-90, 30]]]});
        let document = json!({
            "city": "nyc", "currency": "USD", "boundary": world, "products": [{"id": "standard"}],
            "timezone": "America/New_York", "static": table,
        });
        Policy::from_json(&document).unwrap()
    }

    fn row(hundredths: u16) -> Row {
        let published = Published::new(hundredths).unwrap();
        let cell = cell_at(Position { lat: 40.5, lng: -75.0 }, h3o::Resolution::Eight);
        Row { product: 0, cell, demand: 1, supply: 0, published }
    }

    #[test]
    fn each_age_has_its_mode() {
        for (age_ms, with_table, without) in [
            (Some(0), Mode::Fresh, Mode::Fresh),
            (Some(30_000), Mode::Fresh, Mode::Fresh),
            (Some(30_001), Mode::Cached, Mode::Cached),
            (Some(300_000), Mode::Cached, Mode::Cached),
            (Some(300_001), Mode::Static, Mode::Degraded),
            (Some(i64::MAX), Mode::Static, Mode::Degraded),
            (None, Mode::Static, Mode::Degraded),
        ] {
            assert_eq!(Mode::by_age(age_ms, true), with_table, "{age_ms:?}");
            assert_eq!(Mode::by_age(age_ms, false), without, "{age_ms:?}");
        }
    }

    #[test]
    fn a_mode_is_written_as_the_contract_names_it() {
        let modes = [Mode::Fresh, Mode::Cached, Mode::Static, Mode::Degraded];
        assert_eq!(modes.map(|mode| mode.to_string()), ["fresh", "cached", "static", "degraded"]);
    }

    #[test]
    fn the_map_is_in_force_for_five_minutes() {
        let policy = policy(&[]);
        for (now, hundredths) in [(0, 170), (300_000, 170), (300_001, 100)] {
            let fallback = Fallback::new(&policy, Some(0), now);
            assert_eq!(fallback.published(Some(&row(170))).hundredths(), hundredths, "{now}");
            assert_eq!(fallback.published(None), Published::ONE);
        }
    }

    #[test]
    fn the_hours_of_the_table_are_local_time() {
        let hours: Vec<f64> = (0..168).map(|hour| f64::from(120 + hour) / 100.0).collect();
        let policy = policy(&hours);
        for (now, hundredths) in
            [(MONDAY, 120), (MONDAY + 3_599_999, 120), (MONDAY + 3_600_000, 121), (MONDAY - 1, 287)]
        {
            let fallback = Fallback::new(&policy, None, now);
            assert_eq!(fallback.mode, Mode::Static);
            assert_eq!(fallback.published(Some(&row(170))).hundredths(), hundredths, "{now}");
        }
    }

    #[test]
    fn a_skipped_or_repeated_hour_is_that_of_the_local_clock() {
        let new_york = TimeZone::get("America/New_York").unwrap();
        // Clocks went from 02:00 to 03:00 on Sunday, 2026-03-08 at 07:00 UTC, and from 02:00 back to 01:00
        // on Sunday, 2026-11-01 at 06:00 UTC.
        for (now, hour) in [
            (1_772_953_199_999, 6 * 24 + 1),
            (1_772_953_200_000, 6 * 24 + 3),
            (1_793_512_799_999, 6 * 24 + 1),
            (1_793_512_800_000, 6 * 24 + 1),
            (1_793_516_400_000, 6 * 24 + 2),
        ] {
            assert_eq!(hour_of_week(&new_york, now), hour, "{now}");
        }
    }

    #[test]
    fn a_tick_ahead_of_this_clock_has_age_0() {
        let policy = policy(&[]);
        let fallback = Fallback::new(&policy, Some(1_000), 0);
        assert_eq!((fallback.age_ms, fallback.mode), (Some(0), Mode::Fresh));
    }
}
