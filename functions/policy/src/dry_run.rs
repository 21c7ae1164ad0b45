//! The answer to `PUT …/policy?dry_run=true`: what a version would change in the document and in the map.

use std::sync::Arc;

use equilibrium_app::laws::ports::BoundStore;
use equilibrium_app::policy::bounds::BoundsInForce;
use equilibrium_app::policy::ports::PolicyStore;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::price::preview::{CellChange, preview};
use equilibrium_app::timer::Timer;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::change::{Change, changes};
use equilibrium_domain::policy::{Fault, Multiplier, Policy};
use equilibrium_domain::surge::daily::{Days, LocalDay};
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::laws::first_day_needed;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{FieldError, Problem, Request, Response};
use serde::Serialize;

use crate::{JSON, PolicyApi, compressed, field_error, unavailable};

/// The most cells of an answer; the others are counted.
pub const MAX_LISTED_CELLS: usize = 1_000;

/// A version that may be saved.
pub(crate) struct Attempt {
    /// Its number.
    pub(crate) version: u64,
    /// The policy in force.
    pub(crate) current: Option<Policy>,
    pub(crate) proposed: Policy,
    /// What would need a confirmation.
    pub(crate) too_large: Vec<Fault>,
}

#[derive(Serialize)]
struct Answer<'a> {
    dry_run: bool,
    city: &'a str,
    /// The number that the version would have.
    version: u64,
    changes: Vec<Change>,
    too_large: Vec<FieldError>,
    map: MapView,
    notes: Vec<&'static str>,
}

#[derive(Serialize)]
struct MapView {
    as_of: Option<Timestamp>,
    version: u64,
    mode: Option<Mode>,
    cells_reported: usize,
    cells_changed: usize,
    /// The greatest changes first, [`MAX_LISTED_CELLS`] at most.
    cells: Vec<CellView>,
    /// Of a cell that is not in the map and in no zone.
    unreported: Option<Values>,
}

#[derive(Serialize)]
struct CellView {
    product: String,
    cell: Cell,
    before: Multiplier,
    after: Option<Multiplier>,
}

#[derive(Serialize)]
struct Values {
    before: Multiplier,
    after: Multiplier,
}

impl<S, B, M, K, T> PolicyApi<'_, S, B, M, K, T>
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn dry_run(&self, request: &Request<'_>, attempt: Attempt) -> Result<Response, Problem> {
        let Attempt { version, current, proposed, too_large } = attempt;
        let answer = Answer {
            dry_run: true,
            city: proposed.city.as_str(),
            version,
            changes: changes(current.as_ref(), &proposed),
            too_large: too_large.into_iter().map(field_error).collect(),
            map: self.map(current.as_ref(), &proposed).await?,
            notes: notes(current.as_ref(), &proposed),
        };
        Ok(compressed(Response::of(200, JSON, &answer).with("cache-control", "no-store"), request))
    }

    /// The days that laws of either policy refer to.
    async fn days(&self, policies: [&Policy; 2]) -> Result<Days, Problem> {
        let first = policies.iter().filter_map(|policy| first_day_needed(policy, self.now_ms)).min();
        let (Some(first), [policy, _]) = (first, policies) else { return Ok(Days::default()) };
        // Tomorrow may have begun in the other policy's time zone.
        let last = LocalDay::of(self.now_ms, &policy.timezone).plus(1);
        let read = self.bounds.days(&policy.city, first, last).await.map_err(unavailable)?;
        Ok(read.into_iter().map(|(day, figures)| (day, Arc::new(figures))).collect())
    }

    async fn map(&self, current: Option<&Policy>, proposed: &Policy) -> Result<MapView, Problem> {
        let Some(current) = current else { return Ok(MapView::NONE) };
        let now_ms = self.now_ms;
        let map = self.maps.map(&current.city, current.clock, now_ms).await;
        let head = map.as_ref().map(|map| map.head());
        let overrides = self.bounds.not_ended(&current.city, now_ms).await.map_err(unavailable)?;
        let days = self.days([current, proposed]).await?;
        let [old, new] =
            [current, proposed].map(|policy| BoundsInForce::new((policy, 0), &overrides, &days, now_ms));
        let as_of = head.map(|head| head.as_of);
        let frozen = self.maps.frozen_maps(&current.city, old.bounds(), as_of, now_ms).await;
        let preview = preview((map.as_deref(), &frozen), [(current, &old), (proposed, &new)], now_ms);
        let (before, after) = preview.unreported;
        Ok(MapView {
            as_of: head.and_then(|head| Timestamp::from_ms(head.as_of)),
            version: head.map_or(0, |head| head.version),
            mode: Some(preview.mode),
            cells_reported: preview.reported,
            cells_changed: preview.changed.len(),
            cells: preview.changed.into_iter().take(MAX_LISTED_CELLS).map(CellView::from).collect(),
            unreported: Some(Values { before, after }),
        })
    }
}

impl MapView {
    /// The map of a city that does not exist yet.
    const NONE: Self = Self {
        as_of: None,
        version: 0,
        mode: None,
        cells_reported: 0,
        cells_changed: 0,
        cells: Vec::new(),
        unreported: None,
    };
}

impl From<CellChange> for CellView {
    fn from(change: CellChange) -> Self {
        let CellChange { product, cell, before, after } = change;
        Self { product: product.as_str().to_owned(), cell, before, after }
    }
}

/// What the map of a dry run does not show.
fn notes(current: Option<&Policy>, proposed: &Policy) -> Vec<&'static str> {
    let Some(current) = current else { return Vec::new() };
    let mut notes = Vec::new();
    if current.surge != proposed.surge || current.clock != proposed.clock || current.guard != proposed.guard {
        notes.push(
            "surge, clock or guard change: multipliers themselves move only from the next ticks on; map shows the effect of \
             limits and static tables alone",
        );
    }
    if current.resolution != proposed.resolution || current.boundary != proposed.boundary {
        notes.push("resolution or boundary change: the map has other cells from the next ticks on");
    }
    if current
        .products
        .iter()
        .map(|product| &product.id)
        .ne(proposed.products.iter().map(|product| &product.id))
    {
        notes.push("the products change: a product that is new has prices from the next ticks on");
    }
    notes
}
