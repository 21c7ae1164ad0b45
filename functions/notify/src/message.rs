//! The messages, as JSON in server-sent events.

use std::collections::HashSet;

use equilibrium_app::notify::change::{Change, FeedChanged, ModeChanged, Pulse, SurgeChanged};
use equilibrium_app::notify::change_log::{LoggedChange, LoggedPulse};
use equilibrium_app::price::report::ReportedCell;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::event_stream;
use serde::Serialize;

/// A comment precedes every tenth pulse, so that each connection carries one each 10 s (CONTRACT §10).
const PULSES_PER_COMMENT: u64 = 10;

#[derive(Serialize)]
struct SurgeMessage<'a> {
    city: &'a str,
    product: &'a str,
    from: u64,
    version: u64,
    bounds: u64,
    as_of: Option<Timestamp>,
    mode: Mode,
    feed: Feed,
    completeness: f64,
    now: Option<Timestamp>,
    cells: Vec<CellMessage>,
    gone: Vec<Cell>,
}

#[derive(Serialize)]
struct CellMessage {
    cell: Cell,
    multiplier: Multiplier,
    demand: u32,
    supply: u32,
}

#[derive(Serialize)]
struct ModeMessage<'a> {
    city: &'a str,
    from: Mode,
    mode: Mode,
    as_of: Option<Timestamp>,
    now: Option<Timestamp>,
}

#[derive(Serialize)]
struct FeedMessage<'a> {
    city: &'a str,
    from: Feed,
    feed: Feed,
    as_of: Option<Timestamp>,
    now: Option<Timestamp>,
}

#[derive(Serialize)]
struct PulseMessage {
    now: Option<Timestamp>,
    events_per_s: u64,
    cells: usize,
    surging: usize,
}

/// The event of a change, of its cells only those in `only`, if that is given.
pub fn change(logged: &LoggedChange, only: Option<&HashSet<Cell>>) -> Vec<u8> {
    let id = logged.id.as_ref().map(ToString::to_string);
    let id = id.as_deref();
    match &logged.change {
        Change::Surge(change) => event_stream::event("surge_changed", id, &surge(change, only)),
        Change::Mode(change) => event_stream::event("mode_changed", id, &mode(change)),
        Change::Feed(change) => event_stream::event("feed_changed", id, &feed(change)),
        Change::Recovery(change) => event_stream::event("recovery_changed", id, &change.recovery.to_view()),
    }
}

/// The event of a pulse, with a comment before it from time to time.
pub fn pulse(logged: &LoggedPulse) -> Vec<u8> {
    let Pulse { now_ms, events_per_s, cells, surging } = logged.pulse;
    let message = PulseMessage { now: Timestamp::from_ms(now_ms), events_per_s, cells, surging };
    let mut out = Vec::new();
    if logged.number.is_multiple_of(PULSES_PER_COMMENT) {
        out.extend_from_slice(event_stream::COMMENT);
    }
    out.extend(event_stream::event("pulse", None, &message));
    out
}

/// The event that asks the client to read the map again.
pub fn reload() -> Vec<u8> {
    event_stream::event("reload", None, &serde_json::Map::new())
}

fn surge<'a>(change: &'a SurgeChanged, only: Option<&HashSet<Cell>>) -> SurgeMessage<'a> {
    let is_wanted = |cell: Cell| only.is_none_or(|only| only.contains(&cell));
    let cells = change.cells.iter().filter(|row| is_wanted(row.cell)).map(cell).collect();
    SurgeMessage {
        city: change.city.as_str(),
        product: change.product.as_str(),
        from: change.from,
        version: change.version,
        bounds: change.bounds,
        as_of: Timestamp::from_ms(change.as_of),
        mode: change.mode,
        feed: change.feed,
        completeness: change.completeness,
        now: Timestamp::from_ms(change.now_ms),
        cells,
        gone: change.gone.iter().copied().filter(|cell| is_wanted(*cell)).collect(),
    }
}

fn cell(row: &ReportedCell) -> CellMessage {
    let ReportedCell { cell, demand, supply, multiplier, .. } = *row;
    CellMessage { cell, multiplier, demand, supply }
}

fn mode(change: &ModeChanged) -> ModeMessage<'_> {
    let ModeChanged { city, from, mode, as_of, now_ms } = change;
    let (as_of, now) = (as_of.and_then(Timestamp::from_ms), Timestamp::from_ms(*now_ms));
    ModeMessage { city: city.as_str(), from: *from, mode: *mode, as_of, now }
}

fn feed(change: &FeedChanged) -> FeedMessage<'_> {
    let FeedChanged { city, from, feed, as_of, now_ms } = change;
    let (as_of, now) = (Timestamp::from_ms(*as_of), Timestamp::from_ms(*now_ms));
    FeedMessage { city: city.as_str(), from: *from, feed: *feed, as_of, now }
}
