//! The figures of each local day that laws refer to: the highest reported multiplier and the mean, of a product in the city
//! and in each zone (CONTRACT §9).
//!
//! They are taken from what is reported at each tick, and kept by the version of the map up to which they have been taken:
//! a tick that is delivered again changes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::civil::{self, Date};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use crate::id::ProductId;
use crate::policy::{Multiplier, Policy};
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// For how many days figures are kept (CONTRACT §9).
pub const KEPT_DAYS: i32 = 400;

/// A day of a city's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(i32);

impl LocalDay {
    /// The day of an instant, in milliseconds since the epoch, in a time zone; that of the nearest instant that has one.
    #[must_use]
    pub fn of(at_ms: i64, zone: &TimeZone) -> Self {
        let last = if at_ms < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(last);
        Self::from_date(zone.to_datetime(at).date())
    }

    /// The day that a date names: `2026-01-31`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        (date.to_string() == text).then(|| Self::from_date(date))
    }

    /// The day with this number: 1970-01-01 is 0.
    #[must_use]
    pub fn new(number: i32) -> Option<Self> {
        let day = Self(number);
        day.date().map(|_| day)
    }

    /// Its number: 1970-01-01 is 0.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// This day and `days` more, within the calendar.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        let moved = Self(self.0.saturating_add(days));
        if moved.date().is_some() {
            return moved;
        }
        Self::from_date(if days < 0 { Date::MIN } else { Date::MAX })
    }

    /// Its first instant in a time zone, in milliseconds since the epoch.
    #[must_use]
    pub fn start_ms(self, zone: &TimeZone) -> i64 {
        // Where a day begins with an hour that does not exist, this is its first instant.
        let start = self.date().and_then(|date| {
            let midnight = date.to_datetime(civil::Time::midnight());
            zone.to_ambiguous_timestamp(midnight).compatible().ok()
        });
        start.map_or(i64::MAX, jiff::Timestamp::as_millisecond)
    }

    fn from_date(date: Date) -> Self {
        let days = (date - EPOCH).get_days();
        Self(days)
    }

    fn date(self) -> Option<Date> {
        let days: Span = 0.days().try_days(i64::from(self.0)).ok()?;
        EPOCH.checked_add(days).ok()
    }
}

impl fmt::Display for LocalDay {
    /// The date: `2026-01-31`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(date) => date.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

const EPOCH: Date = civil::date(1970, 1, 1);

/// What was reported of a product in an area on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The highest multiplier that was reported of a cell.
    pub max: Multiplier,
    /// The sum over ticks and reported cells of the demand.
    pub demand: u64,
    /// The sum over ticks and reported cells of the multiplier in hundredths, times the demand.
    pub weighted: u128,
}

impl Figure {
    /// Both figures together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            max: self.max.max(other.max),
            demand: self.demand.saturating_add(other.demand),
            weighted: self.weighted.saturating_add(other.weighted),
        }
    }
}

/// What was reported of a cell and product at a tick, as far as figures need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The product, by its index in the policy.
    pub product: usize,
    /// The zone that the cell lies in, by its index in the policy.
    pub zone: Option<usize>,
    /// The multiplier that was reported.
    pub multiplier: Multiplier,
    /// Riders in the cell itself.
    pub demand: u32,
}

/// An area of a policy: the whole city, or the zone with this id.
type Area = Option<Box<str>>;

/// The figures of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayFigures {
    /// The run of the store that the versions belong to: the `began_ms` of its maps.
    pub began_ms: i64,
    /// The version of the map up to which ticks have been added.
    pub version: u64,
    series: BTreeMap<(ProductId, Area), Figure>,
}

impl DayFigures {
    /// The figure of a product in the city or in the zone with this id; `None` if no cell of it was reported.
    #[must_use]
    pub fn of(&self, product: &ProductId, zone: Option<&str>) -> Option<Figure> {
        self.series.get(&(product.clone(), zone.map(Into::into))).copied()
    }

    /// Whether a tick of this run and version is in the figures.
    #[must_use]
    pub fn includes(&self, began_ms: i64, version: u64) -> bool {
        self.began_ms == began_ms && version <= self.version
    }

    /// Adds what was reported under `policy` at a number of ticks, the last of which has this run and version.
    pub fn add(
        &mut self,
        policy: &Policy,
        samples: impl Iterator<Item = Sample>,
        ticks: u64,
        (began_ms, version): (i64, u64),
    ) {
        (self.began_ms, self.version) = (began_ms, version);
        let areas = policy.zones.len() + 1;
        let mut sums: Vec<Option<Figure>> = vec![None; areas * policy.products.len()];
        for Sample { product, zone, multiplier, demand } in samples {
            let figure = Figure {
                max: multiplier,
                demand: u64::from(demand) * ticks,
                weighted: u128::from(u64::from(demand) * u64::from(multiplier.hundredths()))
                    * u128::from(ticks),
            };
            // The last area is the city.
            for area in zone.into_iter().chain([areas - 1]) {
                let sum = &mut sums[product * areas + area];
                *sum = Some(sum.map_or(figure, |sum| sum.and(figure)));
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            let Some(sum) = sum else { continue };
            let zone = policy.zones.get(index % areas).map(|zone| zone.id.as_str().into());
            let key = (policy.products[index / areas].id.clone(), zone);
            let total = self.series.entry(key);
            total.and_modify(|total| *total = total.and(sum)).or_insert(sum);
        }
    }

    /// Encodes the figures as they are stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32 + self.series.len() * 32);
        wire::begin(&mut out, Kind::DayFigures);
        put_varint_i64(&mut out, self.began_ms);
        put_varint_u64(&mut out, self.version);
        for ((product, zone), Figure { max, demand, weighted }) in &self.series {
            put_bytes(&mut out, product.as_str().as_bytes());
            // No zone has an empty id.
            put_bytes(&mut out, zone.as_deref().unwrap_or_default().as_bytes());
            put_varint_u64(&mut out, u64::from(max.hundredths()));
            put_varint_u64(&mut out, *demand);
            for half in [weighted >> 64, weighted & u128::from(u64::MAX)] {
                put_varint_u64(&mut out, u64::try_from(half).unwrap_or(u64::MAX));
            }
        }
        wire::seal(&mut out);
        out
    }

    /// Decodes bytes that [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::DayFigures)?;
        let began_ms = input.varint_i64("an arrival time")?;
        let version = input.varint_u64("a version")?;
        let mut series = BTreeMap::new();
        while !input.is_done() {
            let product = ProductId::new(input.text("a product")?).ok_or(input.invalid("a product"))?;
            let zone = Some(input.text("a zone")?).filter(|zone| !zone.is_empty()).map(Into::into);
            series.insert((product, zone), read_figure(&mut input)?);
        }
        Ok(Self { began_ms, version, series })
    }
}

fn read_figure(input: &mut Reader<'_>) -> Result<Figure, Corrupt> {
    let max = input.varint_up_to(u64::from(u16::MAX), "a multiplier")?;
    let max = u16::try_from(max).ok().and_then(Multiplier::new).ok_or(input.invalid("a multiplier"))?;
    let demand = input.varint_u64("a demand")?;
    let [high, low] = [input.varint_u64("a weighted sum")?, input.varint_u64("a weighted sum")?];
    Ok(Figure { max, demand, weighted: u128::from(high) << 64 | u128::from(low) })
}

/// The figures of a city's days that are known.
pub type Days = BTreeMap<LocalDay, Arc<DayFigures>>;
