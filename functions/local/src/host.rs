//! All functions in one process: a router instead of API Gateway, and an instance of the pipeline.

pub mod banner;
pub mod clock_report;
pub mod clock_timer;
pub mod console;
pub mod recovery;
pub mod router;
pub mod status_line;
pub mod threads;
