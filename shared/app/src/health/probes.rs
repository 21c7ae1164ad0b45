//! The targets, by what must come of a request.
//!
//! A target may answer anything: garbage, slowly, or never. Each of these is a bad look with an error that names it.

pub mod cities;
pub mod pipeline;
pub mod places;
pub mod prices;
pub mod quotes;
pub mod round_trips;

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::health::ports::{Api, ApiAnswer, ApiRequest};
use crate::unavailable::Unavailable;

/// Why a look is bad.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// The target did not answer, or refused the connection.
    #[error("{target}: no answer")]
    Unavailable {
        /// The target.
        target: &'static str,
    },
    /// The target answered with another status than the one that is right.
    #[error("{target}: status {status} instead of {expected}")]
    Status {
        /// The target.
        target: &'static str,
        /// The status.
        status: u16,
        /// The right one.
        expected: u16,
    },
    /// The answer is not of the form that it must have.
    #[error("{target}: unreadable answer")]
    Unreadable {
        /// The target.
        target: &'static str,
    },
    /// The answer is of the right form and wrong.
    #[error("{target}: {fact}")]
    Wrong {
        /// The target.
        target: &'static str,
        /// What is wrong.
        fact: &'static str,
    },
}

impl ProbeError {
    fn unavailable(target: &'static str) -> impl Fn(Unavailable) -> Self {
        move |Unavailable| Self::Unavailable { target }
    }
}

/// Sends a request to `target`, which must answer with the status `expected`.
async fn call(
    api: &impl Api,
    (target, expected): (&'static str, u16),
    request: ApiRequest,
) -> Result<Vec<u8>, ProbeError> {
    let answer = api.send(request).await.map_err(ProbeError::unavailable(target))?;
    let ApiAnswer { status, body } = answer;
    if status == expected { Ok(body) } else { Err(ProbeError::Status { target, status, expected }) }
}

/// Reads the answer of `target`.
fn read<V: DeserializeOwned>(target: &'static str, body: &[u8]) -> Result<V, ProbeError> {
    serde_json::from_slice(body).map_err(|_| ProbeError::Unreadable { target })
}

/// The milliseconds since `began_ms`.
fn since(now_ms: i64, began_ms: i64) -> u64 {
    u64::try_from(now_ms - began_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests;
