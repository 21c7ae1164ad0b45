//! The route table: which function answers a path, and the scope that it needs. It equals `routes` and `defaultFunction` of
//! `infra/deployment.json`, from which the stack takes it.

use crate::request::decode_segment;

/// A function that answers HTTP requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Takes market events.
    Ingest,
    /// Answers cities, prices and maps.
    Price,
    /// Reads and changes policies.
    Policy,
    /// Issues and confirms quotes.
    Quote,
    /// Starts recoveries, and lists them.
    Recover,
}

impl Function {
    /// Its name in `infra/deployment.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Price => "price",
            Self::Policy => "policy",
            Self::Quote => "quote",
            Self::Recover => "recover",
        }
    }
}

/// What a client may do (CONTRACT §5): a value of the `scope` of its token (RFC 6749 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Sends market events.
    EventsWrite,
    /// Reads cities, prices, maps and their past.
    PricesRead,
    /// Has quotes issued, reads and confirms them.
    QuotesWrite,
    /// Its quotes may be of distances that this system would not expect. No route needs it.
    QuotesTrusted,
    /// Reads and changes policies.
    PolicyWrite,
    /// Operates the deployment: overrides, recoveries.
    OpsWrite,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [
        Self::EventsWrite,
        Self::PricesRead,
        Self::QuotesWrite,
        Self::QuotesTrusted,
        Self::PolicyWrite,
        Self::OpsWrite,
    ];

    /// Its name in tokens and in `infra/deployment.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::PricesRead => "prices:read",
            Self::QuotesWrite => "quotes:write",
            Self::QuotesTrusted => "quotes:trusted",
            Self::PolicyWrite => "policy:write",
            Self::OpsWrite => "ops:write",
        }
    }
}

/// Calls that are counted together against the rate of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateClass {
    /// Quotes that are issued.
    Quotes,
    /// Answers that take long: maps, the past, policies.
    Maps,
    /// Answers that take a moment.
    Prices,
    /// Calls that bring market events, however many events each brings.
    Events,
}

impl RateClass {
    /// Its name in the settings of rates.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quotes => "quotes",
            Self::Maps => "maps",
            Self::Prices => "prices",
            Self::Events => "events",
        }
    }
}

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method; `GET` includes `HEAD`.
    pub method: &'static str,
    /// The path, with parameters in braces: `/v1/cities/{city}`.
    pub path: &'static str,
    /// The function that answers every method of the path: refusals of other methods are its own.
    pub function: Function,
    /// The scope that a client needs; `None` for a route that is open to every client. A path has one scope, as it has one
    /// function.
    pub scope: Option<Scope>,
    /// What its calls are counted as, the same for every method of the path.
    pub rate: RateClass,
}

const EVENTS: Option<Scope> = Some(Scope::EventsWrite);
const PRICES: Option<Scope> = Some(Scope::PricesRead);
const QUOTES: Option<Scope> = Some(Scope::QuotesWrite);
const POLICY: Option<Scope> = Some(Scope::PolicyWrite);
const OPS: Option<Scope> = Some(Scope::OpsWrite);
const OPEN: Option<Scope> = None;

const fn route(
    method: &'static str,
    path: &'static str,
    function: Function,
    scope: Option<Scope>,
    rate: RateClass,
) -> Route {
    Route { method, path, function, scope, rate }
}

/// Every operation of the API.
pub const ROUTES: [Route; 23] = [
    route("POST", "/v1/events", Function::Ingest, EVENTS, RateClass::Events),
    route("GET", "/v1/cities", Function::Price, PRICES, RateClass::Prices),
    route("GET", "/v1/cities/{city}", Function::Price, PRICES, RateClass::Prices),
    route("GET", "/v1/cities/{city}/surge", Function::Price, PRICES, RateClass::Maps),
    route("GET", "/v1/cities/{city}/surge/{cell}/explain", Function::Price, PRICES, RateClass::Maps),
    route("GET", "/v1/cities/{city}/history", Function::Price, PRICES, RateClass::Maps),
    route("GET", "/v1/price", Function::Price, PRICES, RateClass::Prices),
    route("GET", "/v1/cities/{city}/policy", Function::Policy, POLICY, RateClass::Maps),
    route("PUT", "/v1/cities/{city}/policy", Function::Policy, POLICY, RateClass::Maps),
    route("GET", "/v1/cities/{city}/policy/versions", Function::Policy, POLICY, RateClass::Maps),
    route("GET", "/v1/cities/{city}/policy/versions/{version}", Function::Policy, POLICY, RateClass::Maps),
    route("POST", "/v1/cities/{city}/overrides", Function::Policy, OPS, RateClass::Prices),
    route("GET", "/v1/cities/{city}/overrides", Function::Policy, OPS, RateClass::Prices),
    route("GET", "/v1/cities/{city}/overrides/{id}", Function::Policy, OPS, RateClass::Prices),
    route("DELETE", "/v1/cities/{city}/overrides/{id}", Function::Policy, OPS, RateClass::Prices),
    route("POST", "/v1/quotes", Function::Quote, QUOTES, RateClass::Quotes),
    route("GET", "/v1/quotes/{id}", Function::Quote, QUOTES, RateClass::Prices),
    route("POST", "/v1/quotes/{id}/confirm", Function::Quote, QUOTES, RateClass::Prices),
    route("POST", "/v1/recoveries", Function::Recover, OPS, RateClass::Prices),
    route("GET", "/v1/recoveries", Function::Recover, OPS, RateClass::Prices),
    route("GET", "/v1/recoveries/{id}", Function::Recover, OPS, RateClass::Prices),
    route("GET", "/v1/openapi.json", Function::Policy, OPEN, RateClass::Prices),
    route("GET", "/v1/schemas/{name}", Function::Policy, OPEN, RateClass::Prices),
];

