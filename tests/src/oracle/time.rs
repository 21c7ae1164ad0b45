//! Times as RFC 3339 texts and as milliseconds since the Unix epoch.

/// Parses a date and time with zone; truncates to milliseconds.
pub(crate) fn from_text(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (date, rest) = text.split_once('T')?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);

    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millisecond: i64 = format!("{fraction}00")[..3].parse().ok()?;

    let in_range = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = (days_before(year, month) + day - 1) * 1_440 + hour * 60 + minute - offset_minutes(zone)?;
    Some((minutes * 60 + second) * 1_000 + millisecond)
}

/// Writes `time` in UTC with milliseconds and `Z`.
pub(crate) fn to_text(time: i64) -> String {
    let (days, of_day) = (time.div_euclid(86_400_000), time.rem_euclid(86_400_000));
    // A year that is not too late, then forward.
    let mut year = 1970 + days.div_euclid(365).min(days.div_euclid(366));
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1) <= days {
        month += 1;
    }
    let day = days - days_before(year, month) + 1;
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, millisecond) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Three numbers with exactly these widths.
fn numbers(text: &str, between: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let parts: Vec<&str> = text.split(between).collect();
    let mut numbers = [0; 3];
    if parts.len() != 3 {
        return None;
    }
    for ((number, part), width) in numbers.iter_mut().zip(parts).zip(widths) {
        *number = digits(part, width)?;
    }
    Some(numbers)
}

fn digits(text: &str, width: usize) -> Option<i64> {
    let valid = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

/// `Z`, `+hh:mm` or `-hh:mm`.
fn offset_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('+') { 1 } else { -1 };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours <= 23 && minutes <= 59 { Some(sign * (hours * 60 + minutes)) } else { None }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let past = year - 1;
    let leap_days = past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    let to_year = past * 365 + leap_days - (1969 * 365 + 477);
    to_year + (1..month).map(|month| days_in(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::{from_text, to_text};

    #[test]
    fn times_are_parsed_and_formatted_as_in_the_calendar() {
        for (text, time) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T12:00:00.000Z", 951_825_600_000),
            ("2026-03-01T00:00:00.001Z", 1_772_323_200_001),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("0001-01-01T00:00:00.000Z", -62_135_596_800_000),
        ] {
            assert_eq!(from_text(text), Some(time));
            assert_eq!(to_text(time), text);
        }
    }

    #[test]
    fn one_time_has_many_forms() {
        for text in ["2000-02-29t12:00:00z", "2000-02-29T17:30:00.0009+05:30", "2000-02-28T12:01:00-23:59"] {
            assert_eq!(from_text(text), Some(951_825_600_000), "{text}");
        }
    }
}
