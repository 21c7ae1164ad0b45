//! The answer to `PUT …/policy?dry_run=true`: what a version would change in the document and in the map.

use equilibrium_app::overrides::ports::OverrideStore;
use equilibrium_app::policy::bounds::BoundsInForce;
use equilibrium_app::policy::ports::PolicyStore;
use equilibrium_app::price::preview::{CellChange, preview};
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::change::{Change, changes};
use equilibrium_domain::policy::{Fault, Multiplier, Policy};
use equilibrium_domain::surge::fallback::Mode;
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

impl<S, O, M, K, T> PolicyApi<'_, S, O, M, K, T>
where
    S: PolicyStore,
    O: OverrideStore,
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

    async fn map(&self, current: Option<&Policy>, proposed: &Policy) -> Result<MapView, Problem> {
        let Some(current) = current else { return Ok(MapView::NONE) };
        let now_ms = self.now_ms;
        let map = self.maps.map(&current.city, current.clock, now_ms).await;
        let head = map.as_ref().map(|map| map.head());
        let overrides = self.overrides.not_ended(&current.city, now_ms).await.map_err(unavailable)?;
        let [old, new] =
            [current, proposed].map(|policy| BoundsInForce::new((policy, 0), &overrides, now_ms));
        let frozen = self.maps.frozen_maps(&current.city, old.bounds(), map.as_deref(), now_ms).await;
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
