//! The past of prices (CONTRACT §10): why a price was what it was, and how it changed.

pub mod bounds;
pub mod days;
pub mod explainer;
pub mod ports;
pub mod reader;
pub mod recorder;
