//! The health of the system: its components, what depends on what, and the verdicts on them (CONTRACT §6).
//!
//! A probe of a component is a [`look::Look`]. A [`verdict::Verdict`] follows from the looks so far, and a
//! [`report::Report`] is the verdicts on all components at one moment.

pub mod component;
pub mod look;
pub mod probe;
pub mod report;
pub mod verdict;
