//! `/v1/quotes`.

use serde_json::{Value, json};

use crate::operation::{Body, Operation, Parameter, header, json_answer, path};
use crate::samples::sample;
use crate::schema::reference;

pub(super) fn operations() -> Vec<Operation> {
    vec![issue(), read(), confirm()]
}

fn id() -> Parameter {
    path("id", "`quote_id` of the quote.", reference("QuoteId"))
}

fn quote_of_the_answer() -> Value {
    json!({"id": "$response.body#/quote_id"})
}

fn issue() -> Operation {
    Operation {
        route: ("POST", "/v1/quotes"),
        id: "issueQuote",
        tag: "Quotes",
        summary: "Issue a quote",
        description: "The fare of a ride, which holds until `expires_at`. Nothing is stored: `quote_id` holds the quote.",
        parameters: Vec::new(),
        body: Some(Body {
            description: "The ride, as JSON.",
            is_required: true,
            content: vec![("application/json", reference("QuoteRequest"))],
        }),
        answers: vec![
            json_answer(201, "The quote.", "Quote")
                .header("Location")
                .link("quote", "getQuote", quote_of_the_answer())
                .link("confirmation", "confirmQuote", quote_of_the_answer()),
        ],
        codes: &[
            "outside_service_area",
            "implausible_distance",
            "invalid_quote_request",
            "no_fare",
            "too_far",
            "unknown_product",
        ],
        samples: &[sample!("post-quote")],
    }
}

fn read() -> Operation {
    Operation {
        route: ("GET", "/v1/quotes/{id}"),
        id: "getQuote",
        tag: "Quotes",
        summary: "Read a quote",
        description: "A quote, with its status now.",
        parameters: vec![id()],
        body: None,
        answers: vec![json_answer(200, "The quote.", "Quote")],
        codes: &["unknown_quote"],
        samples: &[],
    }
}

fn confirm() -> Operation {
    Operation {
        route: ("POST", "/v1/quotes/{id}/confirm"),
        id: "confirmQuote",
        tag: "Quotes",
        summary: "Confirm a quote",
        description: "Confirms a quote, once. A repeat with the `Idempotency-Key` that confirmed it has the same answer. After 503 \
            it is unknown whether the quote was confirmed; the request is repeated with the same key.",
        parameters: vec![
            id(),
            header("Idempotency-Key", "Makes the request repeatable: 1 to 64 visible characters of ASCII.")
                .with("minLength", 1.into())
                .with("maxLength", 64.into())
                .with("pattern", "^[!-~]([ -~]*[!-~])?$".into()),
        ],
        body: Some(Body {
            description: "What the client acknowledges. Absent: nothing.",
            is_required: false,
            content: vec![("application/json", reference("Acknowledgement"))],
        }),
        answers: vec![json_answer(200, "The quote, which is confirmed.", "Quote").link(
            "quote",
            "getQuote",
            quote_of_the_answer(),
        )],
        codes: &[
            "malformed_header",
            "unknown_quote",
            "already_confirmed",
            "expired",
            "ack_required",
            "invalid_quote_request",
        ],
        samples: &[sample!("post-quote-confirm-unknown")],
    }
}
