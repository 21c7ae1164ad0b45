//! Money and fares: amounts in the minor units of a currency, rides, and what they cost (CONTRACT §5, §8).

pub mod fare_lines;
pub mod money;
pub mod quote;
pub mod quote_request;
pub mod ride;
