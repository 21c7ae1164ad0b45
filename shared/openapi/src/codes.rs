//! The codes of problem documents: the status of each, and what it means (CONTRACT §5).

/// Where a problem comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A function, in every deployment.
    Function,
    /// The HTTP server of `equilibrium serve`. In a deployment, API Gateway answers in its place, in its own form.
    Server,
    /// A function's reading of API Gateway's payload, in a deployment only.
    Gateway,
}

/// A code that a problem document can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The status of its answers.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// When it is the answer.
    pub meaning: &'static str,
    /// What answers with it.
    pub origin: Origin,
}

const fn function(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { status, code, meaning, origin: Origin::Function }
}

const fn server(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { status, code, meaning, origin: Origin::Server }
}

const fn gateway(status: u16, code: &'static str, meaning: &'static str) -> Code {
    Code { status, code, meaning, origin: Origin::Gateway }
}

/// Every code, by status.
pub const CODES: [Code; 55] = [
    gateway(400, "malformed_base64", "API Gateway says that the body is Base64, and it is not"),
    function(400, "malformed_gzip", "the body is not a complete gzip stream"),
    function(
        400,
        "malformed_header",
        "`Idempotency-Key` is not 1 to 64 visible characters of ASCII, or not the name of a recovery",
    ),
    function(400, "malformed_json", "the body is not JSON in UTF-8"),
    function(400, "malformed_parameter", "a query parameter cannot be read"),
    function(400, "malformed_path", "the path is not percent-encoded UTF-8"),
    function(400, "malformed_query", "the query is not percent-encoded UTF-8"),
    function(400, "repeated_parameter", "a query parameter is given more than once"),
    function(400, "too_many_parameters", "the query has more than 50 parameters"),
    function(400, "unreadable", "the body is nested deeper than 100 arrays and objects"),
    server(400, "incomplete_body", "the body ended early, or its framing is not valid HTTP/1.1"),
    server(400, "malformed_request", "the head is not valid HTTP/1.1"),
    function(401, "unauthenticated", "the operation needs a token, and there is none that is valid"),
    function(403, "missing_scope", "the token does not have the scope of the operation"),
    function(404, "not_found", "no resource has this path"),
    function(404, "not_retained", "no tick of the last 24 hours had closed at this time"),
    function(404, "outside_service_area", "no city, or not this city, serves the place"),
    function(404, "unknown_city", "no policy defines the city"),
    function(404, "unknown_override", "the city has no such override, or it was kept for its 90 days"),
    function(404, "unknown_quote", "the quote is forged, truncated, or of another deployment"),
    function(404, "unknown_recovery", "there is no such recovery, or it was kept for its 90 days"),
    function(404, "unknown_version", "the policy has no such version, or it was kept for its 90 days"),
    function(405, "method_not_allowed", "the resource does not have this method; `Allow` lists those it has"),
    function(406, "not_acceptable", "`Accept` or `Accept-Encoding` excludes every form that there is"),
    gateway(
        406,
        "response_too_large",
        "the answer is larger than Lambda passes on; `Accept-Encoding: gzip` helps",
    ),
    server(408, "request_timeout", "the head or the body took too long to arrive"),
    function(409, "already_confirmed", "the quote was confirmed, and not under this `Idempotency-Key`"),
    function(
        409,
        "change_too_large",
        "a limit, a parameter of the curve or a fare changes by more than `max_change` allows without `confirm_large_change`",
    ),
    function(409, "recovery_running", "another recovery of the component has not ended: `id` is its name"),
    function(409, "too_many_overrides", "1 000 overrides of the city have not ended"),
    function(410, "expired", "the quote expired before it was confirmed"),
    function(
        412,
        "precondition_failed",
        "`If-Match` does not list the version in force, or `If-None-Match: *` finds a policy",
    ),
    function(413, "body_too_large", "the body is larger than 1 048 576 bytes, inflated"),
    function(414, "target_too_long", "the path is over 2 048 bytes, or the query over 10 240"),
    function(415, "unsupported_encoding", "the body has another coding than one gzip"),
    function(415, "unsupported_media_type", "the body has another media type than the operation takes"),
    server(417, "expectation_failed", "`Expect` is not `100-continue`"),
    server(421, "misdirected_request", "`Host` is neither a loopback address nor a name of one label"),
    function(422, "ack_required", "`ack_multiplier` is not the multiplier of a quote that requires it"),
    function(422, "implausible_distance", "`distance_m` is under 1 × or over 3 × the great circle"),
    function(422, "invalid_cell", "the cell is not one of H3, or not of the city's resolution"),
    function(422, "invalid_override", "fields of the override are wrong; `errors` has all"),
    function(422, "invalid_policy", "fields of the policy are wrong; `errors` has all"),
    function(422, "invalid_quote_request", "fields of the request are wrong; `errors` has all"),
    function(422, "invalid_recovery", "fields of the recovery are wrong; `errors` has all"),
    function(422, "missing_parameter", "a required query parameter is absent"),
    function(422, "no_fare", "the product has no fare at the pickup"),
    function(422, "out_of_range", "a query parameter is out of its range"),
    function(422, "too_far", "the dropoff is over 500 km away"),
    function(422, "unknown_product", "the city has no such product"),
    function(428, "precondition_required", "neither `If-Match` nor `If-None-Match: *` is given"),
    function(429, "rate_limited", "the client has called too often; repeat the request after `Retry-After`"),
    server(431, "headers_too_large", "the headers are longer, or more, than the server takes"),
    server(501, "unsupported_transfer_encoding", "the transfer coding is not `chunked`"),
    function(503, "unavailable", "a store or the log did not answer; repeat the request after `Retry-After`"),
];

/// The codes that every operation has, whatever its request.
pub(crate) const OF_EVERY_OPERATION: [&str; 12] = [
    "malformed_request",
    "not_acceptable",
    "request_timeout",
    "target_too_long",
    "expectation_failed",
    "misdirected_request",
    "headers_too_large",
    "rate_limited",
    "unsupported_transfer_encoding",
    "too_many_parameters",
    "unauthenticated",
    "unavailable",
];

/// The codes of an operation that needs a scope.
pub(crate) const OF_A_SCOPE: [&str; 1] = ["missing_scope"];

/// The codes of an operation with parameters in its path.
pub(crate) const OF_A_PATH: [&str; 1] = ["malformed_path"];

/// The codes of an operation with parameters in its query.
pub(crate) const OF_A_QUERY: [&str; 2] = ["malformed_query", "repeated_parameter"];

/// The codes of an operation with a body.
pub(crate) const OF_A_BODY: [&str; 8] = [
    "body_too_large",
    "incomplete_body",
    "malformed_base64",
    "malformed_gzip",
    "malformed_json",
    "unreadable",
    "unsupported_encoding",
    "unsupported_media_type",
];

/// The codes of answers that the document has once, for all operations: the only one of its status there.
pub(crate) const SHARED: [&str; 14] = [
    "unauthenticated",
    "missing_scope",
    "not_found",
    "method_not_allowed",
    "not_acceptable",
    "request_timeout",
    "body_too_large",
    "target_too_long",
    "expectation_failed",
    "misdirected_request",
    "rate_limited",
    "headers_too_large",
    "unsupported_transfer_encoding",
    "unavailable",
];

/// The codes of requests that no operation takes: of a path or method that the document does not have.
#[cfg(test)]
pub(crate) const OF_NO_OPERATION: [&str; 2] = ["not_found", "method_not_allowed"];
