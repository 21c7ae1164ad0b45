//! `/v1/cities/{city}/overrides`: caps, floors, freezes and kills for a time and a place (CONTRACT §9).

use std::sync::Arc;

use equilibrium_app::laws::ports::BoundStore;
use equilibrium_app::overrides::new_id;
use equilibrium_app::overrides::ports::CreateError;
use equilibrium_app::policy::ports::PolicyStore;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Fault;
use equilibrium_domain::policy::overrides::{Creation, Override, OverrideRequest, OverrideState};
use equilibrium_http::body::{ContentCoding, decode, json_text, require_json};
use equilibrium_http::{Problem, Request, Response, page_token, parameters};
use serde::Serialize;
use serde_json::Value;

use crate::put::parse;
use crate::{JSON, PolicyApi, compressed, field_error, unavailable, unknown_city};

/// Overrides of a page if the client does not give a limit.
const DEFAULT_PAGE_SIZE: usize = 100;

/// The most overrides of a page.
const MAX_PAGE_SIZE: usize = 1_000;

#[derive(Serialize)]
struct Page {
    overrides: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which overrides are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    NotEnded,
    Ended,
    All,
}

impl Listed {
    fn parse(text: Option<&str>) -> Result<Self, Problem> {
        match text {
            None | Some("active") => Ok(Self::NotEnded),
            Some("ended") => Ok(Self::Ended),
            Some("all") => Ok(Self::All),
            Some(_) => {
                let problem = Problem::new(400, "malformed_parameter", "must be active, ended or all");
                Err(problem.for_parameter("state"))
            }
        }
    }

    fn includes(self, one: &Override, now_ms: i64) -> bool {
        match self {
            Self::NotEnded => one.state(now_ms) != OverrideState::Ended,
            Self::Ended => one.state(now_ms) == OverrideState::Ended,
            Self::All => true,
        }
    }
}

/// Checks what the head of a `POST` says.
pub(crate) fn read_head(request: &Request<'_>) -> Result<ContentCoding, Problem> {
    request.require_coding()?;
    require_json(request)?;
    ContentCoding::of(request)
}

impl<S, B, M, K, T> PolicyApi<'_, S, B, M, K, T>
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn create_override(
        &self,
        request: &Request<'_>,
        city: &str,
    ) -> Result<Response, Problem> {
        let coding = read_head(request)?;
        let stored = self.stored(city).await?.ok_or_else(unknown_city)?;
        let policy = parse(&stored).ok_or_else(|| unavailable(Unavailable))?;
        let body = decode(request.body, coding)?;
        let read = OverrideRequest::read(json_text(&body)?, &policy, self.now_ms).map_err(invalid)?;
        let id = new_id(self.now_ms);
        let new = read.create(Creation { id: &id, author: self.author, now_ms: self.now_ms });
        self.bounds.create(&policy.city, &new).await.map_err(not_created)?;
        let location = format!("/v1/cities/{city}/overrides/{id}");
        let response = Response::of(201, JSON, &new.to_view(self.now_ms)).with("location", location);
        Ok(response.with("cache-control", "no-store"))
    }

    pub(crate) async fn list_overrides(
        &self,
        request: &Request<'_>,
        city: &str,
    ) -> Result<Response, Problem> {
        let [state, limit, next] = request.parameters(["state", "limit", "next"])?;
        let listed = Listed::parse(state.as_deref())?;
        let limit =
            parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
        let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = |id: &str| is_id(id).then(|| id.to_owned());
        let mut before = next.as_deref().map(|token| page_token::decode("next", token, key)).transpose()?;
        let city = self.known_city(city).await?;

        // One more shows whether there is another page.
        let mut found: Vec<Arc<Override>> = Vec::new();
        while found.len() <= limit {
            let page = self.bounds.page(&city, before.as_deref(), limit + 1).await.map_err(unread)?;
            let Some(last) = page.last() else { break };
            before = Some(last.id.to_string());
            found.extend(page.into_iter().filter(|one| listed.includes(one, self.now_ms)));
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        let page = Page {
            next: found.last().filter(|_| has_more).map(|last| page_token::encode(&last.id)),
            overrides: found.iter().map(|one| one.to_view(self.now_ms)).collect(),
        };
        Ok(compressed(Response::of(200, JSON, &page).with("cache-control", "no-cache"), request))
    }

    pub(crate) async fn one_override(&self, city: &str, id: &str) -> Result<Response, Problem> {
        let city = self.known_city(city).await?;
        let one = self.bounds.one(&city, id).await.map_err(unread)?.ok_or_else(unknown_override)?;
        Ok(Response::of(200, JSON, &one.to_view(self.now_ms)).with("cache-control", "no-cache"))
    }

    /// Ends an override now. Ending one that has ended changes nothing.
    pub(crate) async fn end_override(&self, city: &str, id: &str) -> Result<Response, Problem> {
        let city = self.known_city(city).await?;
        let ended = self.bounds.end(&city, id, self.now_ms).await.map_err(not_ended)?;
        let ended = ended.ok_or_else(unknown_override)?;
        Ok(Response::of(200, JSON, &ended.to_view(self.now_ms)).with("cache-control", "no-store"))
    }

    async fn known_city(&self, city: &str) -> Result<CityId, Problem> {
        self.stored(city).await?.map(|stored| stored.city).ok_or_else(unknown_city)
    }
}

fn invalid(faults: Vec<Fault>) -> Problem {
    let detail = "the override has invalid fields; nothing was created";
    Problem::new(422, "invalid_override", detail).with_errors(faults.into_iter().map(field_error))
}

fn unknown_override() -> Problem {
    Problem::new(404, "unknown_override", "no such override, or it was kept long enough")
}

fn unread(_: Unavailable) -> Problem {
    Problem::new(503, "unavailable", "the overrides cannot be read").with("retry-after", "1")
}

fn not_created(error: CreateError) -> Problem {
    match error {
        CreateError::TooMany => Problem::new(409, "too_many_overrides", error.to_string()),
        CreateError::Unavailable(Unavailable) => {
            let detail = "it is unknown whether the override was created: list the overrides to find out";
            Problem::new(503, "unavailable", detail).with("retry-after", "1")
        }
    }
}

fn not_ended(_: Unavailable) -> Problem {
    let detail = "it is unknown whether the override was ended: read it to find out";
    Problem::new(503, "unavailable", detail).with("retry-after", "1")
}
