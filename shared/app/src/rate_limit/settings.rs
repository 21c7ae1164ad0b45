//! How often clients may call: by class of calls, with a default and what single clients have instead.

use std::collections::BTreeMap;

use equilibrium_domain::rate::Rate;
use serde::Deserialize;
use thiserror::Error;

/// Calls a minute, by class of calls (the issue of this system's rates: 100 quotes, 60 maps, 600 prices, 1 200 of events).
const DEFAULTS: [(&str, u32); 4] = [("quotes", 100), ("maps", 60), ("prices", 600), ("events", 1_200)];

/// The rates of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateSettings {
    defaults: Rates,
    clients: BTreeMap<String, Rates>,
}

type Rates = BTreeMap<&'static str, Rate>;

/// Why a document is none of rates.
#[derive(Debug, Error)]
pub enum RateSettingsError {
    /// It is not JSON of this shape.
    #[error("not rates: {0}")]
    Shape(#[from] serde_json::Error),
    /// There is no such class of calls.
    #[error("no class of calls is {0:?}: quotes, maps, prices and events are")]
    Class(String),
    /// The number is out of range.
    #[error("{0} must be 1 to 1000000 calls a minute")]
    Count(&'static str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    default: BTreeMap<String, u32>,
    #[serde(default)]
    clients: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Default for RateSettings {
    fn default() -> Self {
        let rate = |count| Rate::per_minute(count).expect("the defaults are rates");
        let defaults = DEFAULTS.map(|(class, count)| (class, rate(count))).into();
        Self { defaults, clients: BTreeMap::new() }
    }
}

impl RateSettings {
    /// The rates of a document: `{"default": {"prices": 600}, "clients": {"dispatch": {"events": 60000}}}`. What it does not
    /// give is as by default.
    ///
    /// # Errors
    /// [`RateSettingsError`].
    pub fn parse(document: &str) -> Result<Self, RateSettingsError> {
        let Document { default, clients } = serde_json::from_str(document)?;
        let mut settings = Self::default();
        settings.defaults.extend(rates(default)?);
        for (client, given) in clients {
            settings.clients.insert(client, rates(given)?);
        }
        Ok(settings)
    }

    /// The rate of a class of calls of the client called `client`; one without a subject has the default.
    #[must_use]
    pub fn rate(&self, class: &str, client: Option<&str>) -> Option<Rate> {
        let own = client.and_then(|client| self.clients.get(client)?.get(class));
        own.or_else(|| self.defaults.get(class)).copied()
    }
}

fn rates(given: BTreeMap<String, u32>) -> Result<Rates, RateSettingsError> {
    let rate = |(name, count): (String, u32)| {
        let known = DEFAULTS.iter().map(|(class, _)| *class).find(|class| *class == name);
        let class = known.ok_or(RateSettingsError::Class(name))?;
        Ok((class, Rate::per_minute(count).ok_or(RateSettingsError::Count(class))?))
    };
    given.into_iter().map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_own_rate_or_the_default() {
        let document = r#"{"default": {"prices": 60}, "clients": {"dispatch": {"events": 60000}}}"#;
        let settings = RateSettings::parse(document).unwrap();
        let rate = |class, client| settings.rate(class, client);
        assert_eq!(rate("events", Some("dispatch")), Rate::per_minute(60_000));
        assert_eq!(rate("prices", Some("dispatch")), Rate::per_minute(60));
        assert_eq!(rate("events", Some("other")), Rate::per_minute(1_200));
        assert_eq!(rate("quotes", None), Rate::per_minute(100));
        assert_eq!(rate("maps", None), Rate::per_minute(60));
        assert_eq!(rate("other", None), None);
        assert_eq!(RateSettings::parse("{}").unwrap(), RateSettings::default());
    }

    #[test]
    fn a_document_that_is_none_of_rates_is_refused() {
        for (document, reason) in [
            ("", "not rates"),
            (r#"{"prices": 60}"#, "not rates: unknown field `prices`"),
            (r#"{"default": {"price": 60}}"#, "no class of calls is \"price\""),
            (r#"{"clients": {"a": {"price": 60}}}"#, "no class of calls is \"price\""),
            (r#"{"default": {"prices": 0}}"#, "prices must be 1 to 1000000"),
            (r#"{"default": {"prices": 1000001}}"#, "prices must be 1 to 1000000"),
            (r#"{"default": {"prices": -1}}"#, "not rates"),
        ] {
            let error = RateSettings::parse(document).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{document}: {error}");
        }
    }
}
