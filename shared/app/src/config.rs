//! What a function is told by its environment: read once, and every fault named at once.

use std::fmt;
use std::ops::RangeInclusive;

use equilibrium_domain::count::city_group::GroupCount;
use equilibrium_domain::id::LaneCount;
use thiserror::Error;

use crate::count::lane_processor::CountSettings;
use crate::policy::policy_set::ResourceLimits;

/// A variable that is missing or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.what)
    }
}

/// The environment cannot be worked with: every variable at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct Faults(pub Vec<Fault>);

/// Reads variables and collects what is wrong with them.
pub struct Variables<F> {
    lookup: F,
    faults: Vec<Fault>,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    /// Variables as `lookup` has them.
    pub fn new(lookup: F) -> Self {
        Self { lookup, faults: Vec::new() }
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| self.fault(name, "is missing".to_owned()))
    }

    /// A text that may be there; an empty one is not.
    pub fn optional(&mut self, name: &'static str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.is_empty())
    }

    /// A whole number in a range, and what it is where nothing is said.
    pub fn number(&mut self, name: &'static str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let Some(text) = self.optional(name) else { return default };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.fault(name, format!("is {text:?}, not a whole number from {least} to {most}"))
        })
    }

    /// Yes or no; no where nothing is said.
    pub fn flag(&mut self, name: &'static str) -> bool {
        match self.optional(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let what = format!("is {other:?}, not true or false");
                self.fault(name, what)
            }
        }
    }

    /// The stream's lanes, which never change: 64 where nothing is said (CONTRACT §2).
    pub fn lanes(&mut self) -> LaneCount {
        let number = self.number("EQUILIBRIUM_LANES", 64, 1..=65_536);
        LaneCount::new(number).unwrap_or_else(|| {
            let what = format!("is {number}, not a power of two");
            self.faults.push(Fault { name: "EQUILIBRIUM_LANES", what });
            LaneCount::ONE
        })
    }

    /// Lanes, and groups of cities: 16 where nothing is said.
    pub fn counting(&mut self) -> CountSettings {
        let lanes = self.lanes();
        let groups = GroupCount::new(self.number("EQUILIBRIUM_GROUPS", 16, 1..=4_096));
        CountSettings { lanes, groups: groups.unwrap_or(GroupCount::ONE) }
    }

    /// What bounds a city beyond its policy.
    pub fn limits(&mut self) -> ResourceLimits {
        let ResourceLimits { max_hold_ms, max_entities } = ResourceLimits::default();
        // The defaults are within these ranges.
        let max_hold_ms = u32::try_from(max_hold_ms).unwrap_or(u32::MAX);
        ResourceLimits {
            max_hold_ms: self.number("EQUILIBRIUM_MAX_HOLD_MS", max_hold_ms, 0..=u32::MAX).into(),
            max_entities: self.number("EQUILIBRIUM_MAX_ENTITIES", max_entities, 1..=1 << 26),
        }
    }

    /// Whether everything could be used.
    ///
    /// # Errors
    /// Every fault.
    pub fn finish(self) -> Result<(), Faults> {
        if self.faults.is_empty() { Ok(()) } else { Err(Faults(self.faults)) }
    }

    fn fault<T: Default>(&mut self, name: &'static str, what: String) -> T {
        self.faults.push(Fault { name, what });
        T::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&'static str, &str)]) -> Variables<impl Fn(&str) -> Option<String>> {
        Variables::new(|name: &str| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut variables = variables(&[
            ("EQUILIBRIUM_LANES", "48"),
            ("EQUILIBRIUM_GROUPS", "many"),
            ("EQUILIBRIUM_CACHE_CLUSTER", "perhaps"),
            ("EMPTY", ""),
        ]);
        variables.text("EMPTY");
        variables.counting();
        variables.flag("EQUILIBRIUM_CACHE_CLUSTER");
        assert_eq!(
            variables.finish().unwrap_err().to_string(),
            "EMPTY is missing; EQUILIBRIUM_LANES is 48, not a power of two; EQUILIBRIUM_GROUPS is \"many\", \
             not a whole number from 1 to 4096; EQUILIBRIUM_CACHE_CLUSTER is \"perhaps\", not true or false"
        );
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let mut nothing = variables(&[]);
        let CountSettings { lanes, groups } = nothing.counting();
        assert_eq!((lanes.get(), groups.get()), (64, 16));
        assert_eq!(nothing.limits(), ResourceLimits::default());
        assert_eq!((nothing.flag("FLAG"), nothing.optional("TEXT")), (false, None));
        assert_eq!(nothing.finish(), Ok(()));
    }

    #[test]
    fn what_is_said_holds() {
        let mut said = variables(&[
            ("EQUILIBRIUM_LANES", "256"),
            ("EQUILIBRIUM_MAX_HOLD_MS", "0"),
            ("FLAG", "true"),
            ("TEXT", "text"),
        ]);
        assert_eq!((said.lanes().get(), said.limits().max_hold_ms), (256, 0));
        assert_eq!((said.flag("FLAG"), said.text("TEXT")), (true, "text".to_owned()));
        assert_eq!(said.finish(), Ok(()));
    }
}
