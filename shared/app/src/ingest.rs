//! Ingestion: checks events, packs them by lane into records, puts the records into the log and announces watermarks.

mod announcer;
pub mod ingest_batch;
pub mod ingester;
pub mod pace;
pub mod ports;
pub mod record_packer;
pub mod time_rule;
