//! Policy documents, with their boundaries in GeoJSON.

use equilibrium_domain::count::config::CountingConfig;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::polygon::Ring;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::policy::change::changes;
use equilibrium_domain::policy::large_change::too_large;
use equilibrium_domain::wire::Reader;

/// A policy that is read is written to a document that reads to an equal one, also within a checkpoint.
pub fn target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(document) = Policy::read_document(text) {
        assert_eq!(serde_json::from_str(text).ok(), Some(document));
    }
    let Ok(policies) = Policy::list_from_json(text) else { return };
    for policy in policies {
        let written = policy.to_json();
        let again = Policy::from_json(&written).expect("a written policy is read");
        assert_eq!(again, policy);
        assert_eq!(changes(Some(&policy), &again), []);
        assert_eq!(too_large(&policy, &again), []);
        assert_eq!((again.to_json(), again.fingerprint()), (written, policy.fingerprint()));
        let counting = CountingConfig::of(&policy, 1);
        let mut bytes = Vec::new();
        counting.write(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let read = CountingConfig::read(&mut reader).expect("a written configuration is read");
        assert!(reader.is_done() && read.replays_like(&counting));
        for [lng, lat] in policy.boundary.rings().iter().flat_map(Ring::positions) {
            let is_outside = counting.is_outside(Position { lat: *lat, lng: *lng });
            assert_eq!(is_outside, !policy.boundary.contains(*lng, *lat));
        }
    }
}
