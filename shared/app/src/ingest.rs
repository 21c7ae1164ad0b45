//! Ingestion: events are checked, packed by lane and put into the log, with the cities' watermarks.

pub mod ingester;
pub mod ports;
