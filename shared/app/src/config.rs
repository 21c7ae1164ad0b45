//! The configuration of a function: environment variables, read once at startup, with all faults reported together.

use std::fmt;
use std::ops::RangeInclusive;

use equilibrium_domain::count::city_group::GroupCount;
use equilibrium_domain::id::LaneCount;
use thiserror::Error;

use crate::access::settings::{AccessSettings, KeysAt};
use crate::access::token::Expected;
use crate::count::lane_processor::CountSettings;
use crate::policy::policy_set::ResourceLimits;
use crate::rate_limit::settings::RateSettings;

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

    /// Whose tokens clients need: those of `EQUILIBRIUM_AUTH_ISSUER` for `EQUILIBRIUM_AUTH_AUDIENCE`, with the keys at
    /// `EQUILIBRIUM_AUTH_KEYS`, a URL or a JWK Set. They are required unless `EQUILIBRIUM_AUTH` is `off`, when every client is
    /// served.
    pub fn access(&mut self) -> Option<AccessSettings> {
        match self.optional("EQUILIBRIUM_AUTH").as_deref() {
            None | Some("on") => {}
            Some("off") => return None,
            Some(other) => return self.fault("EQUILIBRIUM_AUTH", format!("is {other:?}, not on or off")),
        }
        let issuer = self.text("EQUILIBRIUM_AUTH_ISSUER");
        let audience = self.text("EQUILIBRIUM_AUTH_AUDIENCE");
        let text = self.text("EQUILIBRIUM_AUTH_KEYS");
        let keys = KeysAt::parse(&text);
        if keys.is_none() && !text.is_empty() {
            let what = "is neither a URL with https nor a JWK Set with keys of RS256 or ES256";
            return self.fault("EQUILIBRIUM_AUTH_KEYS", what.to_owned());
        }
        Some(AccessSettings { expected: Expected { issuer, audience }, keys: keys? })
    }

    /// How often clients may call: `EQUILIBRIUM_RATE_LIMITS` is `on`, the default, `off`, or the rates as JSON.
    pub fn rates(&mut self) -> Option<RateSettings> {
        match self.optional("EQUILIBRIUM_RATE_LIMITS").as_deref() {
            None | Some("on") => Some(RateSettings::default()),
            Some("off") => None,
            Some(document) => match RateSettings::parse(document) {
                Ok(settings) => Some(settings),
                Err(error) => {
                    self.fault("EQUILIBRIUM_RATE_LIMITS", format!("is not on, off or rates: {error}"))
                }
            },
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

    #[test]
    fn tokens_are_required_unless_they_are_switched_off() {
        let mut unset = variables(&[]);
        assert_eq!(unset.access(), None);
        assert_eq!(
            unset.finish().unwrap_err().to_string(),
            "EQUILIBRIUM_AUTH_ISSUER is missing; EQUILIBRIUM_AUTH_AUDIENCE is missing; EQUILIBRIUM_AUTH_KEYS is missing"
        );
        let mut off = variables(&[("EQUILIBRIUM_AUTH", "off")]);
        assert_eq!((off.access(), off.finish()), (None, Ok(())));
        let mut wrong = variables(&[("EQUILIBRIUM_AUTH", "no")]);
        assert_eq!(wrong.access(), None);
        assert_eq!(wrong.finish().unwrap_err().to_string(), "EQUILIBRIUM_AUTH is \"no\", not on or off");
        let url = "https://idp.example.com/jwks.json";
        let on = [
            ("EQUILIBRIUM_AUTH_ISSUER", "https://idp.example.com/"),
            ("EQUILIBRIUM_AUTH_AUDIENCE", "equilibrium"),
            ("EQUILIBRIUM_AUTH_KEYS", url),
        ];
        let mut on = variables(&on);
        assert_eq!(on.access().map(|access| access.keys), Some(KeysAt::Url(url.to_owned())));
        assert_eq!(on.finish(), Ok(()));
        let mut plain = variables(&[
            ("EQUILIBRIUM_AUTH_ISSUER", "i"),
            ("EQUILIBRIUM_AUTH_AUDIENCE", "a"),
            ("EQUILIBRIUM_AUTH_KEYS", "http://idp.example.com"),
        ]);
        assert_eq!(plain.access(), None);
        let faults = plain.finish().unwrap_err().to_string();
        assert!(faults.starts_with("EQUILIBRIUM_AUTH_KEYS is neither a URL with https"), "{faults}");
    }

    #[test]
    fn rates_are_on_by_default_off_or_given() {
        for (text, rates) in [
            ("", Ok(Some(RateSettings::default()))),
            ("on", Ok(Some(RateSettings::default()))),
            ("off", Ok(None)),
            ("{}", Ok(Some(RateSettings::default()))),
            ("yes", Err("EQUILIBRIUM_RATE_LIMITS is not on, off or rates")),
        ] {
            let given = [("EQUILIBRIUM_RATE_LIMITS", text)];
            let mut variables = variables(&given);
            let found = variables.rates();
            match (rates, variables.finish()) {
                (Ok(rates), Ok(())) => assert_eq!(found, rates, "{text}"),
                (Err(reason), Err(faults)) => assert!(faults.to_string().starts_with(reason), "{faults}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
