//! The metrics of quotes.

use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    QUOTES_CONFIRMED, QUOTES_EXPIRED, QUOTES_ISSUED, QUOTES_REFUSED, QUOTES_UNLOGGED,
};

/// The metrics of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuoteMetrics {
    /// Quotes issued.
    pub issued: u64,
    /// Quotes confirmed, each once.
    pub confirmed: u64,
    /// Confirmations refused because the quote had expired.
    pub expired: u64,
    /// Confirmations refused for another reason.
    pub refused: u64,
    /// Times that the event of a confirmation did not reach the log; the next request for the quote logs it.
    pub unlogged: u64,
}

impl ToMeasurements for QuoteMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(QUOTES_ISSUED, self.issued);
        measures.put(QUOTES_CONFIRMED, self.confirmed);
        measures.put(QUOTES_EXPIRED, self.expired);
        measures.put(QUOTES_REFUSED, self.refused);
        measures.put(QUOTES_UNLOGGED, self.unlogged);
        measures
    }
}
