//! The receipt of a request: how many events are in the log, and why each of the others was refused.

use std::io::Write;

use equilibrium_app::telemetry::emf::{Measurements, ToMeasurements};
use equilibrium_app::telemetry::metrics::{EVENTS_ACCEPTED, EVENTS_UNKNOWN};
use equilibrium_domain::event::Refusal;
use equilibrium_http::Response;

/// The most refusals in a response: enough to see what is wrong with a body, and few enough that writing them costs
/// no more than accepting the events would.
pub const MAX_LISTED: u64 = 1_000;

/// The most bytes of refusals in a response. Messages may quote the event.
pub const MAX_LISTED_BYTES: usize = 256 << 10;

/// The metrics of one request; all 0 if it was answered with a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestMetrics {
    /// Accepted events. All are in the log but those of an unknown type.
    pub accepted: u64,
    /// Accepted events of an unknown type.
    pub unknown: u64,
    /// Refused events, by [`Refusal::index`].
    pub refused: [u64; Refusal::CODES.len()],
}

impl ToMeasurements for IngestMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(EVENTS_ACCEPTED, self.accepted);
        measures.put(EVENTS_UNKNOWN, self.unknown);
        measures.put_refused(&self.refused);
        measures
    }
}

/// The receipt of the events so far.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    metrics: IngestMetrics,
    /// Events so far: the index of the next one.
    events: u64,
    /// The elements of the list of refusals, as JSON.
    listed: Vec<u8>,
    /// Refusals that no longer fit into the list.
    unlisted: u64,
}

impl Receipt {
    /// Records the outcome of the next event.
    pub(crate) fn record(&mut self, outcome: &Result<(), Refusal>) {
        match outcome {
            Ok(()) => self.metrics.accepted += 1,
            Err(refusal) => self.refuse(refusal),
        }
        self.events += 1;
    }

    /// Records how many of the accepted events have an unknown type.
    pub(crate) fn unknown(&mut self, events: u64) {
        self.metrics.unknown = events;
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.metrics.refused[refusal.index()] += 1;
        let listed_bytes = self.listed.len();
        if self.unlisted == 0 && self.events - self.metrics.accepted < MAX_LISTED {
            self.list(refusal);
            if self.listed.len() <= MAX_LISTED_BYTES {
                return;
            }
            self.listed.truncate(listed_bytes);
        }
        self.unlisted += 1;
    }

    fn list(&mut self, refusal: &Refusal) {
        let comma = if self.listed.is_empty() { "" } else { "," };
        let (index, code) = (self.events, refusal.code());
        write!(self.listed, "{comma}{{\"index\":{index},\"code\":\"{code}\",\"message\":")
            .expect("a vector accepts every write");
        // Formatted straight into the JSON string, without a `String` in between.
        serde_json::to_writer(&mut self.listed, &format_args!("{refusal}"))
            .expect("a string is JSON, and a vector accepts every write");
        self.listed.push(b'}');
    }

    pub(crate) fn metrics(&self) -> IngestMetrics {
        self.metrics
    }

    /// 202 with `{accepted, refused}`, and `unlisted` if not every refusal is listed.
    pub(crate) fn into_response(self) -> Response {
        let Self { metrics, listed, unlisted, .. } = self;
        let mut body = format!("{{\"accepted\":{},\"refused\":[", metrics.accepted).into_bytes();
        body.extend_from_slice(&listed);
        let end = if unlisted > 0 { format!("],\"unlisted\":{unlisted}}}") } else { "]}".into() };
        body.extend_from_slice(end.as_bytes());
        Response { body: body.into(), ..Response::empty(202).with("content-type", "application/json") }
    }
}

#[cfg(test)]
mod tests {
    use equilibrium_app::telemetry::emf::Context;

    use super::*;

    #[test]
    fn accepted_and_refused_events_are_measured() {
        let mut refused = [0; Refusal::CODES.len()];
        refused[1] = 2;
        refused[6] = 1;
        let context = Context { deployment: "test", function: "ingest", request_id: "8f5a-1", now_ms: 1 };
        let document = IngestMetrics { accepted: 5, unknown: 1, refused }.measures().document(&context);
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let of = |name: &str| document[name].as_u64();
        assert_eq!((of("events_accepted"), of("events_refused")), (Some(5), Some(3)));
        assert_eq!(of("events_unknown"), Some(1));
        assert_eq!(of("events_refused_malformed_json"), Some(2));
        assert_eq!(of("events_refused_too_far_in_future"), Some(1));
        assert_eq!(document["function"], "ingest");
    }
}
