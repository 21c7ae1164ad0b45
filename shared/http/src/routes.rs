//! The route table: which function answers a path. It equals `routes` and `defaultFunction` of
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
}

/// Every operation of the API.
pub const ROUTES: [Route; 20] = [
    Route { method: "POST", path: "/v1/events", function: Function::Ingest },
    Route { method: "GET", path: "/v1/cities", function: Function::Price },
    Route { method: "GET", path: "/v1/cities/{city}", function: Function::Price },
    Route { method: "GET", path: "/v1/cities/{city}/surge", function: Function::Price },
    Route { method: "GET", path: "/v1/cities/{city}/surge/{cell}/explain", function: Function::Price },
    Route { method: "GET", path: "/v1/cities/{city}/history", function: Function::Price },
    Route { method: "GET", path: "/v1/price", function: Function::Price },
    Route { method: "GET", path: "/v1/cities/{city}/policy", function: Function::Policy },
    Route { method: "PUT", path: "/v1/cities/{city}/policy", function: Function::Policy },
    Route { method: "GET", path: "/v1/cities/{city}/policy/versions", function: Function::Policy },
    Route { method: "GET", path: "/v1/cities/{city}/policy/versions/{version}", function: Function::Policy },
    Route { method: "POST", path: "/v1/cities/{city}/overrides", function: Function::Policy },
    Route { method: "GET", path: "/v1/cities/{city}/overrides", function: Function::Policy },
    Route { method: "GET", path: "/v1/cities/{city}/overrides/{id}", function: Function::Policy },
    Route { method: "DELETE", path: "/v1/cities/{city}/overrides/{id}", function: Function::Policy },
    Route { method: "POST", path: "/v1/quotes", function: Function::Quote },
    Route { method: "GET", path: "/v1/quotes/{id}", function: Function::Quote },
    Route { method: "POST", path: "/v1/quotes/{id}/confirm", function: Function::Quote },
    Route { method: "GET", path: "/v1/openapi.json", function: Function::Policy },
    Route { method: "GET", path: "/v1/schemas/{name}", function: Function::Policy },
];

/// Method and path of the change stream, which the local host alone answers: it has no end, and API Gateway passes on whole
/// answers.
pub const STREAM: (&str, &str) = ("GET", "/v1/stream");

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
}
