//! Basemaps of cities that the page has none of: `TopoJSON` files that stand beside the cities' policies.

use crate::file::{Caching, File};

/// The basemaps of a deployment's cities.
#[derive(Debug, Default)]
pub struct Basemaps(Vec<(String, File)>);

impl Basemaps {
    /// The basemaps of these cities, each by the city's id, as `TopoJSON`.
    #[must_use]
    pub fn of(basemaps: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let file = |(city, content): (String, Vec<u8>)| {
            (
                format!("city/{city}.topo.json"),
                File::new(content.into(), "application/json", Caching::Revalidated),
            )
        };
        Self(basemaps.into_iter().map(file).collect())
    }

    /// The basemap called `name`, relative to `/assets/`.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, file)| file)
    }
}
