//! The error of a store or stream that cannot be reached.

use thiserror::Error;

/// A store or stream did not do what was asked, or it is unknown whether it did. The caller can only try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store or stream is unavailable")]
pub struct Unavailable;
