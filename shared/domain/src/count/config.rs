//! What counting needs to know of a city's policy.

use h3o::Resolution;

use crate::event::{Refusal, What};
use crate::id::ProductId;
use crate::policy::{Clock, Policy};
use crate::wire::products::{read_products, write_products};
use crate::wire::{Corrupt, Reader, put_varint_u64};

/// The part of a policy that counting follows (CONTRACT §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountingConfig {
    /// Of the cells.
    pub resolution: Resolution,
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
    /// How long a request stays demand, in milliseconds.
    pub window_ms: i64,
    /// How long a driver stays supply without being seen again, in milliseconds.
    pub driver_ttl_ms: i64,
    /// How far the watermark is behind the greatest time, in milliseconds.
    pub lateness_ms: i64,
    /// At least one; the first is asked for where none is named.
    pub products: Vec<ProductId>,
    /// Drivers, and riders, of this city that one lane holds at most.
    pub max_entities: u32,
}

impl CountingConfig {
    /// What counting follows of `policy`.
    #[must_use]
    pub fn of(policy: &Policy, max_entities: u32) -> Self {
        let Clock { tick_ms, window_ms, driver_ttl_ms, lateness_ms } = policy.clock;
        let resolution =
            Resolution::try_from(policy.resolution).expect("a policy's resolution is one of H3's");
        let products = policy.products.iter().map(|product| product.id.clone()).collect();
        Self { resolution, tick_ms, window_ms, driver_ttl_ms, lateness_ms, products, max_entities }
    }

    /// The place of `product` among the city's products.
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`].
    pub fn product(&self, product: &[u8]) -> Result<usize, Refusal> {
        let at = self.products.iter().position(|known| known.as_str().as_bytes() == product);
        at.ok_or_else(|| Refusal::UnknownProduct { product: String::from_utf8_lossy(product).into() })
    }

    /// Checks that the city has every product that an event names.
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`], naming the first that it has not.
    pub fn check(&self, what: &What<'_>) -> Result<(), Refusal> {
        match what {
            What::Driver { products: Some(list), .. } => {
                let mut checked = Ok(());
                list.for_each(|product| {
                    if checked.is_ok() {
                        checked = self.product(&product).map(drop);
                    }
                });
                checked
            }
            What::Request { product: Some(product), .. } => self.product(product).map(drop),
            _ => Ok(()),
        }
    }

    /// Appends the rules to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_varint_u64(out, u64::from(u8::from(self.resolution)));
        for ms in [self.tick_ms, self.window_ms, self.driver_ttl_ms, self.lateness_ms] {
            put_varint_u64(out, ms.unsigned_abs());
        }
        put_varint_u64(out, u64::from(self.max_entities));
        write_products(out, &self.products);
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] where it did not.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        // No policy allows a span of more than a day.
        const DAY_MS: u64 = 86_400_000;
        let resolution = u8::try_from(input.varint_u64("a resolution")?).ok();
        let resolution = resolution.and_then(|level| Resolution::try_from(level).ok());
        let resolution = resolution.ok_or(input.invalid("a resolution"))?;
        let mut spans = [0; 4];
        for span in &mut spans {
            *span = input.varint_up_to(DAY_MS, "a span")?.cast_signed();
        }
        let [tick_ms, window_ms, driver_ttl_ms, lateness_ms] = spans;
        let max_entities = input.varint_u32("a bound on entities")?;
        let products = read_products(input)?;
        if tick_ms == 0 || products.is_empty() {
            return Err(input.invalid("rules without ticks or products"));
        }
        Ok(Self { resolution, tick_ms, window_ms, driver_ttl_ms, lateness_ms, products, max_entities })
    }
}

#[cfg(test)]
mod tests;
