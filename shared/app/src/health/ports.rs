//! The store of verdicts, and what probes call.

use std::future::Future;

use equilibrium_domain::health::verdict::Verdict;
use thiserror::Error;

use crate::unavailable::Unavailable;

/// Why a verdict was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SaveError {
    /// Another run has saved one: its looks count.
    #[error("verdict conflict: another look was saved")]
    Conflict,
    /// It is unknown whether it was saved.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store of the newest verdict on each component.
pub trait VerdictStore: Send + Sync {
    /// The verdicts that were saved before the call, in any order. One that cannot be read is left out: the next look
    /// replaces it.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn verdicts(&self) -> impl Future<Output = Result<Vec<Verdict>, Unavailable>> + Send;

    /// Saves a verdict if the stored one was checked at `after`, or if there is none: of two runs at once, the looks of one
    /// count.
    ///
    /// # Errors
    /// [`SaveError`].
    fn save_verdict(
        &self,
        verdict: &Verdict,
        after: Option<i64>,
    ) -> impl Future<Output = Result<(), SaveError>> + Send;
}

/// A store that several tasks share.
impl<S: VerdictStore> VerdictStore for &S {
    async fn verdicts(&self) -> Result<Vec<Verdict>, Unavailable> {
        S::verdicts(self).await
    }

    async fn save_verdict(&self, verdict: &Verdict, after: Option<i64>) -> Result<(), SaveError> {
        S::save_verdict(self, verdict, after).await
    }
}

/// A dependency that a small request reaches, which changes nothing.
pub trait RoundTrip: Send + Sync {
    /// Sends the request and waits for the answer.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn round_trip(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// A dependency that a deployment may lack: nothing is missing then.
impl<R: RoundTrip> RoundTrip for Option<R> {
    async fn round_trip(&self) -> Result<(), Unavailable> {
        match self {
            Some(dependency) => dependency.round_trip().await,
            None => Ok(()),
        }
    }
}

/// A request of the API that a probe sends to a function, without API Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// The name of the function that the path belongs to.
    pub function: &'static str,
    /// The method.
    pub method: &'static str,
    /// The path, encoded.
    pub path: String,
    /// The query, encoded.
    pub query: String,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl ApiRequest {
    /// A `GET` request.
    #[must_use]
    pub fn get(function: &'static str, path: &str, query: String) -> Self {
        Self {
            function,
            method: "GET",
            path: path.to_owned(),
            query,
            content_type: "application/json",
            body: String::new(),
        }
    }

    /// A `POST` request.
    #[must_use]
    pub fn post(function: &'static str, path: String, content_type: &'static str, body: String) -> Self {
        Self { function, method: "POST", path, query: String::new(), content_type, body }
    }
}

/// The answer to an [`ApiRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The functions that answer the API.
pub trait Api: Send + Sync {
    /// Sends a request to the function that its path belongs to.
    ///
    /// # Errors
    /// [`Unavailable`] if the function did not answer.
    fn send(&self, request: ApiRequest) -> impl Future<Output = Result<ApiAnswer, Unavailable>> + Send;
}
