//! Why an event is refused, and the code of each reason (CONTRACT §1).

use thiserror::Error;

use super::MAX_EVENT_BYTES;

/// Why an event is refused. If several variants apply, the first in this order is reported.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The line is longer than [`MAX_EVENT_BYTES`].
    #[error("the event is longer than {MAX_EVENT_BYTES} bytes")]
    TooLarge,
    /// The line is not a JSON object, or not UTF-8.
    #[error("invalid JSON object at byte {at}")]
    MalformedJson {
        /// Offset of the first invalid byte.
        at: usize,
    },
    /// A field that the event's type requires is absent.
    #[error("`{field}` is missing")]
    MissingField {
        /// The first such field.
        field: &'static str,
    },
    /// A field has the wrong type, range, charset or length.
    #[error("`{field}` is not {expected}")]
    BadField {
        /// The first such field.
        field: &'static str,
        /// A description of the values that are valid.
        expected: &'static str,
    },
    /// No policy defines the city.
    #[error("`city` {city} is not known")]
    UnknownCity {
        /// The city's id.
        city: Box<str>,
    },
    /// The city does not have the product.
    #[error("the city has no product {product:?}")]
    UnknownProduct {
        /// The product as written.
        product: Box<str>,
    },
    /// A live event's time is more than [`MAX_FUTURE_MS`](super::MAX_FUTURE_MS) ahead of the receiver's clock.
    #[error("`time` is {ahead_ms} ms ahead of now")]
    TooFarInFuture {
        /// How far ahead, in milliseconds.
        ahead_ms: i64,
    },
}

impl Refusal {
    /// The codes of CONTRACT §1, in their order.
    pub const CODES: [&'static str; 7] = [
        "too_large",
        "malformed_json",
        "missing_field",
        "bad_field",
        "unknown_city",
        "unknown_product",
        "too_far_in_future",
    ];

    /// The index of this refusal's code in [`Self::CODES`].
    #[must_use]
    pub fn index(&self) -> usize {
        match self {
            Self::TooLarge => 0,
            Self::MalformedJson { .. } => 1,
            Self::MissingField { .. } => 2,
            Self::BadField { .. } => 3,
            Self::UnknownCity { .. } => 4,
            Self::UnknownProduct { .. } => 5,
            Self::TooFarInFuture { .. } => 6,
        }
    }

    /// The code of CONTRACT §1.
    #[must_use]
    pub fn code(&self) -> &'static str {
        Self::CODES[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_code() {
        let refusals = [
            Refusal::TooLarge,
            Refusal::MalformedJson { at: 0 },
            Refusal::MissingField { field: "id" },
            Refusal::BadField { field: "id", expected: "x" },
            Refusal::UnknownCity { city: "a".into() },
            Refusal::UnknownProduct { product: "a".into() },
            Refusal::TooFarInFuture { ahead_ms: 1 },
        ];
        assert_eq!(refusals.each_ref().map(Refusal::code), Refusal::CODES);
    }
}
