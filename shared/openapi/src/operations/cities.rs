//! `GET /v1/cities` and `/v1/cities/{city}`.

use serde_json::json;

use crate::operation::{Operation, Parameter, json_answer, path, query};
use crate::samples::sample;
use crate::schema::{reference, within};

/// The city of a path.
pub(super) fn city() -> Parameter {
    path("city", "The city.", reference("CityId"))
}

/// How many items a page has.
pub(super) fn limit(default: u32, most: u32) -> Parameter {
    query("limit", "The most items of the page.", within(1, most.into(), "")).with("default", default.into())
}

/// Where a page begins.
pub(super) fn next() -> Parameter {
    query("next", "`next` of the page before.", reference("PageToken"))
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation {
            route: ("GET", "/v1/cities"),
            id: "listCities",
            tag: "Cities",
            summary: "List the cities",
            description: "The cities, ordered by id, with mode and age of their prices.",
            parameters: vec![limit(100, 1_000), next()],
            body: None,
            answers: vec![
                json_answer(200, "A page of cities.", "CityPage")
                    .link("nextPage", "listCities", json!({"next": "$response.body#/next"}))
                    .link("firstCity", "getCity", json!({"city": "$response.body#/cities/0/city"}))
                    .link("firstMap", "getSurgeMap", json!({"city": "$response.body#/cities/0/city"})),
            ],
            codes: &["malformed_parameter", "out_of_range"],
            samples: &[sample!("get-cities")],
        },
        Operation {
            route: ("GET", "/v1/cities/{city}"),
            id: "getCity",
            tag: "Cities",
            summary: "Read a city",
            description: "A city with its boundary, zones, curve and limits.",
            parameters: vec![city()],
            body: None,
            answers: vec![json_answer(200, "The city.", "City")],
            codes: &["unknown_city", "response_too_large"],
            samples: &[sample!("get-city")],
        },
    ]
}
