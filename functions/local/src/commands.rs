//! The commands of `equilibrium`, one file each (CONTRACT §4), and what they share.

pub mod city;
pub mod city_file;
#[cfg(feature = "aws")]
pub mod feed;
pub mod output_file;
#[cfg(feature = "aws")]
pub mod policies;
pub mod replay;
#[cfg(feature = "aws")]
pub mod run_event_sources;
pub mod serve;
mod stop_signals;
pub mod terminal;
