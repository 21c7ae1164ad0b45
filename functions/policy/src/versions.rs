//! `GET /v1/cities/{city}/policy/versions` and `/versions/{n}`: the versions of a policy that are kept, the newest first.

use equilibrium_app::laws::ports::BoundStore;
use equilibrium_app::policy::ports::{PolicyStore, SavedVersion};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::id::CityId;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, page_token, parameters};
use serde::Serialize;

use crate::{JSON, PolicyApi, compressed, document, unavailable, unknown_city};

/// Versions of a page if the client does not give a limit.
const DEFAULT_PAGE_SIZE: usize = 20;

/// The most versions of a page: the store reads each one's document with it.
const MAX_PAGE_SIZE: usize = 100;

#[derive(Serialize)]
struct Page {
    versions: Vec<VersionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct VersionView {
    version: u64,
    saved_at: Option<Timestamp>,
    author: String,
}

impl<S, B, M, K, T> PolicyApi<'_, S, B, M, K, T>
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn versions(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let city = CityId::new(city).ok_or_else(unknown_city)?;
        let [limit, next] = request.parameters(["limit", "next"])?;
        let limit =
            parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let key = |text: &str| text.parse::<u64>().ok();
        let below = next.as_deref().map(|token| page_token::decode("next", token, key)).transpose()?;
        // One more shows whether there is another page.
        let saved = self.store.saved_versions(&city, below, limit + 1, self.now_ms).await;
        let mut saved = saved.map_err(unavailable)?;
        // A city has its newest version for ever.
        if saved.is_empty() && below.is_none() {
            return Err(unknown_city());
        }
        let has_more = saved.len() > limit;
        saved.truncate(limit);
        let last = saved.last().filter(|_| has_more);
        let page = Page {
            next: last.map(|last| page_token::encode(&last.version.to_string())),
            versions: saved.into_iter().map(VersionView::from).collect(),
        };
        Ok(compressed(Response::of(200, JSON, &page).with("cache-control", "no-cache"), request))
    }

    pub(crate) async fn version(
        &self,
        request: &Request<'_>,
        city: &str,
        version: &str,
    ) -> Result<Response, Problem> {
        let city = CityId::new(city).ok_or_else(unknown_city)?;
        let unknown = || {
            Problem::new(
                404,
                "unknown_version",
                "no such version: versions are kept for 90 days after the next one",
            )
        };
        let is_number = version.bytes().all(|byte| byte.is_ascii_digit());
        let version = version.parse().ok().filter(|_| is_number).ok_or_else(unknown)?;
        let stored = self.store.version(&city, version, self.now_ms).await.map_err(unavailable)?;
        Ok(document(request, stored.ok_or_else(unknown)?))
    }
}

impl From<SavedVersion> for VersionView {
    fn from(saved: SavedVersion) -> Self {
        let SavedVersion { version, saved_at_ms, author } = saved;
        Self { version, saved_at: Timestamp::from_ms(saved_at_ms), author }
    }
}
