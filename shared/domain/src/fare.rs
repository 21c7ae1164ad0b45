//! Money and fares: amounts in the minor units of a currency (CONTRACT §5, §8).

pub mod money;
