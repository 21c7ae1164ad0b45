//! Every function in one process: the HTTP server, the router in place of API Gateway, and the pipeline of `count`
//! and `surge`.

pub mod banner;
pub mod http_server;
pub mod pipeline;
pub mod pipeline_thread;
pub mod router;
pub mod status_line;
