//! The payloads with which Lambda invokes a function and the responses it expects: one file per trigger, both
//! directions.

pub mod api_gateway;
pub mod kinesis;
pub mod schedule;
