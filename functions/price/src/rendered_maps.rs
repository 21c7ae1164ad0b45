//! The cells of maps as they are sent, kept for the next reader: a map is written and compressed once a version.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use equilibrium_http::SharedEnd;
use parking_lot::Mutex;

/// The most bytes kept, before compression: a dozen of the longest maps that API Gateway passes on.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// The most maps kept.
const MAX_KEPT_MAPS: usize = 256;

/// The cells of the newest maps, by city and entity tag, which covers everything that they depend on.
#[derive(Debug, Default)]
pub struct RenderedMaps(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    city: String,
    tag: String,
    /// Empty while the first reader writes them; the others wait for it.
    cells: Arc<OnceLock<Arc<SharedEnd>>>,
}

impl RenderedMaps {
    /// The cells of the map with this tag, written by `render` unless they are kept.
    pub(crate) fn get(&self, city: &str, tag: &str, render: impl FnOnce() -> Vec<u8>) -> Arc<SharedEnd> {
        let slot = self.slot(city, tag);
        if let Some(cells) = slot.get() {
            return Arc::clone(cells);
        }
        let cells = Arc::clone(slot.get_or_init(|| Arc::new(SharedEnd::new(render()))));
        self.trim();
        cells
    }

    fn slot(&self, city: &str, tag: &str) -> Arc<OnceLock<Arc<SharedEnd>>> {
        let mut kept = self.0.lock();
        if let Some(found) = kept.iter().find(|one| one.city == city && one.tag == tag) {
            return Arc::clone(&found.cells);
        }
        let cells = Arc::default();
        kept.push_back(Kept { city: city.into(), tag: tag.into(), cells: Arc::clone(&cells) });
        cells
    }

    /// Drops the oldest maps until the others are few enough.
    fn trim(&self) {
        let mut kept = self.0.lock();
        let bytes = |kept: &VecDeque<Kept>| -> usize {
            kept.iter().filter_map(|one| one.cells.get()).map(|cells| cells.len()).sum()
        };
        while kept.len() > MAX_KEPT_MAPS || bytes(&kept) > MAX_KEPT_BYTES {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_written_once_and_the_oldest_are_dropped_when_they_are_too_many_or_too_long() {
        let maps = RenderedMaps::default();
        let written = |city: &str, tag: &str, bytes| {
            let mut is_written = false;
            let cells = maps.get(city, tag, || {
                is_written = true;
                vec![b'x'; bytes]
            });
            assert_eq!(cells.len(), bytes);
            is_written
        };
        assert!(written("nyc", "1", 10));
        assert!(!written("nyc", "1", 10));
        assert!(written("suva", "1", 10) && written("nyc", "2", 10));
        assert!(written("nyc", "3", MAX_KEPT_BYTES - 10), "leaves room for one");
        assert!(!written("nyc", "2", 10) && written("suva", "1", 10));
        for tag in 0..=MAX_KEPT_MAPS {
            written("paris", &tag.to_string(), 1);
        }
        assert!(maps.0.lock().len() <= MAX_KEPT_MAPS);
        assert!(written("paris", "long", MAX_KEPT_BYTES + 1) && maps.0.lock().is_empty());
    }
}
