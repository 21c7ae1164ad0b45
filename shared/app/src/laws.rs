//! Laws that bind multipliers (CONTRACT §9): where the figures of past days are kept that they refer to.

pub mod ports;
