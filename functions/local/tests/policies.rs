//! `equilibrium policies` saves versions.
#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used)]

use equilibrium_app::memory::MemoryPolicies;
use equilibrium_app::policy::ports::PolicyStore;
use equilibrium_domain::policy::Policy;
use equilibrium_local::commands::policies::save;
use equilibrium_simulator::city::policy::policy;

#[tokio::test]
async fn a_saved_policy_replaces_the_stored_one_as_its_next_version() {
    let store = MemoryPolicies::default();
    for version in 1..=3 {
        let saved = save(&store, &[policy()], "test").await.unwrap();
        assert_eq!(saved, [(policy().city, version)]);
    }
    let stored = store.all().await.unwrap();
    assert_eq!(stored.len(), 1);
    let document = serde_json::from_str(&stored[0].document).unwrap();
    assert_eq!(Policy::from_json(&document).unwrap(), policy());
}
