//! Explanations from the log of a city: its state before a tick is replayed, and the tick observed.

use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::parking::LogMark;
use equilibrium_domain::surge::city_pricing::{CellAtTick, CityPricing, Output, Watch};

use crate::checkpoint::ports::{CheckpointKey, Loaded, PAST_MS, PastLog};
use crate::unavailable::Unavailable;

/// A price to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The city.
    pub city: CityId,
    /// The cell, of the resolution of the city.
    pub cell: Cell,
    /// The product; `None` is the first of the policy in force then.
    pub product: Option<ProductId>,
    /// The newest tick at or before this is explained, in milliseconds since the epoch; `None` is the newest of all.
    pub at: Option<i64>,
}

/// What a price was computed from, asked at `now_ms`, in milliseconds since the epoch. `None` if no tick had closed then, if the city had no
/// such product, or if what the explanation needs is not kept any more.
///
/// # Errors
/// [`Unavailable`].
pub async fn observe(
    log: &impl PastLog,
    question: &Question,
    now_ms: i64,
) -> Result<Option<CellAtTick>, Unavailable> {
    let Question { city, cell, product, at } = question;
    let until = at.unwrap_or(i64::MAX);
    let key = CheckpointKey::City(city.clone());
    let watch = Watch { cell: *cell, product: product.clone(), until };
    let mut tick = until;
    // The newest tick at or before that time may have closed before the snapshot: then a snapshot before it is read.
    for _ in 0..2 {
        let Some(loaded) = log.load_past(&key, tick).await? else { return Ok(None) };
        let mut replay = LogReplay::new(city, &loaded, Some(&watch));
        let before = replay.as_of();
        while !matches!(replay.step(), Step::End) && replay.as_of().is_none_or(|as_of| as_of < until) {}
        if let Some(observed) = replay.state.as_ref().and_then(CityPricing::observed) {
            let is_kept = observed.at >= now_ms.saturating_sub(PAST_MS);
            return Ok(is_kept.then(|| observed.clone()));
        }
        match before {
            Some(before) if before <= until && before < tick => tick = before,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// What an entry has done.
pub(super) enum Step {
    /// No tick closed.
    NoTick,
    /// Ticks closed.
    Ticks(Box<Output>),
    /// There was no entry.
    End,
}

/// The replay of a part of a city's log. What cannot be read is passed over: after a gap the state begins again.
pub(super) struct LogReplay<'a> {
    city: &'a CityId,
    watch: Option<&'a Watch>,
    state: Option<CityPricing>,
    number: u64,
    entries: std::slice::Iter<'a, Vec<u8>>,
}

impl<'a> LogReplay<'a> {
    pub(super) fn new(city: &'a CityId, loaded: &'a Loaded, watch: Option<&'a Watch>) -> Self {
        let state = loaded.snapshot.as_ref().and_then(|snapshot| CityPricing::restore(city, snapshot).ok());
        Self { city, watch, state, number: loaded.first, entries: loaded.entries.iter() }
    }

    /// The newest tick that has closed so far.
    pub(super) fn as_of(&self) -> Option<i64> {
        self.state.as_ref().and_then(CityPricing::as_of)
    }

    /// Replays the next entry.
    pub(super) fn step(&mut self) -> Step {
        let Some(entry) = self.entries.next() else { return Step::End };
        let number = self.number;
        self.number += 1;
        if let Some(mark) = LogMark::decode(entry) {
            if let Some(state) = &mut self.state {
                if let LogMark::Fenced(epoch) = mark {
                    state.raise_epoch(epoch);
                }
                state.skip_to(number + 1);
            }
            return Step::NoTick;
        }
        let before = self.state.take();
        self.state = CityPricing::replay_observed(before, self.city, (number, entry), self.watch).ok();
        let output = self.state.as_mut().and_then(EventSourced::take_output);
        output.map_or(Step::NoTick, |output| Step::Ticks(Box::new(output)))
    }
}
