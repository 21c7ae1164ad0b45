//! The counting config: the part of a city's policy that counting needs.

use h3o::Resolution;

use crate::event::watermark::WatermarkConfig;
use crate::event::{Position, Refusal, What};
use crate::geo::polygon::Polygon;
use crate::id::ProductId;
use crate::policy::{Clock, Policy};
use crate::wire::products::{read_products, write_products};
use crate::wire::{Corrupt, Reader, put_varint_u64};

/// How a city's drivers and riders are counted (CONTRACT §3).
#[derive(Clone, Debug, PartialEq)]
pub struct CountingConfig {
    /// H3 resolution of the cells.
    pub resolution: Resolution,
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
    /// How long a request counts as demand, in milliseconds.
    pub window_ms: i64,
    /// How long a driver is in touch after a sighting, in milliseconds.
    pub driver_ttl_ms: i64,
    /// How long a driver counts as supply who logs off or falls silent, in milliseconds, if that is longer; 0 if
    /// drivers stop to count when they log off.
    pub absent_ms: i64,
    /// How far the watermark trails the greatest time, in milliseconds.
    pub lateness_ms: i64,
    /// At least one product. A request without a product is for the first.
    pub products: Vec<ProductId>,
    /// Most drivers, and most riders, of this city in the memory of one lane.
    pub max_entities: u32,
    /// The area in which drivers and riders count; `None` in a config that was read from a log, which holds the places
    /// that follow from the area, not the area.
    pub boundary: Option<Polygon>,
}

impl CountingConfig {
    /// The config that `policy` defines.
    #[must_use]
    pub fn of(policy: &Policy, max_entities: u32) -> Self {
        let Clock { tick_ms, window_ms, driver_ttl_ms, absent_ms, lateness_ms } = policy.clock;
        let resolution =
            Resolution::try_from(policy.resolution).expect("a policy's resolution is one of H3's");
        let products = policy.products.iter().map(|product| product.id.clone()).collect();
        let boundary = Some(policy.boundary.clone());
        Self {
            resolution,
            tick_ms,
            window_ms,
            driver_ttl_ms,
            absent_ms,
            lateness_ms,
            products,
            max_entities,
            boundary,
        }
    }

    /// Whether a log is replayed the same under both configs: they differ in the boundary at most.
    #[must_use]
    pub fn replays_like(&self, other: &Self) -> bool {
        Self { boundary: None, ..self.clone() } == Self { boundary: None, ..other.clone() }
    }

    /// Whether a place is outside the boundary, where it counts nowhere (CONTRACT §7).
    #[must_use]
    #[inline]
    pub fn is_outside(&self, place: Position) -> bool {
        self.boundary.as_ref().is_some_and(|boundary| !boundary.contains(place.lng, place.lat))
    }

    /// The part of the config from which the city's watermark follows.
    #[must_use]
    #[inline]
    pub fn watermark_config(&self) -> WatermarkConfig {
        WatermarkConfig { tick_ms: self.tick_ms, lateness_ms: self.lateness_ms }
    }

    /// The index of `product` in [`Self::products`].
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`] if the city does not have the product.
    pub fn product(&self, product: &[u8]) -> Result<usize, Refusal> {
        let index = self.products.iter().position(|known| known.as_str().as_bytes() == product);
        index.ok_or_else(|| Refusal::UnknownProduct { product: String::from_utf8_lossy(product).into() })
    }

    /// The products that an event names, one bit each as in [`Self::products`]: a policy has at most 64.
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`] with the first that the city does not have.
    pub fn products_of(&self, what: &What<'_>) -> Result<u64, Refusal> {
        match what {
            What::Driver { products: Some(list), .. } => {
                let mut set = 0;
                list.try_for_each(|product| self.product(&product).map(|index| set |= 1 << index))?;
                Ok(set)
            }
            What::Request { product: Some(product), .. } => self.product(product).map(|index| 1 << index),
            _ => Ok(0),
        }
    }

    /// Appends the config, without the boundary, to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_varint_u64(out, u64::from(u8::from(self.resolution)));
        for ms in [self.tick_ms, self.window_ms, self.driver_ttl_ms, self.absent_ms, self.lateness_ms] {
            put_varint_u64(out, ms.unsigned_abs());
        }
        put_varint_u64(out, u64::from(self.max_entities));
        write_products(out, &self.products);
    }

    /// Reads a config that [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if the input is anything else.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        // No policy allows a duration of more than a day.
        const DAY_MS: u64 = 86_400_000;
        let resolution = u8::try_from(input.varint_u64("a resolution")?).ok();
        let resolution = resolution.and_then(|level| Resolution::try_from(level).ok());
        let resolution = resolution.ok_or(input.invalid("a resolution"))?;
        let mut durations_ms = [0; 5];
        for duration_ms in &mut durations_ms {
            *duration_ms = input.varint_up_to(DAY_MS, "a duration")?.cast_signed();
        }
        let [tick_ms, window_ms, driver_ttl_ms, absent_ms, lateness_ms] = durations_ms;
        let max_entities = input.varint_u32("a limit of entities")?;
        let products = read_products(input)?;
        if tick_ms == 0 || products.is_empty() {
            return Err(input.invalid("a config without ticks or products"));
        }
        Ok(Self {
            resolution,
            tick_ms,
            window_ms,
            driver_ttl_ms,
            absent_ms,
            lateness_ms,
            products,
            max_entities,
            boundary: None,
        })
    }
}

#[cfg(test)]
mod tests;
