//! All functions in one process: a router instead of API Gateway, and the pipeline of `count` and
//! `surge`.

pub mod banner;
pub mod clock_report;
pub mod console;
mod functions;
pub mod health;
pub mod pipeline;
pub mod pipeline_thread;
pub mod router;
pub mod status_line;
