//! The answer to a body that was read: how many events are in the log, and why each other is not.

use std::fmt::Write;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use equilibrium_domain::event::Refusal;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

/// Most bytes of refusals in an answer. Lambda returns 6 MB at most, in which every quote of the body takes
/// a byte more; the refusals of 1 MiB of events of a usual length take less than half of this.
pub const LISTED_BYTES: usize = 2 << 20;

/// What a request came to, for metrics; nothing where it was answered by a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events in the log.
    pub accepted: u64,
    /// Refused events, by [`Refusal::index`].
    pub refused: [u64; Refusal::CODES.len()],
}

/// The answer as it grows, event by event.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    tally: Tally,
    /// Events so far: the index of the next.
    events: u64,
    /// Members of the list of refusals, as JSON.
    listed: Vec<u8>,
    /// Refusals that the list had no room for.
    unlisted: u64,
    message: String,
}

impl Answer {
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
        if self.unlisted > 0 || self.listed.len() > LISTED_BYTES {
            self.listed.truncate(room);
            self.unlisted += 1;
        }
    }

    fn list(&mut self, refusal: &Refusal) {
        self.message.clear();
        write!(self.message, "{refusal}").expect("a string takes all that is written");
        if !self.listed.is_empty() {
            self.listed.push(b',');
        }
        let (index, code) = (self.events, refusal.code());
        let head = format_args!("{{\"index\":{index},\"code\":\"{code}\",\"message\":").to_string();
        self.listed.extend_from_slice(head.as_bytes());
        serde_json::to_writer(&mut self.listed, &self.message)
            .expect("a text is JSON, and a vector takes it");
        self.listed.push(b'}');
    }

    /// 202 with `{accepted, refused}`; with `unlisted` only where the list had no room for all.
    pub(crate) fn into_response(self) -> (ApiGatewayV2httpResponse, Tally) {
        let listed = String::from_utf8(self.listed).expect("JSON is UTF-8");
        let mut body = format!("{{\"accepted\":{},\"refused\":[{listed}]", self.tally.accepted);
        if self.unlisted > 0 {
            write!(body, ",\"unlisted\":{}", self.unlisted).expect("a string takes all that is written");
        }
        body.push('}');
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(StatusCode::ACCEPTED.as_u16());
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.body = Some(Body::Text(body));
        (response, self.tally)
    }
}
