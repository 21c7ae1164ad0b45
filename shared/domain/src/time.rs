//! Instants in milliseconds, their RFC 3339 form, and the ticks next to them.

use std::fmt;

use serde::{Serialize, Serializer};

/// Length of a time in UTC to the millisecond.
pub const TIME_BYTES: usize = 24;

const DAY_MS: i64 = 86_400_000;
/// 9999-12-31T23:59:59.999Z: RFC 3339 has four digits for the year.
const LAST_MS: i64 = 253_402_300_799_999;
/// 0000-01-01T00:00:00.000Z.
const FIRST_MS: i64 = -62_167_219_200_000;

/// Milliseconds since the Unix epoch, in UTC, within the years 0000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last instant. In a replay every record arrives then, so an event counts at its own time, and no tick exceeds
    /// its hold (CONTRACT §1, §3).
    pub const END_OF_TIME: Self = Self(LAST_MS);

    /// The instant `ms` milliseconds after the epoch, if its year has four digits.
    #[must_use]
    pub fn from_ms(ms: i64) -> Option<Self> {
        (FIRST_MS..=LAST_MS).contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0
    }

    /// Parses an RFC 3339 `date-time`; digits finer than the millisecond are cut off. Returns `None` for anything else,
    /// and for an instant whose year in UTC is outside 0000 to 9999.
    ///
    /// A leap second (`:60`, only at the end of a June or December in UTC) is the second after it, as in POSIX time.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let days = date_days(date)?;
        let (clock, rest) = rest.split_at_checked(9)?;
        if !matches!(clock[0], b'T' | b't') || clock[3] != b':' || clock[6] != b':' {
            return None;
        }
        let (hour, minute, second) = (two(&clock[1..])?, two(&clock[4..])?, two(&clock[7..])?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction_ms, zone) = fraction(rest)?;
        let local = days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + fraction_ms;
        let utc = local - offset_ms(zone)?;
        if second == 60 && !follows_leap_second(utc - fraction_ms) {
            return None;
        }
        Self::from_ms(utc)
    }
}

