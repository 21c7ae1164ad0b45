//! The components of the system, and the graph of their dependencies.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of the system that has a verdict of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Prices and quotes.
    Pricing,
    /// The functions `count` and `surge`, from the log of events to the map.
    StreamProcessor,
    /// The stream of changes.
    Notification,
    /// The figures of the past.
    Analytics,
    /// Boundaries and zones.
    Geospatial,
    /// The store of all state.
    #[serde(rename = "dynamodb")]
    DynamoDb,
    /// The streams of events and counts.
    Kinesis,
    /// The cache of the maps.
    #[serde(rename = "elasticache")]
    ElastiCache,
}

/// Whether a component is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Functions of this system.
    Service,
    /// A managed service that functions call.
    Dependency,
}

/// An edge of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependence {
    /// What is depended on.
    pub on: Component,
    /// Whether the dependant cannot serve without it.
    pub is_vital: bool,
}

const fn vital(on: Component) -> Dependence {
    Dependence { on, is_vital: true }
}

const fn useful(on: Component) -> Dependence {
    Dependence { on, is_vital: false }
}

impl Component {
    /// Every component: services first, and each behind those that it depends on last.
    pub const ALL: [Self; 8] = [
        Self::Pricing,
        Self::StreamProcessor,
        Self::Notification,
        Self::Analytics,
        Self::Geospatial,
        Self::DynamoDb,
        Self::Kinesis,
        Self::ElastiCache,
    ];

    /// The name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pricing => "pricing",
            Self::StreamProcessor => "stream-processor",
            Self::Notification => "notification",
            Self::Analytics => "analytics",
            Self::Geospatial => "geospatial",
            Self::DynamoDb => "dynamodb",
            Self::Kinesis => "kinesis",
            Self::ElastiCache => "elasticache",
        }
    }

    /// The component of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.as_str() == name)
    }

    /// The place in [`Self::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Whether it is ours.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::DynamoDb | Self::Kinesis | Self::ElastiCache => Kind::Dependency,
            _ => Kind::Service,
        }
    }

    /// What it depends on. Prices are served from memory and by the ladder of CONTRACT §6, so that nothing is vital for
    /// them; no tick closes without the streams and the store of checkpoints.
    #[must_use]
    pub fn dependencies(self) -> &'static [Dependence] {
        use Component::{DynamoDb, ElastiCache, Kinesis, StreamProcessor};
        const PRICING: [Dependence; 3] = [useful(StreamProcessor), useful(DynamoDb), useful(ElastiCache)];
        const STREAM_PROCESSOR: [Dependence; 3] = [vital(DynamoDb), vital(Kinesis), useful(ElastiCache)];
        const NOTIFICATION: [Dependence; 2] = [useful(StreamProcessor), vital(Kinesis)];
        const ANALYTICS: [Dependence; 2] = [vital(DynamoDb), useful(Kinesis)];
        const GEOSPATIAL: [Dependence; 1] = [useful(DynamoDb)];
        match self {
            Self::Pricing => &PRICING,
            Self::StreamProcessor => &STREAM_PROCESSOR,
            Self::Notification => &NOTIFICATION,
            Self::Analytics => &ANALYTICS,
            Self::Geospatial => &GEOSPATIAL,
            Self::DynamoDb | Self::Kinesis | Self::ElastiCache => &[],
        }
    }

    /// The components that a failure of this one affects, directly or through others, in the order of [`Self::ALL`].
    #[must_use]
    pub fn dependants(self) -> Vec<Self> {
        let mut affected = vec![self];
        loop {
            let depends =
                |component: &Self| component.dependencies().iter().any(|edge| affected.contains(&edge.on));
            let found: Vec<Self> =
                Self::ALL.into_iter().filter(|it| !affected.contains(it) && depends(it)).collect();
            if found.is_empty() {
                break;
            }
            affected.extend(found);
        }
        Self::ALL.into_iter().filter(|it| *it != self && affected.contains(it)).collect()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_has_its_name_in_text_and_json() {
        for (index, component) in Component::ALL.into_iter().enumerate() {
            assert_eq!(component.index(), index);
            assert_eq!(Component::parse(component.as_str()), Some(component));
            assert_eq!(serde_json::to_value(component).unwrap(), component.as_str());
        }
        assert_eq!(Component::parse("Pricing"), None);
    }

    #[test]
    fn no_component_depends_on_itself() {
        for component in Component::ALL {
            for edge in component.dependencies() {
                assert!(!edge.on.dependants().contains(&edge.on), "{}", edge.on);
                assert!(edge.on.dependants().contains(&component), "{component}");
            }
        }
    }

    #[test]
    fn a_failing_stream_affects_what_reads_maps() {
        let affected: Vec<&str> =
            Component::Kinesis.dependants().into_iter().map(Component::as_str).collect();
        assert_eq!(affected, ["pricing", "stream-processor", "notification", "analytics"]);
        assert!(Component::Pricing.dependants().is_empty());
    }
}
