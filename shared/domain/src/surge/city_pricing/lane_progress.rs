//! A city's state of one lane: the counts that are in effect, and the tick counts that are pending.

use std::collections::VecDeque;

use crate::count::sightings::{Contact, Count, Place};
use crate::count::tick_counts::TickCounts;
use crate::surge::feed_guard::FeedGuard;
use crate::surge::grid::{Grid, Side};
use crate::wire::products::ProductMapping;
use crate::wire::{Corrupt, Reader, put_varint_i64, put_varint_u64};

/// A city's state of one lane.
#[derive(Debug, Default)]
pub(super) struct LaneProgress {
    /// The drivers in effect, by place.
    pub(super) supply: Vec<Count>,
    /// The riders in effect, by place.
    pub(super) demand: Vec<Count>,
    /// The drivers in touch.
    pub(super) in_touch: u32,
    /// The tick of these counts.
    as_of: Option<i64>,
    /// The last tick that the lane has reported.
    reported: Option<i64>,
    /// The counts of ticks that have not closed yet; without memory of its own when it is empty, as nearly always.
    pub(super) queue: VecDeque<PendingTick>,
    /// The parts so far of a tick whose last part is missing.
    partial: Option<Box<PendingTick>>,
}

/// The counts of a tick, or of a run of empty ticks, that has not closed yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PendingTick {
    pub(super) from: i64,
    to: i64,
    arrival_ms: i64,
    contact: Contact,
    supply: Vec<Count>,
    demand: Vec<Count>,
}

impl PendingTick {
    fn is_empty(&self) -> bool {
        self.contact == Contact::default() && self.supply.is_empty() && self.demand.is_empty()
    }
}

impl LaneProgress {
    /// The progress of the two lanes that the lane becomes. What it has reported stays with the first, and the second
    /// has reported the same ticks as empty: the sum is that of the lane until each reports its own share.
    pub(super) fn into_halves(self) -> [Self; 2] {
        let emptied = |pending: &PendingTick| {
            let PendingTick { from, to, arrival_ms, .. } = *pending;
            PendingTick { from, to, arrival_ms, ..PendingTick::default() }
        };
        let second = Self {
            as_of: self.as_of,
            reported: self.reported,
            queue: self.queue.iter().map(emptied).collect(),
            ..Self::default()
        };
        [self, second]
    }

    /// Whether no entity of the lane is in effect.
    pub(super) fn is_empty(&self) -> bool {
        self.in_touch == 0 && self.supply.is_empty() && self.demand.is_empty()
    }

    pub(super) fn has_reported(&self, tick: i64) -> bool {
        self.reported.is_some_and(|reported| reported >= tick)
    }

    /// The arrival time of the counts of `tick`, or of the first tick after it.
    pub(super) fn arrival_ms(&self, tick: i64) -> Option<i64> {
        self.queue.iter().find(|pending| pending.to >= tick).map(|pending| pending.arrival_ms)
    }

    /// Lets no pending counts have arrived after `latest_ms`.
    pub(super) fn limit_arrivals(&mut self, latest_ms: i64) {
        for pending in self.queue.iter_mut().chain(self.partial.as_deref_mut()) {
            pending.arrival_ms = pending.arrival_ms.min(latest_ms);
        }
    }

    /// Queues the counts of a tick or of a run. Ticks that the lane has reported before are ignored.
    pub(super) fn enqueue(&mut self, counts: TickCounts, mapping: &ProductMapping, arrival_ms: i64) {
        match counts {
            TickCounts::Empty { from, to } => {
                if self.has_reported(to) {
                    return;
                }
                let from = self.reported.map_or(from, |reported| from.max(reported + 1));
                self.reported = Some(to);
                self.push(PendingTick { from, to, arrival_ms, ..PendingTick::default() });
            }
            TickCounts::Tick { at, first, last, contact, mut supply, mut demand } => {
                if self.has_reported(at) {
                    return;
                }
                remap(&mut supply, mapping);
                remap(&mut demand, mapping);
                if first {
                    let part = PendingTick { from: at, to: at, arrival_ms, contact, supply, demand };
                    self.partial = Some(Box::new(part));
                } else if let Some(partial) = self.partial.as_mut().filter(|partial| partial.to == at) {
                    partial.supply.append(&mut supply);
                    partial.demand.append(&mut demand);
                }
                if last && let Some(whole) = self.partial.take_if(|partial| partial.to == at) {
                    self.reported = Some(at);
                    self.push(*whole);
                }
            }
        }
    }

