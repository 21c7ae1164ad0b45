//! Laws that bind multipliers (CONTRACT §9): the figures of past days that they refer to.

pub mod days;
pub mod past;
pub mod ports;
