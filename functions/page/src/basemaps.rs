//! Basemaps of cities that the page has none of: `TopoJSON` files that stand beside the cities' policies.

use std::fs;
use std::io;
use std::path::Path;

use crate::file::{Caching, File};

/// What a city without a basemap has: not an error, for it is the rule.
const NONE: &[u8] = b"null";

/// The basemaps of a deployment's cities.
#[derive(Debug)]
pub struct Basemaps {
    by_name: Vec<(String, File)>,
    none: File,
}

impl Default for Basemaps {
    fn default() -> Self {
        Self::of([])
    }
}

impl Basemaps {
    /// The basemaps of these cities, each by the city's id, as `TopoJSON`.
    #[must_use]
    pub fn of(basemaps: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let json = |content| File::new(content, "application/json", Caching::Revalidated);
        let file = |(city, content): (String, Vec<u8>)| (format!("{city}.topo.json"), json(content.into()));
        Self { by_name: basemaps.into_iter().map(file).collect(), none: json(NONE.into()) }
    }

    /// The basemaps of these cities beside their file: `{city}.topo.json` in the same folder, where there is one.
    ///
    /// # Errors
    /// [`io::Error`], with the path, if one cannot be read.
    pub fn beside<'a>(file: &Path, cities: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        let mut basemaps = Vec::new();
        for city in cities {
            let path = file.with_file_name(format!("{city}.topo.json"));
            match fs::read(&path) {
                Ok(content) => basemaps.push((city.to_owned(), content)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                }
            }
        }
        Ok(Self::of(basemaps))
    }

    /// The basemap called `name`, relative to `/assets/`: `city/{city}.topo.json`.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        let name = name.strip_prefix("city/")?;
        let known = self.by_name.iter().find(|(known, _)| known == name).map(|(_, file)| file);
        known.or_else(|| name.ends_with(".topo.json").then_some(&self.none))
    }
}
