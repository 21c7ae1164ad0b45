//! The pipeline of one process: instances of `count` and `surge` over its logs, and what recovers them.

pub mod instances;
mod levers;
pub mod pipeline;
pub mod recovery;
