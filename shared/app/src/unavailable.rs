//! The error of a store or stream that cannot be reached.

use thiserror::Error;

/// A store or stream did not do what was asked, or nobody can say whether it did: asking again later is
/// all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store cannot be reached or did not answer")]
pub struct Unavailable;
