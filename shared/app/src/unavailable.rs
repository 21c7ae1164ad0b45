//! The errors of stores and streams: one that cannot be reached, and a record that a stream never takes.

use thiserror::Error;

/// A store or stream did not do what was asked, or it is unknown whether it did. The caller can only try again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the store or stream is unavailable")]
pub struct Unavailable;

/// Why a stream did not take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The stream takes no record of this size, now or later. The caller counts it and goes on with the next one: waiting
    /// for it would stop everything behind it for ever.
    #[error("the record of {bytes} bytes is too large for the stream")]
    TooLarge {
        /// The size of the record, in bytes.
        bytes: usize,
    },
    /// The record may or may not have been sent.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl SendError {
    /// Counts a record that is too large in `too_large`; a stream that is unavailable stays an error.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn count_too_large(sent: Result<(), Self>, too_large: &mut u64) -> Result<(), Unavailable> {
        match sent {
            Ok(()) => Ok(()),
            Err(Self::TooLarge { .. }) => {
                *too_large += 1;
                Ok(())
            }
            Err(Self::Unavailable(unavailable)) => Err(unavailable),
        }
    }
}
