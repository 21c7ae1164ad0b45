//! What a market knows of one lane: what counts of it, and what it has reported ahead.

use std::collections::VecDeque;

use crate::count::sightings::{Count, Place};
use crate::count::tick_counts::TickCounts;
use crate::surge::grid::{Grid, Side};
use crate::wire::products::ProductMapping;
use crate::wire::{Corrupt, Reader, put_varint_i64, put_varint_u64};

/// What one lane has said so far.
#[derive(Debug, Default)]
pub(super) struct LaneProgress {
    /// What counts of it.
    pub(super) supply: Vec<Count>,
    pub(super) demand: Vec<Count>,
    /// The tick of these counts.
    as_of: Option<i64>,
    /// The last tick reported.
    reported: Option<i64>,
    pub(super) queue: VecDeque<PendingTick>,
    /// Parts of a report whose last part is still to come.
    partial: Option<PendingTick>,
}

/// A report that waits for its tick, or for the last of its run of empty ticks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PendingTick {
    pub(super) from: i64,
    to: i64,
    arrival: i64,
    supply: Vec<Count>,
    demand: Vec<Count>,
}

impl PendingTick {
    fn is_empty(&self) -> bool {
        self.supply.is_empty() && self.demand.is_empty()
    }
}

impl LaneProgress {
    pub(super) fn is_empty(&self) -> bool {
        self.supply.is_empty() && self.demand.is_empty()
    }

    pub(super) fn has_reported(&self, tick: i64) -> bool {
        self.reported.is_some_and(|reported| reported >= tick)
    }

    /// When the report that covers `tick`, or the first after it, arrived.
    pub(super) fn arrival_of(&self, tick: i64) -> Option<i64> {
        self.queue.iter().find(|report| report.to >= tick).map(|report| report.arrival)
    }

    /// Queues a report; one of ticks that the lane reported before says nothing new.
    pub(super) fn enqueue(&mut self, report: TickCounts, mapping: &ProductMapping, arrival: i64) {
        match report {
            TickCounts::Empty { from, to } => {
                if self.has_reported(to) {
                    return;
                }
                let from = self.reported.map_or(from, |reported| from.max(reported + 1));
                self.reported = Some(to);
                self.queue.push_back(PendingTick { from, to, arrival, ..PendingTick::default() });
            }
            TickCounts::Tick { at, first, last, mut supply, mut demand } => {
                if self.has_reported(at) {
                    return;
                }
                remap(&mut supply, mapping);
                remap(&mut demand, mapping);
                if first {
                    self.partial = Some(PendingTick { from: at, to: at, arrival, supply, demand });
                } else if let Some(partial) = self.partial.as_mut().filter(|partial| partial.to == at) {
                    partial.supply.append(&mut supply);
                    partial.demand.append(&mut demand);
                }
                if last && let Some(whole) = self.partial.take_if(|partial| partial.to == at) {
                    self.reported = Some(at);
                    self.queue.push_back(whole);
                }
            }
        }
    }

    /// Counts at `tick` what the lane last reported, for at most `ttl_ms`.
    pub(super) fn advance(&mut self, tick: i64, ttl_ms: i64, grid: &mut Grid) {
        while let Some(report) = self.queue.front()
            && report.from <= tick
        {
            self.as_of = Some(report.to.min(tick));
            if report.to > tick {
                self.become_counts(&PendingTick::default(), grid);
                return;
            }
            let Some(report) = self.queue.pop_front() else { return };
            let superseded = self.queue.front().is_some_and(|next| next.from <= tick);
            if !superseded {
                self.become_counts(&report, grid);
            }
        }
        if self.as_of.is_some_and(|as_of| tick - as_of >= ttl_ms) {
            self.become_counts(&PendingTick::default(), grid);
        }
    }

    fn become_counts(&mut self, report: &PendingTick, grid: &mut Grid) {
        for (side, now, next) in [
            (Side::Demand, &mut self.demand, &report.demand),
            (Side::Supply, &mut self.supply, &report.supply),
        ] {
            differences(now, next, |place, change| grid.count(place.cell, place.products, side, change));
            now.clone_from(next);
        }
    }

    /// The last tick, at most, up to which the lane surely reports nobody.
    pub(super) fn last_quiet(&self, tick_ms: i64) -> Option<i64> {
        let busy = self.queue.iter().find(|report| !report.is_empty());
        busy.map(|report| report.from - tick_ms).or(self.reported)
    }

