//! Requests to the functions in one process, without a socket.
#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::sync::Arc;

use equilibrium_app::clock::Clock;
use equilibrium_app::policy::policy_cache::{MAX_UNCHECKED_MS, PolicyCache};
use equilibrium_app::policy::policy_set::ResourceLimits;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore};
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_embedded::quotes::open_keys;
use equilibrium_embedded::store::Store;
use equilibrium_http::Request;
use equilibrium_local::host::recovery::LocalRecovery;
use equilibrium_local::host::router::{Changes, LocalApi, Site};
use equilibrium_local_access::LocalAdmission;
use equilibrium_local_pipeline::instances::Progress;
use equilibrium_page::Basemaps;
use equilibrium_price::EventSource;
use equilibrium_simulator::city;
use tokio::sync::watch;

async fn name_of_the_city(api: &LocalApi) -> String {
    let path = "/v1/cities/nyc";
    let request = Request { method: "GET", path, query: "", headers: &[], body: b"" };
    let response = api.respond(&request).await;
    let city: serde_json::Value = serde_json::from_slice(&response.body.bytes()).unwrap();
    city["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_saved_policy_takes_effect_without_a_restart() {
    let mut policy = city::policy::policy();
    let store = Store::in_memory(LaneCount::ONE, Clock::live(NonZeroU32::new(1_000).unwrap()));
    store.start_policies(Some(std::slice::from_ref(&policy)), || unreachable!(), 0);
    let limits = ResourceLimits::default();
    let cache = PolicyCache::with_bounds(store.clone(), store.clone(), limits, tokio::time::sleep as _);
    let site = Site { index: String::new(), basemaps: Basemaps::default(), source: EventSource::DEPLOYED };
    let keys = (PseudonymKey::new([7; 16]), open_keys(None).unwrap());
    let admission = LocalAdmission::new(None, None);
    let policies = Arc::new(cache);
    let changes = Arc::new(Changes::new(Arc::clone(&policies), store.clone(), store.clock()));
    let (progress, (_stop, stopped)) = (watch::channel(Progress::default()).0, watch::channel(false));
    let (_pipeline, recovery) =
        LocalRecovery::start(&store, (&policies, &changes), progress, stopped).unwrap();
    let api = LocalApi::new(&store, policies, keys, (admission, site), (changes, recovery));
    assert_eq!(name_of_the_city(&api).await, policy.name);

    policy.name = "Gotham".into();
    store.save(&policy.city, NewVersion::local(&policy.to_json().to_string()), Some(1)).await.unwrap();
    tokio::time::sleep(store.clock().until(store.clock().now_ms() + MAX_UNCHECKED_MS)).await;
    assert_eq!(name_of_the_city(&api).await, "Gotham");
}
