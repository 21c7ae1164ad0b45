//! The events that `equilibrium` feeds to itself or to a deployment: a simulated city, or a file.

pub mod driver;
pub mod line_reader;
pub mod rebased_file;
pub mod source;
