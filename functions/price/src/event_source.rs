//! Where the events of cities come from, as `source` of a city has it (CONTRACT §5).

use equilibrium_domain::id::CityId;
use equilibrium_domain::time::Timestamp;
use serde::Serialize;

/// Where the events of cities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// What sends them.
    pub feed: EventFeed,
    /// Since when, in milliseconds since the epoch; `None` if that is not known.
    pub started_at_ms: Option<i64>,
}

/// What sends events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventFeed {
    /// Drivers and riders.
    Live,
    /// A file.
    File,
    /// The simulator, those of one city; those of other cities are live.
    Simulated(CityId),
}

impl EventSource {
    /// The source of a deployment, whose events come from drivers and riders.
    pub const DEPLOYED: Self = Self { feed: EventFeed::Live, started_at_ms: None };

    /// Its form for a city.
    pub(crate) fn of(&self, city: &CityId) -> SourceView {
        let kind = match &self.feed {
            EventFeed::File => "file",
            EventFeed::Simulated(simulated) if simulated == city => "simulated",
            EventFeed::Simulated(_) | EventFeed::Live => "live",
        };
        SourceView { kind, started_at: self.started_at_ms.and_then(Timestamp::from_ms) }
    }
}

/// The source of one city's events.
#[derive(Serialize)]
pub struct SourceView {
    kind: &'static str,
    started_at: Option<Timestamp>,
}
