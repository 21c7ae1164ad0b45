//! Telling subscribers what changed in the cities' maps: the log of the last minutes' changes, which they follow.

pub mod change;
pub mod change_log;
pub mod follow;
