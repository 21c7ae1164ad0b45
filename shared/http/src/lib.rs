//! HTTP as the functions use it: requests, responses, problems, negotiation, query parameters, page tokens and the
//! route table (CONTRACT §5).

pub mod gzip_members;
pub mod negotiation;
pub mod page_token;
pub mod parameters;
mod problem;
mod request;
mod response;
pub mod routes;

pub use self::negotiation::{accepts_gzip, etag_matches, negotiate};
pub use self::problem::Problem;
pub use self::request::{Header, Request, Segments};
pub use self::response::{Response, ResponseHeader};
