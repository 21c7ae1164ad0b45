//! Basemaps of cities that the page has none of: `TopoJSON` files that stand beside the cities' policies.

use std::fs;
use std::io;
use std::path::Path;

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

    /// The basemap called `name`, relative to `/assets/`.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, file)| file)
    }
}
