//! What became of a body that was read: how many events are in the log, and why each other is not.

use std::io::Write;

use equilibrium_app::telemetry::emf::{Measurements, ToMeasurements};
use equilibrium_app::telemetry::metrics::EVENTS_ACCEPTED;
use equilibrium_domain::event::Refusal;
use equilibrium_http::Response;

/// Most bytes of refusals in an answer. Lambda returns 6 MB at most, in which every quote of the body takes
/// a byte more; the refusals of 1 MiB of events of a usual length take less than half of this.
pub const MAX_LISTED_BYTES: usize = 2 << 20;

/// What a request came to, for metrics; nothing where it was answered by a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestMetrics {
    /// Events in the log.
    pub accepted: u64,
    /// Refused events, by [`Refusal::index`].
    pub refused: [u64; Refusal::CODES.len()],
}

impl ToMeasurements for IngestMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(EVENTS_ACCEPTED, self.accepted);
        measures.put_refused(&self.refused);
        measures
    }
}

/// The receipt as it grows, event by event.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    tally: IngestMetrics,
    /// Events so far: the index of the next.
    events: u64,
    /// Members of the list of refusals, as JSON.
    listed: Vec<u8>,
    /// Refusals that the list had no room for.
    unlisted: u64,
}

impl Receipt {
    /// Takes note of what became of the next event.
    pub(crate) fn note(&mut self, taken: Result<(), Refusal>) {
        match taken {
            Ok(()) => self.tally.accepted += 1,
            Err(refusal) => self.refuse(&refusal),
        }
        self.events += 1;
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.tally.refused[refusal.index()] += 1;
        let room = self.listed.len();
        if self.unlisted == 0 {
            self.list(refusal);
        }
        if self.unlisted > 0 || self.listed.len() > MAX_LISTED_BYTES {
            self.listed.truncate(room);
            self.unlisted += 1;
        }
    }

    fn list(&mut self, refusal: &Refusal) {
        let comma = if self.listed.is_empty() { "" } else { "," };
        let (index, code) = (self.events, refusal.code());
        write!(self.listed, "{comma}{{\"index\":{index},\"code\":\"{code}\",\"message\":")
            .expect("a vector takes all that is written");
        // As text that is never put together: its escapes are written as it goes.
        serde_json::to_writer(&mut self.listed, &format_args!("{refusal}"))
            .expect("a text is JSON, and a vector takes it");
        self.listed.push(b'}');
    }

    /// 202 with `{accepted, refused}`; with `unlisted` only where the list had no room for all.
    pub(crate) fn into_response(self) -> (Response, IngestMetrics) {
        let Self { tally, listed, unlisted, .. } = self;
        let mut body = format!("{{\"accepted\":{},\"refused\":[", tally.accepted).into_bytes();
        body.extend_from_slice(&listed);
        let end = if unlisted > 0 { format!("],\"unlisted\":{unlisted}}}") } else { "]}".into() };
        body.extend_from_slice(end.as_bytes());
        let response = Response { body, ..Response::empty(202).with("content-type", "application/json") };
        (response, tally)
    }
}

#[cfg(test)]
mod tests {
    use equilibrium_app::telemetry::emf::Context;

    use super::*;

    #[test]
    fn what_was_accepted_and_refused_is_measured() {
        let mut refused = [0; Refusal::CODES.len()];
        refused[1] = 2;
        refused[6] = 1;
        let context = Context { function: "ingest", request_id: "8f5a-1", now_ms: 1 };
        let document = IngestMetrics { accepted: 5, refused }.measures().document(&context);
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let of = |name: &str| document[name].as_u64();
        assert_eq!((of("events_accepted"), of("events_refused")), (Some(5), Some(3)));
        assert_eq!(of("events_refused_malformed_json"), Some(2));
        assert_eq!(of("events_refused_too_far_in_future"), Some(1));
        assert_eq!(document["function"], "ingest");
    }
}
