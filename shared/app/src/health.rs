//! What is known of the services and dependencies.

pub mod cache_status;