/// The path of the change stream, which no route of a deployment has: there it is a WebSocket API (CONTRACT §5).
pub const STREAM: Route = route("GET", "/v1/stream", Function::Price, PRICES, RateClass::Maps);

/// The function that answers every other path, with 404.
pub const DEFAULT_FUNCTION: Function = Function::Price;

/// The route of `path`, whose segments are compared decoded (RFC 3986 §6.2.2.2); `None` for every other path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| matches(route.path, path))
}

/// The function that answers `path`.
#[must_use]
pub fn function_at(path: &str) -> Function {
    find(path).map_or(DEFAULT_FUNCTION, |route| route.function)
}

/// The route of `path` as [`find`], the stream of changes among them.
#[must_use]
pub fn find_served(path: &str) -> Option<&'static Route> {
    find(path).or_else(|| Some(&STREAM).filter(|route| matches(route.path, path)))
}

/// Whether `path` has the form of `template`.
#[must_use]
pub fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let is_match = |expected: &str| {
        let segment = segments.next();
        segment.is_some_and(|segment| {
            expected.starts_with('{') || decode_segment(segment).is_some_and(|segment| segment == expected)
        })
    };
    template.split('/').all(is_match) && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_route_whose_template_it_matches() {
        for (path, template) in [
            ("/v1/events", Some("/v1/events")),
            ("/v1/cities", Some("/v1/cities")),
            ("/v1/cities/nyc", Some("/v1/cities/{city}")),
            ("/v1/cities/", Some("/v1/cities/{city}")),
            ("/v1/cities/%6eyc/surge", Some("/v1/cities/{city}/surge")),
            ("/v1/cities/nyc/policy", Some("/v1/cities/{city}/policy")),
            ("/v1/cities/nyc/policy/versions/3", Some("/v1/cities/{city}/policy/versions/{version}")),
            ("/v1/cities/nyc/policy/other", None),
            ("/v1/openapi.json", Some("/v1/openapi.json")),
            ("/v1/schemas/policy.json", Some("/v1/schemas/{name}")),
            ("/v1/%65vents", Some("/v1/events")),
            ("/%76%31/events", Some("/v1/events")),
            ("/v1/%63ities/%ff/surge", Some("/v1/cities/{city}/surge")),
            ("/v1%2Fevents", None),
            ("/v1/%45vents", None),
            ("/v1/%6", None),
            ("/v1/cities/nyc/surge/", None),
            ("/v1/cities/nyc/price", None),
            ("/v1/event", None),
            ("/v1/events/", None),
            ("v1/events", None),
            ("//v1/events", None),
            ("/V1/events", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(find(path).map(|route| route.path), template, "{path}");
        }
    }

    #[test]
    fn a_path_without_a_route_has_the_default_function() {
        assert_eq!(function_at("/v1/events"), Function::Ingest);
        assert_eq!(function_at("/v1/price"), Function::Price);
        assert_eq!(function_at("/v1/nothing"), DEFAULT_FUNCTION);
    }

    #[test]
    fn a_path_has_one_scope_one_function_and_one_class_of_calls() {
        for route in &ROUTES {
            let first = find(route.path).unwrap();
            assert_eq!((route.scope, route.function), (first.scope, first.function), "{}", route.path);
            assert_eq!(route.rate, first.rate, "{}", route.path);
        }
        for (path, scope) in [
            ("/v1/events", Some(Scope::EventsWrite)),
            ("/v1/%65vents", Some(Scope::EventsWrite)),
            ("/v1/price", Some(Scope::PricesRead)),
            ("/v1/stream", Some(Scope::PricesRead)),
            ("/v1/schemas/policy.json", None),
            ("/v1/nothing", None),
            ("/", None),
        ] {
            assert_eq!(find_served(path).and_then(|route| route.scope), scope, "{path}");
        }
    }

    #[test]
    fn scopes_have_names_of_their_own() {
        let names: std::collections::BTreeSet<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        assert_eq!(names.len(), Scope::ALL.len());
    }
}
