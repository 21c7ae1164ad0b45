//! Maps, prices, explanations, histories and the change stream.

use equilibrium_http::event_stream;
use serde_json::json;

use super::cities::{city, limit, next};
use crate::operation::{Operation, answer, header, json_answer, not_modified, path, query};
use crate::samples::sample;
use crate::schema::{boolean, pattern, reference};

pub(super) fn operations() -> Vec<Operation> {
    vec![surge_map(), price(), explanation(), history(), stream()]
}

fn surge_map() -> Operation {
    let cell = json!({"city": "$response.body#/city", "cell": "$response.body#/cells/0/cell"});
    Operation {
        route: ("GET", "/v1/cities/{city}/surge"),
        id: "getSurgeMap",
        tag: "Prices",
        summary: "Read a surge map",
        description: "The cells of a city that have demand, supply or surge, as JSON or as GeoJSON. Without `product`, those of \
            every product. The entity tag changes with everything but the age.",
        parameters: vec![
            city(),
            query("product", "The product. Absent: all.", reference("ProductId")),
            header("If-None-Match", "The entity tag of a map that the client has."),
        ],
        body: None,
        answers: vec![
            json_answer(200, "The map.", "SurgeMap")
                .content("application/geo+json", reference("SurgeMapGeoJson"))
                .header("ETag")
                .header("Vary")
                .link("explanation", "explainPrice", cell.clone())
                .link("history", "getHistory", cell),
            not_modified(),
        ],
        codes: &["unknown_city", "unknown_product", "response_too_large"],
        samples: &[sample!("get-map"), sample!("get-map-if-none-match"), sample!("get-map-geojson")],
    }
}

fn price() -> Operation {
    Operation {
        route: ("GET", "/v1/price"),
        id: "getPrice",
        tag: "Prices",
        summary: "Read the price of a place",
        description: "The multiplier of a ride from a place, of the first city by id whose boundary contains it.",
        parameters: vec![
            query("lat", "Latitude of the pickup, in degrees of WGS 84.", reference("Latitude")).required(),
            query("lng", "Longitude of the pickup, in degrees of WGS 84.", reference("Longitude")).required(),
            query("product", "The product. Absent: the city's first.", reference("ProductId")),
            query("city", "The city. Absent: the first by id around the place.", reference("CityId")),
        ],
        body: None,
        answers: vec![json_answer(200, "The price.", "Price").link(
            "explanation",
            "explainPrice",
            json!({
                "city": "$response.body#/city", "cell": "$response.body#/cell", "product": "$response.body#/product",
            }),
        )],
        codes: &[
            "malformed_parameter",
            "outside_service_area",
            "unknown_city",
            "missing_parameter",
            "out_of_range",
            "unknown_product",
            ],
        samples: &[sample!("get-price")],
    }
}

fn time(description: &str) -> serde_json::Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn explanation() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/surge/{cell}/explain"),
        id: "explainPrice",
        tag: "Prices",
        summary: "Explain the multiplier of a cell",
        description: "Every number that the multiplier of a cell was computed from, now or at a time of the last 24 hours.",
        parameters: vec![
            city(),
            path("cell", "A cell of the city's resolution.", reference("Cell")),
            query("product", "The product. Absent: the city's first.", reference("ProductId")),
            query("at", "The newest tick up to this time. Absent: now.", time("RFC 3339.")),
        ],
        body: None,
        answers: vec![json_answer(200, "The explanation.", "Explanation")],
        codes: &[
            "malformed_parameter",
            "unknown_city",
            "not_retained",
            "outside_service_area",
            "invalid_cell",
            "unknown_product",
        ],
        samples: &[sample!("get-explanation")],
    }
}

fn history() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/history"),
        id: "getHistory",
        tag: "Prices",
        summary: "Read how multipliers changed",
        description: "A row for each change of a reported multiplier in `from` ≤ at < `to`, kept for 90 days; or for each tick, \
            kept for 24 hours. A page may have fewer rows than `limit`, or none, and still a `next`.",
        parameters: vec![
            city(),
            query("cell", "The cell. Absent: all.", reference("Cell")),
            query("product", "The product. Absent: all.", reference("ProductId")),
            query("from", "The first time. Absent: 24 hours before `to`.", time("RFC 3339.")),
            query("to", "The time after the last. Absent: now.", time("RFC 3339.")),
            query("ticks", "Whether every tick has a row.", boolean("")).with("default", false.into()),
            limit(1_000, 1_000),
            next(),
        ],
        body: None,
        answers: vec![json_answer(200, "A page of rows.", "HistoryPage").link(
            "nextPage",
            "getHistory",
            json!({"city": "$request.path.city", "next": "$response.body#/next"}),
        )],
        codes: &["malformed_parameter", "unknown_city", "invalid_cell", "out_of_range", "unknown_product"],
        samples: &[sample!("get-history")],
    }
}

fn stream() -> Operation {
    Operation {
        route: ("GET", "/v1/stream"),
        id: "followChanges",
        tag: "Prices",
        summary: "Follow changes",
        description: "Server-sent events without an end: `surge_changed` for each tick and change of bounds (data: `SurgeChanged`), \
            `mode_changed` (`ModeChanged`), `feed_changed` (`FeedChanged`), `pulse` each second (`Pulse`), and `reload` (`Reload`) for a \
            client that missed more than the last 5 minutes. `equilibrium serve` alone answers it; a deployment does not.",
        parameters: vec![
            query("city", "The city. Absent: all.", reference("CityId")),
            query("product", "The product. Absent: all.", reference("ProductId")),
            query(
                "cells",
                "At most 343 cells, separated by commas. Absent: all.",
                pattern("^8[0-9a-f]{14}(,8[0-9a-f]{14}){0,342}$", ""),
            ),
            header("Last-Event-ID", "The id of the last event that the client has: it gets what followed."),
        ],
        body: None,
        answers: vec![
            answer(200, "The events.").content(event_stream::MEDIA_TYPE, json!({"type": "string"})),
        ],
        codes: &["unknown_city", "invalid_cell", "out_of_range", "unknown_product"],
        samples: &[],
    }
}