impl Timestamp {
    /// `2026-02-25T06:13:25.000Z` in ASCII.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TIME_BYTES] {
        let (year, month, day) = civil(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let numbers = [(0, 4, year), (5, 2, month), (8, 2, day), (11, 2, ms / 3_600_000)];
        let of_the_hour = [(14, 2, ms / 60_000 % 60), (17, 2, ms / 1000 % 60), (20, 3, ms % 1000)];
        for (at, width, mut number) in numbers.into_iter().chain(of_the_hour) {
            for digit in text[at..at + width].iter_mut().rev() {
                #[expect(clippy::cast_sign_loss, reason = "a digit")]
                let units = (number % 10) as u8;
                *digit += units;
                number /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Timestamp {
    /// `2026-02-25T06:13:25.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_bytes()).expect("the digits of a time are ASCII"))
    }
}

impl Serialize for Timestamp {
    /// The text of [`Timestamp`]'s `Display`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The first tick at or after `time_ms`: the next multiple of `tick_ms` (CONTRACT §3).
#[must_use]
#[inline]
pub fn tick_at_or_after(time_ms: i64, tick_ms: i64) -> i64 {
    -(-time_ms).div_euclid(tick_ms) * tick_ms
}

/// The last tick at or before `time_ms`.
#[must_use]
#[inline]
pub fn tick_at_or_before(time_ms: i64, tick_ms: i64) -> i64 {
    time_ms.div_euclid(tick_ms) * tick_ms
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn two(text: &[u8]) -> Option<i64> {
    Some(digit(*text.first()?)? * 10 + digit(*text.get(1)?)?)
}

/// Days since the epoch of `YYYY-MM-DD`.
fn date_days(text: &[u8]) -> Option<i64> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (two(text)? * 100 + two(&text[2..])?, two(&text[5..])?, two(&text[8..])?);
    let days = days_of(year, month, day);
    // A day beyond the end of its month converts to another date.
    ((1..=12).contains(&month) && civil(days) == (year, month, day)).then_some(days)
}

/// Days since the epoch of a Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a count of days since the epoch (the inverse, from the same source).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The milliseconds of an optional `.digits`, and the rest of the text.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let ms = (0..3)
        .fold(0, |ms, place| ms * 10 + text[..digits].get(place).map_or(0, |byte| i64::from(byte - b'0')));
    Some((ms, &text[digits..]))
}

fn offset_ms(zone: &[u8]) -> Option<i64> {
    let sign = match zone.first()? {
        b'Z' | b'z' => return (zone.len() == 1).then_some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if zone.len() != 6 || zone[3] != b':' {
        return None;
    }
    let (hours, minutes) = (two(&zone[1..])?, two(&zone[4..])?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// Whether `utc_ms` is the midnight after a June or a December.
fn follows_leap_second(utc_ms: i64) -> bool {
    let (_, month, day) = civil(utc_ms.div_euclid(DAY_MS));
    utc_ms.rem_euclid(DAY_MS) == 0 && day == 1 && (month == 1 || month == 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<i64> {
        Timestamp::parse(text.as_bytes()).map(Timestamp::ms)
    }

    #[test]
    fn rfc_3339_is_parsed_to_the_millisecond() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2026-02-25T06:13:29.033508Z"), Some(1_772_000_009_033));
        assert_eq!(parse("2026-02-25t06:13:29.03z"), Some(1_772_000_009_030));
        assert_eq!(parse("2026-02-25T11:43:29.0335+05:30"), Some(1_772_000_009_033));
        assert_eq!(parse("2026-02-25T05:13:29-01:00"), Some(1_772_000_009_000));
        assert_eq!(parse("2026-02-25T06:13:29-00:00"), Some(1_772_000_009_000));
        assert_eq!(parse("1969-12-31T23:59:59.9999Z"), Some(-1));
        assert_eq!(parse("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        assert_eq!(parse("2000-02-29T00:00:00Z"), Some(951_782_400_000));
    }

    #[test]
    fn anything_but_an_rfc_3339_time_is_refused() {
        for bad in [
            "",
            "2026-02-25",
            "2026-02-25T06:13:29",
            "2026-02-25T06:13Z",
            "2026-02-25 06:13:29Z",
            "2026/02-25T06:13:29Z",
            "2026-02/25T06:13:29Z",
            "2026-02-25T06-13:29Z",
            "2026-02-25T06:13-29Z",
            "2026-02-29T06:13:29Z",
            "1900-02-29T06:13:29Z",
            "2026-00-10T06:13:29Z",
            "2026-13-10T06:13:29Z",
            "2026-04-31T06:13:29Z",
            "2026-04-00T06:13:29Z",
            "2026-02-25T24:13:29Z",
            "2026-02-25T06:60:29Z",
            "2026-02-25T06:13:60Z",
            "2026-02-25T23:59:60Z",
            "2026-02-25T06:13:61Z",
            "2026-02-25T06:13:29.Z",
            "2026-02-25T06:13:29.x",
            "2026-02-25T06:13:29ZZ",
            "2026-02-25T06:13:29+0530",
            "2026-02-25T06:13:29+05:3",
            "2026-02-25T06:13:29+24:00",
            "2026-02-25T06:13:29+05:60",
            "2026-02-25T06:13:29+05-30",
            "2026-02-25T06:13:29*05:30",
            "+026-02-25T06:13:29Z",
            "2O26-02-25T06:13:29Z",
            "2026-02-25T06:13:29.1234567",
            "2026-02-25T06:13:29+05:300",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-02-25T06:13:2",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_range_includes_the_first_and_the_last_instant() {
        assert_eq!(parse("0000-01-01T00:00:00Z"), Some(FIRST_MS));
        assert_eq!(parse("9999-12-31T23:59:59.999Z"), Some(LAST_MS));
        assert_eq!(Timestamp::from_ms(LAST_MS + 1), None);
        assert_eq!(Timestamp::from_ms(FIRST_MS - 1), None);
        assert_eq!(Timestamp::END_OF_TIME.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn the_greatest_offsets_are_accepted() {
        assert_eq!(parse("2026-02-25T06:13:29+23:59"), Some(1_772_000_009_000 - 86_340_000));
        assert_eq!(parse("2026-02-25T23:59:59-23:59"), Some(1_772_063_999_000 + 86_340_000));
    }

    #[test]
    fn a_leap_second_is_the_second_after_it() {
        assert_eq!(parse("2016-12-31T23:59:60.250Z"), parse("2017-01-01T00:00:00.250Z"));
        assert_eq!(parse("2015-07-01T01:59:60+02:00"), parse("2015-07-01T00:00:00Z"));
        assert_eq!(parse("2016-12-31T23:58:60Z"), None);
        assert_eq!(parse("2016-12-01T23:59:60Z"), None);
        assert_eq!(parse("2016-11-30T23:59:60Z"), None);
        assert_eq!(parse("2017-02-28T23:59:60Z"), None);
        assert_eq!(parse("2017-01-01T23:59:60Z"), None);
    }

    #[test]
    fn ticks_are_multiples_since_the_epoch() {
        assert_eq!(tick_at_or_after(5000, 5000), 5000);
        assert_eq!(tick_at_or_after(5001, 5000), 10_000);
        assert_eq!(tick_at_or_after(-1, 5000), 0);
        assert_eq!(tick_at_or_after(-5001, 5000), -5000);
        assert_eq!(tick_at_or_before(4999, 5000), 0);
        assert_eq!(tick_at_or_before(5000, 5000), 5000);
        assert_eq!(tick_at_or_before(-1, 5000), -5000);
    }

    proptest! {
        #[test]
        fn a_displayed_time_parses_back(ms in FIRST_MS..=LAST_MS) {
            let time = Timestamp::from_ms(ms).unwrap();
            prop_assert_eq!(Timestamp::parse(time.to_string().as_bytes()), Some(time));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(text in "[0-9TZtz:.+-]{0,40}") {
            let _ = Timestamp::parse(text.as_bytes());
        }
    }
}
