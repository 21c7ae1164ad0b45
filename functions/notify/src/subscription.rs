//! A client's subscription: what it asked for, and its events one after the other.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use equilibrium_app::notify::change::VersionId;
use equilibrium_app::notify::change_log::{ChangeLog, LoggedChange};
use equilibrium_app::notify::follow::{Filter, Follower, Next, Start};
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::ports::MapStore;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_http::{Problem, Request, Response, event_stream, excludes};

use crate::message;

/// The most cells of a subscription: a chunk of a map has as many (CONTRACT §10 leaves the number open).
pub const MAX_CELLS: usize = 343;

/// How long a client waits before it connects again, in milliseconds (CONTRACT §10).
const RETRY_MS: u32 = 1_000;

/// The events of one client.
#[derive(Debug)]
pub struct Subscription<P, M> {
    follower: Follower<P, M>,
    /// Changes that are next.
    changes: VecDeque<Arc<LoggedChange>>,
    has_begun: bool,
}

/// Answers `GET /v1/stream` at `now_ms`, in milliseconds since the epoch: the head of the response, and the events that
/// follow it.
///
/// # Errors
/// 404 `unknown_city`, 422 `unknown_product`, 400 `malformed_parameter` or 422 `out_of_range` for what there is not; 405
/// and 406 for what the call is not; 503 if the policies cannot be read.
pub async fn subscribe<P, M: MapStore>(
    log: &Arc<ChangeLog<P, M>>,
    request: &Request<'_>,
    policies: &impl PolicySource,
    now_ms: i64,
) -> Result<(Response, Subscription<P, M>), Problem> {
    request.require_method("GET")?;
    if request.header("accept").is_some_and(|accept| excludes(accept, event_stream::MEDIA_TYPE)) {
        return Err(Problem::new(406, "not_acceptable", "the stream is text/event-stream"));
    }
    let [city, product, cells] = request.parameters(["city", "product", "cells"])?;
    let unavailable =
        |_| Problem::new(503, "unavailable", "the policies cannot be read").with("retry-after", "1");
    let policies = policies.policies(now_ms).await.map_err(unavailable)?;
    let city = city.map(|id| known_city(&policies, &id)).transpose()?;
    let product = product.map(|id| known_product(&policies, city.as_ref(), &id)).transpose()?;
    let cells = cells.map(|list| parse_cells(&list)).transpose()?;
    let start = match request.header("last-event-id") {
        None | Some("") => Start::Newest,
        Some(id) => VersionId::parse(id).map_or(Start::Unknown, Start::After),
    };
    let follower = Follower::new(Arc::clone(log), Filter { city, product, cells }, &start);
    let head =
        Response::empty(200).with("content-type", event_stream::MEDIA_TYPE).with("cache-control", "no-store");
    Ok((head, Subscription { follower, changes: VecDeque::new(), has_begun: false }))
}

impl<P: Send + Sync, M: MapStore> Subscription<P, M> {
    /// Waits for the next events of the stream.
    pub async fn next(&mut self) -> Arc<[u8]> {
        if !self.has_begun {
            self.has_begun = true;
            return event_stream::retry(RETRY_MS).into();
        }
        loop {
            if let Some(logged) = self.changes.pop_front() {
                let cells = self.follower.filter().cells.as_ref();
                return match cells {
                    Some(_) => message::change(&logged, cells).into(),
                    None => encoded(&logged.encoded, || message::change(&logged, None)),
                };
            }
            match self.follower.next().await {
                Next::Changes(changes) => self.changes = changes.into(),
                Next::Pulse(logged) => return encoded(&logged.encoded, || message::pulse(&logged)),
                Next::Reload => return message::reload().into(),
            }
        }
    }
}

fn encoded(slot: &std::sync::OnceLock<Arc<[u8]>>, encode: impl FnOnce() -> Vec<u8>) -> Arc<[u8]> {
    Arc::clone(slot.get_or_init(|| encode().into()))
}

fn known_city(policies: &PolicySet, id: &str) -> Result<CityId, Problem> {
    let unknown = || Problem::new(404, "unknown_city", "no such city").for_parameter("city");
    policies.city(id).map(|config| config.pricing.policy.city.clone()).ok_or_else(unknown)
}

/// The product called `id`, of `city` or of any city.
fn known_product(policies: &PolicySet, city: Option<&CityId>, id: &str) -> Result<ProductId, Problem> {
    let is_of = |of: &CityId| city.is_none_or(|city| city == of);
    let policies = policies.cities(None).map(|config| &config.pricing.policy);
    let mut products = policies.filter(|policy| is_of(&policy.city)).flat_map(|policy| &policy.products);
    let product = products.find(|product| product.id.as_str() == id).map(|product| product.id.clone());
    let unknown = || Problem::new(422, "unknown_product", "no such product").for_parameter("product");
    product.ok_or_else(unknown)
}

fn parse_cells(list: &str) -> Result<HashSet<Cell>, Problem> {
    let cells: Option<HashSet<Cell>> = list.split(',').take(MAX_CELLS + 1).map(Cell::parse).collect();
    let malformed = || {
        Problem::new(400, "malformed_parameter", "must be H3 cells in hexadecimal, separated by commas")
            .for_parameter("cells")
    };
    let cells = cells.ok_or_else(malformed)?;
    if cells.len() > MAX_CELLS {
        let detail = format!("must be at most {MAX_CELLS} cells");
        return Err(Problem::new(422, "out_of_range", detail).for_parameter("cells"));
    }
    Ok(cells)
}
