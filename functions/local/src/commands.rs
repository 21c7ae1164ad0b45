//! One file per command of `equilibrium` (CONTRACT §4).

pub mod city;
#[cfg(feature = "aws")]
pub mod feed;
#[cfg(feature = "aws")]
pub mod policies;
pub mod replay;
#[cfg(feature = "aws")]
pub mod run_event_sources;
pub mod serve;
