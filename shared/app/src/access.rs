//! Access: which client a request comes from, and what it may do, by its bearer token (RFC 6750, RFC 7519; CONTRACT §5).

pub mod client;
pub mod issuer;
pub mod key_ring;
pub mod key_set;
pub mod ports;
pub mod settings;
pub mod token;
pub mod verifier;
