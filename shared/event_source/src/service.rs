//! Event source mappings as a service: a task per mapping, the control API, and functions as processes.

pub mod control_api;
mod http_server;
pub use crate::mapping_config;
pub mod mapping_task;
pub mod position_file;
pub mod runtime_api;
