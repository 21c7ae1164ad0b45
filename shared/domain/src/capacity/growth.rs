//! The laws by which figures grow with the load.

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::decimal::Decimal;

/// The greatest scale: a thousand times beyond the largest marketplace that there is.
pub const MAX_SCALE: u64 = 1_000_000;

/// A multiple of today's load, from 1 to [`MAX_SCALE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scale(Decimal);

/// A text that is not a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a number from 1 to {MAX_SCALE}")]
pub struct InvalidScale;

impl Scale {
    /// Today's load.
    pub const ONE: Self = Self(Decimal::ONE);
    /// Ten times today's load.
    pub const TEN: Self = Self(Decimal::TEN);

    /// Reads a scale: `10`, `2.5`.
    ///
    /// # Errors
    /// [`InvalidScale`].
    pub fn parse(text: &str) -> Result<Self, InvalidScale> {
        let number = Decimal::parse(text).ok_or(InvalidScale)?;
        let range = Decimal::ONE..=Decimal::whole(MAX_SCALE);
        range.contains(&number).then_some(Self(number)).ok_or(InvalidScale)
    }

    /// The multiple.
    #[must_use]
    pub fn factor(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_shortest())
    }
}

impl Serialize for Scale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// How a figure grows.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// It does not depend on the load.
    Constant,
    /// As the load.
    Linear,
    /// As a power of the load, with an exponent from 0 to 1: slower than the load.
    Power {
        /// The exponent.
        exponent: f64,
    },
    /// As the product of the load and another figure, which grows with the load, too.
    Product {
        /// The other figure: its name within the component, or `component/name`. Without one it grows as the load.
        with: Option<String>,
    },
}

impl Law {
    /// Its name (CONTRACT §12).
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Power { .. } => "power",
            Self::Product { .. } => "product",
        }
    }

    /// The factor at a scale, where `factor_of` gives the factor of another figure.
    pub(super) fn factor(&self, scale: Scale, factor_of: impl FnOnce(&str) -> Decimal) -> Decimal {
        let load = scale.factor();
        match self {
            Self::Constant => Decimal::ONE,
            Self::Linear => load,
            Self::Power { exponent } => {
                // The exponent is at most 1, so the result is a number.
                Decimal::of_float(libm::pow(load.to_float(), *exponent)).unwrap_or(load)
            }
            Self::Product { with: None } => load.times(load),
            Self::Product { with: Some(other) } => load.times(factor_of(other)),
        }
    }
}
