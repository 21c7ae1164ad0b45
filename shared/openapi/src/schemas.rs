//! The schemas of the document, by name.

mod cities;
mod common;
mod events;
mod explanations;
mod maps;
mod overrides;
mod policies;
mod problems;
mod quotes;
mod recoveries;
pub(crate) mod stream;

use serde_json::{Map, Value};

use crate::schema::Member;

/// Every schema.
pub(crate) fn all() -> Map<String, Value> {
    let schemas = common::schemas()
        .into_iter()
        .chain(problems::schemas())
        .chain(events::schemas())
        .chain(cities::schemas())
        .chain(maps::schemas())
        .chain(explanations::schemas())
        .chain(policies::schemas())
        .chain(overrides::schemas())
        .chain(quotes::schemas())
        .chain(recoveries::schemas())
        .chain(stream::schemas());
    schemas.map(|(name, schema): Member| (name.to_owned(), schema)).collect()
}
