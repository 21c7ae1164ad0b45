//! Clients of one process: which requests it admits, and the tokens that it issues itself (CONTRACT §4 and §5).

mod arguments;
mod token;

use std::time::Duration;

use equilibrium_admission::{Admission, Admit, Caller};
use equilibrium_app::access::issuer::TokenIssuer;
use equilibrium_app::access::ports::ConfiguredKeySet;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::rate_limit::memory_rates::MemoryRates;
use equilibrium_app::rate_limit::settings::RateSettings;
use equilibrium_http::{Problem, Request, Response};
use tokio::time::Sleep;

pub use crate::arguments::{Access, AccessArguments, AccessError};
pub use crate::token::TokenCommand;

/// The address of every client: the process listens on the loopback address.
const LOOPBACK: &str = "127.0.0.1";

/// Admission to one process, which counts rates in its memory alone. Tokens and rates go by the system's clock: the process's own
/// may be faster.
#[derive(Debug)]
pub struct LocalAdmission(Admission<ConfiguredKeySet, Option<MemoryRates>, fn(Duration) -> Sleep>);

impl LocalAdmission {
    /// Admission by the tokens of an issuer, unless there is none, and by rates, unless there are none.
    #[must_use]
    pub fn new(issuer: Option<&TokenIssuer>, rates: Option<RateSettings>) -> Self {
        let tokens = issuer.map(|issuer| (TokenIssuer::expected(), ConfiguredKeySet(issuer.key_set())));
        Self(Admission::new(tokens, rates, (None, tokio::time::sleep)))
    }

    /// Admits a request, which counts against the rate of its client.
    ///
    /// # Errors
    /// As [`Admit::admit`].
    pub async fn admit(&self, request: &Request<'_>) -> Result<Caller, Problem> {
        self.0.admit(request, LOOPBACK, system_now_ms()).await
    }

    /// The caller of a request that was admitted.
    ///
    /// # Errors
    /// The answer to a request whose token has expired since.
    pub async fn caller(&self, request: &Request<'_>) -> Result<Caller, Response> {
        let caller = self.0.authenticate(request, system_now_ms()).await;
        caller.map_err(|problem| request.respond(Err(problem)))
    }
}