    /// Appends to the queue; most hold one tick, so the first takes memory for itself alone.
    fn push(&mut self, pending: PendingTick) {
        if self.queue.is_empty() {
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(pending);
    }

    /// Frees the memory of an empty queue: a city has as many as there are lanes.
    fn free_queue(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Puts the newest counts at or before `tick` into effect, and none if they are `ttl_ms` old. Adds the drivers lost
    /// at the ticks on the way to `guard`.
    pub(super) fn advance(&mut self, tick: i64, ttl_ms: i64, grid: &mut Grid, guard: &mut FeedGuard) {
        while let Some(pending) = self.queue.front()
            && pending.from <= tick
        {
            self.as_of = Some(pending.to.min(tick));
            if pending.to > tick {
                self.set_counts(&PendingTick::default(), grid);
                return;
            }
            let Some(pending) = self.queue.pop_front() else { return };
            guard.add_lost(pending.to, pending.contact.lost);
            let is_superseded = self.queue.front().is_some_and(|next| next.from <= tick);
            if !is_superseded {
                self.set_counts(&pending, grid);
            }
        }
        self.free_queue();
        if self.as_of.is_some_and(|as_of| tick - as_of >= ttl_ms) {
            self.set_counts(&PendingTick::default(), grid);
        }
    }

    fn set_counts(&mut self, pending: &PendingTick, grid: &mut Grid) {
        self.in_touch = pending.contact.in_touch;
        for (side, current, next) in [
            (Side::Demand, &mut self.demand, &pending.demand),
            (Side::Supply, &mut self.supply, &pending.supply),
        ] {
            differences(current, next, |place, change| grid.count(place.cell, place.products, side, change));
            current.clone_from(next);
        }
    }

    /// The last tick before the first with counts, as far as the lane has reported.
    pub(super) fn last_quiet(&self, tick_ms: i64) -> Option<i64> {
        let first_with_counts = self.queue.iter().find(|pending| !pending.is_empty());
        first_with_counts.map(|pending| pending.from - tick_ms).or(self.reported)
    }

    /// Advances to `tick` over pending ticks without counts.
    pub(super) fn skip_to(&mut self, tick: i64) {
        while self.queue.front().is_some_and(|pending| pending.to <= tick) {
            self.queue.pop_front();
        }
        self.free_queue();
        self.as_of = Some(tick);
    }

    /// Appends the lane's part of a snapshot.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for tick in [self.as_of, self.reported] {
            put_varint_u64(out, u64::from(tick.is_some()));
            put_varint_i64(out, tick.unwrap_or(0));
        }
        put_varint_u64(out, u64::from(self.in_touch));
        put_counts(out, &self.supply);
        put_counts(out, &self.demand);
        put_varint_u64(out, u64::from(self.partial.is_some()));
        put_varint_u64(out, self.queue.len() as u64);
        for pending in self.partial.as_deref().into_iter().chain(&self.queue) {
            put_varint_i64(out, pending.from);
            put_varint_i64(out, pending.to);
            put_varint_i64(out, pending.arrival_ms);
            put_varint_u64(out, u64::from(pending.contact.in_touch));
            put_varint_u64(out, u64::from(pending.contact.lost));
            put_counts(out, &pending.supply);
            put_counts(out, &pending.demand);
        }
    }

    /// Reads a part of a snapshot that [`Self::write`] wrote.
    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut lane = Self::default();
        for tick in [&mut lane.as_of, &mut lane.reported] {
            let known = input.varint_up_to(1, "a tick's mark")? == 1;
            let at = input.instant("a tick")?;
            *tick = known.then_some(at);
        }
        lane.in_touch = input.varint_u32("drivers in touch")?;
        lane.supply = read_counts(input)?;
        lane.demand = read_counts(input)?;
        let partial = input.varint_up_to(1, "a part's mark")? == 1;
        let queued = input.count("pending ticks")?;
        if partial {
            lane.partial = Some(Box::new(PendingTick::read(input)?));
        }
        for _ in 0..queued {
            lane.push(PendingTick::read(input)?);
        }
        Ok(lane)
    }

    /// Converts all counts to another product table.
    pub(super) fn remap(&mut self, mapping: &ProductMapping) {
        remap(&mut self.supply, mapping);
        remap(&mut self.demand, mapping);
        for pending in self.queue.iter_mut().chain(self.partial.as_deref_mut()) {
            remap(&mut pending.supply, mapping);
            remap(&mut pending.demand, mapping);
        }
    }
}

impl PendingTick {
    fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            from: input.instant("a tick")?,
            to: input.instant("a tick")?,
            arrival_ms: input.instant("an arrival time")?,
            contact: Contact {
                in_touch: input.varint_u32("drivers in touch")?,
                lost: input.varint_u32("drivers lost")?,
            },
            supply: read_counts(input)?,
            demand: read_counts(input)?,
        })
    }
}

/// Converts counts to another product table. Entities without any of its products are left out.
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

/// Calls `change` with the difference for every place whose count differs; both lists are ordered by place.
fn differences(current: &[Count], next: &[Count], mut change: impl FnMut(Place, i64)) {
    let (mut current, mut next) = (current.iter().peekable(), next.iter().peekable());
    loop {
        let (take_old, take_new) = match (current.peek(), next.peek()) {
            (None, None) => return,
            (Some(old), Some(new)) => (old.place <= new.place, new.place <= old.place),
            (old, _) => (old.is_some(), old.is_none()),
        };
        let old = current.next_if(|_| take_old);
        let new = next.next_if(|_| take_new);
        let entities = |count: Option<&Count>| count.map_or(0, |count| i64::from(count.entities));
        let difference = entities(new) - entities(old);
        if difference != 0
            && let Some(count) = new.or(old)
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