    pub(super) fn skip_to(&mut self, tick: i64) {
        while self.queue.front().is_some_and(|report| report.to <= tick) {
            self.queue.pop_front();
        }
        self.as_of = Some(tick);
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for tick in [self.as_of, self.reported] {
            put_varint_u64(out, u64::from(tick.is_some()));
            put_varint_i64(out, tick.unwrap_or(0));
        }
        put_counts(out, &self.supply);
        put_counts(out, &self.demand);
        put_varint_u64(out, u64::from(self.partial.is_some()));
        put_varint_u64(out, self.queue.len() as u64);
        for report in self.partial.iter().chain(&self.queue) {
            put_varint_i64(out, report.from);
            put_varint_i64(out, report.to);
            put_varint_i64(out, report.arrival);
            put_counts(out, &report.supply);
            put_counts(out, &report.demand);
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut lane = Self::default();
        for tick in [&mut lane.as_of, &mut lane.reported] {
            let known = input.varint_up_to(1, "a tick's mark")? == 1;
            let at = input.instant("a tick")?;
            *tick = known.then_some(at);
        }
        lane.supply = read_counts(input)?;
        lane.demand = read_counts(input)?;
        let partial = input.varint_up_to(1, "a part's mark")? == 1;
        let queued = input.count("reports")?;
        if partial {
            lane.partial = Some(PendingTick::read(input)?);
        }
        for _ in 0..queued {
            lane.queue.push_back(PendingTick::read(input)?);
        }
        Ok(lane)
    }

    pub(super) fn remap(&mut self, mapping: &ProductMapping) {
        remap(&mut self.supply, mapping);
        remap(&mut self.demand, mapping);
        for report in self.queue.iter_mut().chain(&mut self.partial) {
            remap(&mut report.supply, mapping);
            remap(&mut report.demand, mapping);
        }
    }
}

impl PendingTick {
    fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            from: input.instant("a tick")?,
            to: input.instant("a tick")?,
            arrival: input.instant("an arrival")?,
            supply: read_counts(input)?,
            demand: read_counts(input)?,
        })
    }
}

/// The counts by another product table. An entity that serves none of its products is left out.
fn remap(counts: &mut Vec<Count>, mapping: &ProductMapping) {
    if mapping.is_identity() {
        return;
    }
    for Count { place, .. } in &mut *counts {
        place.products = mapping.map(place.products);
    }
    counts.retain(|count| count.place.products != 0);
    counts.sort_unstable_by_key(|count| count.place);
    counts.dedup_by(|next, kept| {
        let same = next.place == kept.place;
        if same {
            kept.entities += next.entities;
        }
        same
    });
}

/// Calls `change` for every place at which `next` counts others than `now`; both are ascending.
fn differences(now: &[Count], next: &[Count], mut change: impl FnMut(Place, i64)) {
    let (mut now, mut next) = (now.iter().peekable(), next.iter().peekable());
    loop {
        let (gone, come) = match (now.peek(), next.peek()) {
            (None, None) => return,
            (Some(a), Some(b)) => (a.place <= b.place, b.place <= a.place),
            (gone, _) => (gone.is_some(), gone.is_none()),
        };
        let gone = now.next_if(|_| gone);
        let come = next.next_if(|_| come);
        let by = |count: Option<&Count>| count.map_or(0, |count| i64::from(count.entities));
        let difference = by(come) - by(gone);
        if difference != 0
            && let Some(count) = come.or(gone)
        {
            change(count.place, difference);
        }
    }
}

fn put_counts(out: &mut Vec<u8>, counts: &[Count]) {
    put_varint_u64(out, counts.len() as u64);
    let mut last = 0;
    for Count { place, entities } in counts {
        put_varint_u64(out, place.cell - last);
        put_varint_u64(out, place.products);
        put_varint_u64(out, u64::from(*entities));
        last = place.cell;
    }
}

fn read_counts(input: &mut Reader<'_>) -> Result<Vec<Count>, Corrupt> {
    let mut counts = Vec::new();
    let mut cell = 0_u64;
    for _ in 0..input.count("counts")? {
        let step = input.varint_u64("a step to a cell")?;
        cell = cell.checked_add(step).ok_or(input.invalid("a cell"))?;
        let products = input.varint_u64("products")?;
        let entities = input.varint_u32("a count")?;
        counts.push(Count { place: Place { cell, products }, entities });
    }
    Ok(counts)
}
