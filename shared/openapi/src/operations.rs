//! What the document says of each route, by group.

mod cities;
mod description;
mod events;
mod overrides;
mod policies;
mod prices;
mod quotes;
mod recoveries;

use crate::operation::Operation;

/// The groups of operations, each with its description.
pub(crate) const TAGS: [(&str, &str); 8] = [
    ("Events", "Market events: where drivers are, and what riders ask for."),
    ("Cities", "The cities that have prices."),
    ("Prices", "Surge maps, prices of places, their explanation and their history."),
    ("Quotes", "Fares that hold for a time, and their confirmation."),
    ("Policies", "What defines a city, in versions."),
    ("Overrides", "Caps, floors, freezes and kills for a time and a place."),
    ("Recoveries", "How a failed component is brought back."),
    ("Description", "The API and the documents that it takes, as schemas."),
];

/// Every operation, in the order of the document.
pub(crate) fn all() -> Vec<Operation> {
    [
        events::operations(),
        cities::operations(),
        prices::operations(),
        quotes::operations(),
        policies::operations(),
        overrides::operations(),
        recoveries::operations(),
        description::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
