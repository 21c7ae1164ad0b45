//! The commands of `equilibrium`, one file each (CONTRACT §4), and what they share.

pub mod city;
pub mod city_file;
pub mod compare;
#[cfg(feature = "aws")]
pub mod deployment;
#[cfg(feature = "aws")]
pub mod feed;
pub mod lanes;
pub mod output_file;
#[cfg(feature = "aws")]
pub mod policies;
pub mod replay;
#[cfg(feature = "aws")]
pub mod run_event_sources;
pub mod serve;
pub mod serve_error;
pub mod terminal;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use equilibrium_domain::id::LaneCount;

/// Parses the argument of `--lanes`.
fn parse_lanes(text: &str) -> Result<LaneCount, &'static str> {
    let lanes = text.parse().ok().and_then(LaneCount::new);
    lanes.ok_or("not a power of two from 1 to 65536")
}

/// A parser of whole numbers, whose message states their range.
fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + Display + PartialOrd + Clone,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("not a whole number from {} to {}", range.start(), range.end()))
    }
}
