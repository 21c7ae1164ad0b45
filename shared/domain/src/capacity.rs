//! Capacity: which figures grow beyond their thresholds at a multiple of today's load, and what that costs (CONTRACT §12).
//!
//! A [`Document`] holds figures with the law by which each grows. [`projection`] projects them and names the bottlenecks.
//! [`system`] computes this system's own figures from its load and settings, [`cost`] their price, [`scaling_law`] how
//! throughput follows from parallel resources, and [`queueing`] how waiting follows from utilisation.

pub mod cost;
pub mod decimal;
pub mod growth;
pub mod projection;
pub mod queueing;
mod read;
pub mod scaling_law;
pub mod system;

use serde::Serialize;

use self::decimal::Decimal;
use self::growth::{Law, Scale};
use self::scaling_law::ScalingPoint;

/// Figures of a system at today's load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The parts of the system; no two have one name.
    pub components: Vec<Component>,
}

/// A part of a system.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What it is: `database`, `stream`.
    pub kind: String,
    /// Its figures; no two have one name.
    pub metrics: Vec<Metric>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// The figure today.
    pub value: Decimal,
    /// The greatest figure at which the component works as it should; not 0.
    pub threshold: Decimal,
    /// How the figure grows with the load.
    pub law: Law,
    /// Factors at single scales, where they are not those of the law.
    pub factor_at: Vec<(Scale, Decimal)>,
    /// Where the figure is from.
    pub basis: Basis,
    /// What happens beyond the threshold.
    pub impact: Option<String>,
    /// What can be done.
    pub remedies: Vec<String>,
    /// Throughputs by the size of the component, from which its scaling law is fitted; none, or at least four.
    pub points: Vec<ScalingPoint>,
}

/// Where a figure is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The running system, or a benchmark of it.
    Measured,
    /// An estimate.
    Assumed,
}

#[cfg(test)]
mod tests;
