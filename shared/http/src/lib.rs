//! HTTP as the functions use it: requests, responses, problems, negotiation, query parameters, page tokens and the
//! route table (CONTRACT §5).

pub mod body;
mod content;
pub mod event_stream;
pub mod gzip_members;
pub mod negotiation;
pub mod page_token;
pub mod parameters;
mod problem;
mod request;
mod response;
pub mod routes;

pub use self::content::{Content, SharedEnd};
pub use self::negotiation::{Codings, etag_is_listed, etag_matches, excludes, negotiate};
pub use self::problem::{FieldError, Problem, reason_phrase};
pub use self::request::{Header, Request, Segments};
pub use self::response::{Response, ResponseHeader};
