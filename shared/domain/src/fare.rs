//! Money: amounts in the minor units of a currency (CONTRACT §5).

pub mod money;
