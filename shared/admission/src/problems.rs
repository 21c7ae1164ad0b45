//! The answers to requests that are not admitted (RFC 6750 §3, RFC 6585 §4).

use equilibrium_app::access::verifier::VerifyError;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::rate::Wait;
use equilibrium_http::Problem;
use equilibrium_http::routes::{RateClass, Scope};

/// 401: the request has no bearer token.
pub fn no_token() -> Problem {
    let detail = "the request needs a bearer token in its authorization header";
    Problem::new(401, "unauthenticated", detail).with("www-authenticate", "Bearer")
}

/// 401 where the token is not valid, 503 where that is not known.
pub fn not_verified(error: VerifyError) -> Problem {
    match error {
        VerifyError::Token(error) => {
            let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{error}\"");
            Problem::new(401, "unauthenticated", error.to_string()).with("www-authenticate", challenge)
        }
        VerifyError::Unavailable(Unavailable) => {
            Problem::new(503, "unavailable", "the keys of the issuer of tokens cannot be read")
                .with("retry-after", "5")
        }
    }
}

/// 403: the token has not the scope that the path needs.
pub fn missing_scope(scope: Scope) -> Problem {
    let scope = scope.name();
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    let detail = format!("the token lacks the scope {scope}");
    Problem::new(403, "missing_scope", detail).with("www-authenticate", challenge)
}

/// 429: the client has used up its rate.
pub fn rate_limited(class: RateClass, wait: Wait) -> Problem {
    let detail = format!("the client has used up its rate of {}; see the retry-after header", class.name());
    Problem::new(429, "rate_limited", detail).with("retry-after", wait.seconds().to_string())
}
