//! Ingestion: checks events, packs them by lane into records, broadcasts watermarks and puts the records into the log.

pub mod ingest_batch;
pub mod ingester;
pub mod ports;
pub mod record_packer;
pub mod time_rule;
