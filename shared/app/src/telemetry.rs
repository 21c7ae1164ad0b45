//! Metrics: their names, and the format in which CloudWatch takes them from a log.

pub mod emf;
pub mod metrics;
