//! Admission: which requests are answered, the same for every function and host (CONTRACT §5).
//!
//! A request is admitted by its path's row of the route table: the client's token has the scope of the row, and the client has
//! not used up the rate of the row's calls. What a function learns of the client is [`Caller`].

mod caller;
mod gateway;
mod problems;

use std::sync::Arc;

use equilibrium_app::access::client::Client;
use equilibrium_app::access::ports::KeySetSource;
use equilibrium_app::access::token::Expected;
use equilibrium_app::access::verifier::Verifier;
use equilibrium_app::rate_limit::limiter::RateLimiter;
use equilibrium_app::rate_limit::ports::{RateKey, RateStore};
use equilibrium_app::rate_limit::settings::RateSettings;
use equilibrium_app::timer::Timer;
use equilibrium_http::routes::{Route, find_served};
use equilibrium_http::{Problem, Request};

pub use crate::caller::Caller;
pub use crate::gateway::handle;

/// Decides which requests are answered.
pub trait Admit: Send + Sync {
    /// The caller of a request that comes from `address` at `now_ms`, in milliseconds since the epoch, if it is admitted.
    /// This counts against the caller's rate.
    ///
    /// # Errors
    /// 401 `unauthenticated`, 403 `missing_scope`, 429 `rate_limited`, 503 `unavailable`; 404 `not_found` for a path that is none,
    /// and those of [`Request::require_bounds`].
    fn admit(
        &self,
        request: &Request<'_>,
        address: &str,
        now_ms: i64,
    ) -> impl Future<Output = Result<Caller, Problem>> + Send;
}

/// Admits every request, of callers without names.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl Admit for Open {
    async fn admit(&self, request: &Request<'_>, _: &str, _: i64) -> Result<Caller, Problem> {
        request.require_bounds()?;
        Ok(Caller::ANONYMOUS)
    }
}

/// Admits by tokens, by rates, or by both.
#[derive(Debug)]
pub struct Admission<K, S, T> {
    verifier: Option<Verifier<K>>,
    rates: Option<(RateSettings, RateLimiter<S, T>)>,
}

impl<K: KeySetSource, S: RateStore, T: Timer> Admission<K, S, T> {
    /// Admission by tokens that are as expected, with the keys of a source, unless there is none; and by rates, of which a
    /// store shows what other instances have admitted, unless there are none.
    pub fn new(tokens: Option<(Expected, K)>, rates: Option<RateSettings>, (store, timer): (S, T)) -> Self {
        Self {
            verifier: tokens.map(|(expected, source)| Verifier::new(expected, source)),
            rates: rates.map(|rates| (rates, RateLimiter::new(store, timer))),
        }
    }

    /// Reads the keys again if they were read long ago; for the start, and for the time after a response is sent.
    pub async fn refresh(&self, now_ms: i64) {
        if let Some(verifier) = &self.verifier {
            verifier.refresh(now_ms).await;
        }
    }

    /// The caller of a request at `now_ms`, if its token has the scope of the path. This counts nothing.
    ///
    /// # Errors
    /// As [`Admit::admit`], but 429.
    pub async fn authenticate(&self, request: &Request<'_>, now_ms: i64) -> Result<Caller, Problem> {
        self.authenticate_for(request, find_served(request.path), now_ms).await
    }

    /// Without a route, the path has no resource and needs no token: the function answers 404. On a route that is open, a
    /// token is not needed, and one that is given is valid.
    async fn authenticate_for(
        &self,
        request: &Request<'_>,
        route: Option<&Route>,
        now_ms: i64,
    ) -> Result<Caller, Problem> {
        let (Some(verifier), Some(route)) = (&self.verifier, route) else { return Ok(Caller::ANONYMOUS) };
        let token = bearer(request)?;
        let client = match token {
            Some(token) => Some(verifier.verify(token, now_ms).await.map_err(problems::not_verified)?),
            None => None,
        };
        let Some(scope) = route.scope else { return Ok(Caller::of(client)) };
        let client: Arc<Client> = client.ok_or_else(problems::no_token)?;
        if !client.has(scope.name()) {
            return Err(problems::missing_scope(scope));
        }
        Ok(Caller::of(Some(client)))
    }

    async fn limit(
        &self,
        route: Option<&Route>,
        caller: &Caller,
        (address, now_ms): (&str, i64),
    ) -> Result<(), Problem> {
        let (Some((rates, limiter)), Some(route)) = (&self.rates, route) else { return Ok(()) };
        let class = route.rate.name();
        let Some(rate) = rates.rate(class, caller.subject()) else { return Ok(()) };
        let key = match caller.subject() {
            Some(subject) => RateKey::new(class, &format!("subject {subject}")),
            None => RateKey::new(class, &format!("address {}", network(address))),
        };
        let admitted = limiter.admit(key, rate, now_ms.saturating_mul(1_000)).await;
        admitted.map_err(|wait| problems::rate_limited(route.rate, wait))
    }
}

impl<K: KeySetSource, S: RateStore, T: Timer> Admit for Admission<K, S, T> {
    async fn admit(&self, request: &Request<'_>, address: &str, now_ms: i64) -> Result<Caller, Problem> {
        request.require_bounds()?;
        // Functions read a path without its slash as one with it; the route table does not.
        if !request.path.starts_with('/') {
            return Err(Problem::not_found());
        }
        let route = find_served(request.path);
        let caller = self.authenticate_for(request, route, now_ms).await?;
        self.limit(route, &caller, (address, now_ms)).await?;
        Ok(caller)
    }
}

/// The bearer token of a request; the name of the scheme is in any case (RFC 9110 §11.1).
fn bearer<'a>(request: &Request<'a>) -> Result<Option<&'a str>, Problem> {
    let Some(value) = request.header("authorization") else { return Ok(None) };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(token.trim_matches(' ')));
    }
    Err(problems::no_token())
}

/// The part of an address that a client has for itself: all of IPv4, and of IPv6 the network of 64 bits (RFC 6177).
fn network(address: &str) -> String {
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(address) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
        Ok(address) => address.to_ipv4_mapped().map_or_else(String::new, |address| address.to_string()),
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests;
