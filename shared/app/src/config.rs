//! The configuration of a function: environment variables, read once at startup, with all faults reported together.

use std::fmt;
use std::ops::RangeInclusive;

use equilibrium_domain::count::city_group::GroupCount;
use equilibrium_domain::id::LaneCount;
use thiserror::Error;

use crate::count::lane_processor::CountSettings;
use crate::policy::policy_set::ResourceLimits;

/// A variable that is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub name: &'static str,
    /// The fault, as a predicate: `is missing`.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.what)
    }
}

/// The environment is invalid: every variable at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct Faults(pub Vec<Fault>);

/// Reads variables and collects their faults.
pub struct Variables<F> {
    lookup: F,
    faults: Vec<Fault>,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    /// Variables that `lookup` returns by name.
    pub fn new(lookup: F) -> Self {
        Self { lookup, faults: Vec::new() }
    }

    /// A required text.
    pub fn text(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| self.fault(name, "is missing".to_owned()))
    }

    /// An optional text; an empty one is `None`.
    pub fn optional(&mut self, name: &'static str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.is_empty())
    }

    /// A whole number within `range`, or the default if the variable is not set.
    pub fn number(&mut self, name: &'static str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let Some(text) = self.optional(name) else { return default };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let (min, max) = (range.start(), range.end());
            self.fault(name, format!("is {text:?}, not a whole number from {min} to {max}"))
        })
    }

    /// `true` or `false`; `false` if the variable is not set.
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

    /// The lanes of the event stream, which never change; 64 by default (CONTRACT §2).
    pub fn lanes(&mut self) -> LaneCount {
        let number = self.number("EQUILIBRIUM_LANES", 64, 1..=65_536);
        LaneCount::new(number).unwrap_or_else(|| {
            let what = format!("is {number}, not a power of two");
            self.faults.push(Fault { name: "EQUILIBRIUM_LANES", what });
            LaneCount::ONE
        })
    }

    /// Lanes, and city groups; 16 groups by default.
    pub fn counting(&mut self) -> CountSettings {
        let lanes = self.lanes();
        let groups = GroupCount::new(self.number("EQUILIBRIUM_GROUPS", 16, 1..=4_096));
        CountSettings { lanes, groups: groups.unwrap_or(GroupCount::ONE) }
    }

    /// The limits of a city that are not part of its policy.
    pub fn limits(&mut self) -> ResourceLimits {
        let ResourceLimits { max_hold_ms, max_entities } = ResourceLimits::default();
        // The default fits.
        let max_hold_ms = u32::try_from(max_hold_ms).unwrap_or(u32::MAX);
        ResourceLimits {
            max_hold_ms: self.number("EQUILIBRIUM_MAX_HOLD_MS", max_hold_ms, 0..=u32::MAX).into(),
            max_entities: self.number("EQUILIBRIUM_MAX_ENTITIES", max_entities, 1..=1 << 26),
        }
    }

    /// Checks that no fault was found.
    ///
    /// # Errors
    /// [`Faults`], all of them.
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
    fn all_faults_are_reported_together() {
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
    fn an_unset_variable_has_its_default() {
        let mut unset = variables(&[]);
        let CountSettings { lanes, groups } = unset.counting();
        assert_eq!((lanes.get(), groups.get()), (64, 16));
        assert_eq!(unset.limits(), ResourceLimits::default());
        assert_eq!((unset.flag("FLAG"), unset.optional("TEXT")), (false, None));
        assert_eq!(unset.finish(), Ok(()));
    }

    #[test]
    fn a_set_variable_overrides_the_default() {
        let mut set = variables(&[
            ("EQUILIBRIUM_LANES", "256"),
            ("EQUILIBRIUM_MAX_HOLD_MS", "0"),
            ("FLAG", "true"),
            ("TEXT", "text"),
        ]);
        assert_eq!((set.lanes().get(), set.limits().max_hold_ms), (256, 0));
        assert_eq!((set.flag("FLAG"), set.text("TEXT")), (true, "text".to_owned()));
        assert_eq!(set.finish(), Ok(()));
    }
}
