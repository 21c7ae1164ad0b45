//! A quote that is issued, and whose confirmation under a wrong token is refused: nothing is confirmed.

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::probe::{PLACE, PRODUCT};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use super::{ProbeError, call, read, since};
use crate::health::ports::{Api, ApiRequest};
use crate::health::prober::{Found, Probe, Stopwatch};

const ISSUE: &str = "quote";
const CONFIRM: &str = "confirmation of a wrong token";

/// A probe of `POST /v1/quotes` and of the confirmation.
#[derive(Clone, Debug)]
pub struct QuoteProbe<A> {
    /// The functions.
    pub api: A,
    /// The time.
    pub stopwatch: Stopwatch,
}

#[derive(Debug, Deserialize)]
struct Issued {
    quote_id: String,
}

impl<A: Api> QuoteProbe<A> {
    /// How long the quote took, in milliseconds.
    async fn check(&self) -> Result<u64, ProbeError> {
        let place = json!({"lat": PLACE.lat, "lng": PLACE.lng});
        let body = json!({"pickup": place, "dropoff": place, "product": PRODUCT});
        let request =
            ApiRequest::post("quote", "/v1/quotes".to_owned(), "application/json", body.to_string());
        let began_ms = (self.stopwatch)();
        let answer = call(&self.api, (ISSUE, 201), request).await?;
        let took_ms = since((self.stopwatch)(), began_ms);
        let Issued { quote_id } = read(ISSUE, &answer)?;
        let wrong = altered(&quote_id).ok_or(ProbeError::Unreadable { target: ISSUE })?;
        let path = format!("/v1/quotes/{wrong}/confirm");
        call(&self.api, (CONFIRM, 404), ApiRequest::post("quote", path, "application/json", "{}".to_owned()))
            .await?;
        Ok(took_ms)
    }
}

impl<A: Api> Probe for QuoteProbe<A> {
    fn component(&self) -> Component {
        Component::Pricing
    }

    fn look(&self, _now_ms: i64) -> BoxFuture<'_, Found> {
        let found = |checked: Result<u64, ProbeError>| {
            checked.map_or_else(|error| Look::bad(&error.to_string()), Look::good).into()
        };
        self.check().map(found).boxed()
    }
}

/// The token with another character in the middle of its signature, which is its last part; `None` if it is not one.
fn altered(token: &str) -> Option<String> {
    let signature = token.rfind('.')? + 1;
    let at = signature + (token.len() - signature) / 2;
    let (head, tail) = token.split_at_checked(at)?;
    let mut rest = tail.chars();
    let other = if rest.next()? == 'A' { 'B' } else { 'A' };
    let is_safe =
        token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    is_safe.then(|| format!("{head}{other}{}", rest.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_token_differs_in_its_signature_alone() {
        assert_eq!(altered("a.b.cdef").as_deref(), Some("a.b.cdAf"));
        assert_eq!(altered("a.b.cdAf").as_deref(), Some("a.b.cdBf"));
        for garbage in ["", "abc", "a.b.", "a.b.ä", "a.b/../c"] {
            assert_eq!(altered(garbage), None, "{garbage}");
        }
    }
}
