//! What subscribers are sent: changes of maps, modes and feeds, and the pulse of the process (CONTRACT §10).

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::recovery::Recovery;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;

use crate::price::report::ReportedCell;

/// A closed tick of a city and product, or a change of its bounds: every reported cell of which a field changed since the
/// change before.
#[derive(Clone, Debug, PartialEq)]
pub struct SurgeChanged {
    /// The city.
    pub city: CityId,
    /// The product.
    pub product: ProductId,
    /// The version before. A change of bounds has the version before as [`Self::version`], and so has a tick before which no
    /// version is known: its `cells` are all of the map.
    pub from: u64,
    /// The version of the map.
    pub version: u64,
    /// The number of changes of policy and overrides that bound the multipliers.
    pub bounds: u64,
    /// The tick, in milliseconds since the epoch.
    pub as_of: i64,
    /// The mode of the city's prices.
    pub mode: Mode,
    /// The state of the feed.
    pub feed: Feed,
    /// The share of lanes that had reported the tick when it closed.
    pub completeness: f64,
    /// When the change was recorded, in milliseconds since the epoch.
    pub now_ms: i64,
    /// The cells that changed, in order.
    pub cells: Vec<ReportedCell>,
    /// The cells that are no longer reported.
    pub gone: Vec<Cell>,
}

/// A city's prices have another mode.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeChanged {
    /// The city.
    pub city: CityId,
    /// The mode before.
    pub from: Mode,
    /// The mode.
    pub mode: Mode,
    /// The tick of the map, in milliseconds since the epoch; `None` before the first.
    pub as_of: Option<i64>,
    /// When the change was recorded, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// The feed guard of a city has gone on or off.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedChanged {
    /// The city.
    pub city: CityId,
    /// The state before.
    pub from: Feed,
    /// The state.
    pub feed: Feed,
    /// The tick at which it changed, in milliseconds since the epoch.
    pub as_of: i64,
    /// When the change was recorded, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// A recovery has begun, gone on or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveryChanged {
    /// The recovery.
    pub recovery: Recovery,
    /// When the change was recorded, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// A change in a city or of the whole deployment.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A tick has closed, or the bounds have changed.
    Surge(SurgeChanged),
    /// The mode is another.
    Mode(ModeChanged),
    /// The state of the feed is another.
    Feed(FeedChanged),
    /// A recovery has begun, gone on or ended.
    Recovery(RecoveryChanged),
}

impl Change {
    /// The city, unless the change is the whole deployment's.
    #[must_use]
    pub fn city(&self) -> Option<&CityId> {
        match self {
            Self::Surge(change) => Some(&change.city),
            Self::Mode(change) => Some(&change.city),
            Self::Feed(change) => Some(&change.city),
            Self::Recovery(_) => None,
        }
    }

    /// The product, unless the change is the whole city's.
    #[must_use]
    pub fn product(&self) -> Option<&ProductId> {
        match self {
            Self::Surge(change) => Some(&change.product),
            Self::Mode(_) | Self::Feed(_) | Self::Recovery(_) => None,
        }
    }
}

/// The whole process in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The time, in milliseconds since the epoch.
    pub now_ms: i64,
    /// Events accepted in the last second.
    pub events_per_s: u64,
    /// Reported cells, of all cities and products.
    pub cells: usize,
    /// Of these, those with a multiplier above 1.0.
    pub surging: usize,
}

/// The place of a city's version among all versions of all stores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId {
    /// The run of the store that the version belongs to ([`equilibrium_domain::surge::map::MapHead::began_ms`]).
    pub run: i64,
    /// The city.
    pub city: CityId,
    /// The version.
    pub version: u64,
}

impl VersionId {
    /// The id in the text `{run}.{city}.{version}`, as its `Display` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (run, rest) = text.split_once('.')?;
        let (city, version) = rest.split_once('.')?;
        Some(Self { run: run.parse().ok()?, city: CityId::new(city)?, version: version.parse().ok()? })
    }
}

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { run, city, version } = self;
        write!(f, "{run}.{city}.{version}")
    }
}
