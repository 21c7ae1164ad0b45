//! The cells of a city's map: what lies on and around each, and the multiplier it comes to.
//!
//! A cell knows how many drivers and riders lie on each ring around it, as whole numbers kept up to date
//! when a count changes; so a tick costs the cells that are reported and the counts that changed, never
//! the city's area.

use h3o::{CellIndex, LatLng, Resolution};
use hashbrown::HashMap;

use crate::geo::locate::Cell;
use crate::id::ProductId;
use crate::policy::{Limits, Policy};
use crate::surge::curve;
use crate::surge::map::{Change, ChunkName, Row};
use crate::wire::hash::IntHasher;
use crate::wire::{Corrupt, Reader, put_u64_le, put_varint_u64};

/// Chunks of a map are the cells below a parent this many levels up: at most 343.
const CHUNK_LEVELS: u8 = 3;

/// Before anything was published: 1.00×, in hundredths.
const BASE_HUNDREDTHS: f64 = 100.0;

/// Every cell that matters to a city's prices at the moment.
#[derive(Debug)]
pub struct Grid {
    pricing: Pricing,
    /// Products in the order of their names, by their places in the policy.
    by_name: Vec<usize>,
    spots: Vec<CellSlot>,
    index: HashMap<u64, u32, IntHasher>,
    /// For each spot and product.
    states: Vec<State>,
    /// For each state what [`flag`] names.
    flags: Vec<u8>,
    /// For each state: demand on each ring, then supply.
    sums: Vec<u32>,
    /// For each state what is still to be added to the sums around it: demand, and supply.
    pending: Vec<[i32; 2]>,
    /// The states for which there is something.
    touched: Vec<u32>,
    /// For each product the spots whose state is alive, by cell.
    alive: Vec<Vec<u32>>,
    /// Those that came to life since.
    woken: Vec<Vec<u32>>,
    /// For each row of the last tick its chunk.
    row_chunks: Vec<u32>,
    chunks: Vec<ChunkName>,
    chunk_index: HashMap<u64, u32, IntHasher>,
}

/// What of a policy makes a price.
#[derive(Debug)]
struct Pricing {
    policy: Policy,
    alpha: f64,
    /// Hundredths.
    step: f64,
    rings: usize,
}

/// A cell and its surroundings.
#[derive(Debug)]
struct CellSlot {
    cell: u64,
    limits: Limits,
    chunk: u32,
    /// The spots around it and itself, ring by ring; looked up when somebody is first here.
    disk: Box<[u32]>,
    /// Where each ring ends in the disk.
    ends: [u8; RINGS],
}

/// A policy's most rings, the cell itself among them; the disk of so many has 127 cells.
const RINGS: usize = 7;

mod flag {
    /// The sums have changed since they were last priced.
    pub const CHANGED: u8 = 1;
    /// The cell is reported, or will be looked at at the next tick.
    pub const ACTIVE: u8 = 2;
    /// Something is still to be added around it.
    pub const TOUCHED: u8 = 4;
}

/// One cell and product.
#[derive(Clone, Copy, Debug)]
struct State {
    /// The smoothed multiplier.
    m: f64,
    /// Hundredths, unlimited.
    published: f64,
    /// What the curve says of the sums, as of when they last changed.
    raw: f64,
    shown: LastPublished,
}

/// What was last reported of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LastPublished {
    reported: bool,
    demand: u32,
    supply: u32,
    /// Hundredths, limited.
    multiplier: u16,
}

/// Whom a count counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Riders.
    Demand = 0,
    /// Drivers.
    Supply = 1,
}

impl Grid {
    /// An empty map under `policy`.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let products = policy.products.len();
        let mut by_name: Vec<usize> = (0..products).collect();
        by_name.sort_by_key(|product| &policy.products[*product].id);
        let pricing = Pricing {
            alpha: curve::alpha(policy.clock.tick_ms, policy.surge.half_life_ms),
            step: f64::from(policy.surge.step_hundredths),
            rings: policy.surge.ring_weights.len(),
            policy: policy.clone(),
        };
        Self {
            pricing,
            by_name,
            spots: Vec::new(),
            index: HashMap::default(),
            states: Vec::new(),
            flags: Vec::new(),
            sums: Vec::new(),
            pending: Vec::new(),
            touched: Vec::new(),
            row_chunks: Vec::new(),
            alive: vec![Vec::new(); products],
            woken: vec![Vec::new(); products],
            chunks: Vec::new(),
            chunk_index: HashMap::default(),
        }
    }

    /// The policy it prices by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.pricing.policy
    }

    /// Whether no cell is reported and none will be before a count changes.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.touched.is_empty() && self.alive.iter().chain(&self.woken).all(Vec::is_empty)
    }

    /// The rows of the last tick priced, chunk by chunk: the chunks that have any, by parent, each with
    /// its rows in their order.
    #[must_use]
    pub fn chunked(&self, rows: &[Row]) -> Vec<(ChunkName, Vec<Row>)> {
        let mut chunks: Vec<(ChunkName, Vec<Row>)> =
            self.chunks.iter().map(|chunk| (*chunk, Vec::new())).collect();
        for (row, chunk) in rows.iter().zip(&self.row_chunks) {
            chunks[*chunk as usize].1.push(*row);
        }
        chunks.retain(|(_, rows)| !rows.is_empty());
        chunks.sort_unstable_by_key(|(chunk, _)| chunk.parent);
        chunks
    }

    /// Counts `change` more (or less) entities of these products, a bit each, in `cell`.
    ///
    /// A number that is no cell of the policy's resolution counts nowhere.
    pub fn count(&mut self, cell: u64, products: u64, side: Side, change: i64) {
        let Some(spot) = self.spot(cell) else { return };
        let count = self.alive.len();
        for product in (0..count).filter(|product| products >> product & 1 == 1) {
            let at = spot as usize * count + product;
            // No cell holds 2³¹ entities.
            #[expect(clippy::cast_possible_truncation)]
            let change = change as i32;
            self.pending[at][side as usize] += change;
            if self.flags[at] & flag::TOUCHED == 0 {
                self.flags[at] |= flag::TOUCHED;
                self.touched.push(u32::try_from(at).expect("fewer states than 2³²"));
            }
        }
    }

    /// Adds what was counted to the sums of the cells around: once a cell, whatever lanes it came from.
    fn spread(&mut self) {
        let count = self.alive.len();
        let rings = self.pricing.rings;
        for at in std::mem::take(&mut self.touched) {
            self.flags[at as usize] &= !flag::TOUCHED;
            let [demand, supply] = std::mem::take(&mut self.pending[at as usize]);
            if demand == 0 && supply == 0 {
                continue;
            }
            let (spot, product) = (at as usize / count, at as usize % count);
            if self.spots[spot].disk.is_empty() {
                self.neighbours(spot);
            }
            let spot = &self.spots[spot];
            let mut start = 0;
            for (ring, end) in spot.ends[..rings].iter().enumerate() {
                for around in &spot.disk[start..usize::from(*end)] {
                    let at = *around as usize * count + product;
                    let sums = &mut self.sums[at * 2 * rings..(at + 1) * 2 * rings];
                    // A count never falls below zero: what is taken away was added before.
                    sums[ring] = sums[ring].wrapping_add_signed(demand);
                    sums[rings + ring] = sums[rings + ring].wrapping_add_signed(supply);
                    let flags = &mut self.flags[at];
                    if *flags & flag::ACTIVE == 0 {
                        self.woken[product].push(*around);
                    }
                    *flags |= flag::CHANGED | flag::ACTIVE;
                }
                start = usize::from(*end);
            }
        }
    }

    fn spot(&mut self, cell: u64) -> Option<u32> {
        if let Some(spot) = self.index.get(&cell) {
            return Some(*spot);
        }
        let h3 = Cell(cell).h3()?;
        let policy = &self.pricing.policy;
        if u8::from(h3.resolution()) != policy.resolution {
            return None;
        }
        let limits = if policy.zones.is_empty() {
            policy.limits
        } else {
            let centre = LatLng::from(h3);
            policy.limits_at(centre.lng(), centre.lat())
        };
        let level = policy.resolution.saturating_sub(CHUNK_LEVELS);
        let parent = Resolution::try_from(level).ok().and_then(|level| h3.parent(level)).unwrap_or(h3);
        let parent = u64::from(parent);
        let chunks = &mut self.chunks;
        let chunk = *self.chunk_index.entry(parent).or_insert_with(|| {
            chunks.push(ChunkName { parent: Cell(parent), version: 0 });
            u32::try_from(chunks.len() - 1).expect("fewer chunks than cells")
        });
        let spot = u32::try_from(self.spots.len()).expect("fewer cells than 2³²");
        self.spots.push(CellSlot { cell, limits, chunk, disk: Box::default(), ends: [0; RINGS] });
        self.index.insert(cell, spot);
        let multiplier = limits.apply(BASE_HUNDREDTHS).hundredths();
        let shown = LastPublished { reported: false, demand: 0, supply: 0, multiplier };
        let state = State { m: 1.0, published: BASE_HUNDREDTHS, raw: 1.0, shown };
        self.states.resize(self.states.len() + self.alive.len(), state);
        self.flags.resize(self.states.len(), flag::CHANGED);
        self.pending.resize(self.states.len(), [0; 2]);
        self.sums.resize(self.states.len() * 2 * self.pricing.rings, 0);
        Some(spot)
    }

    /// Looks up the cells around a spot.
    fn neighbours(&mut self, spot: usize) {
        let Some(h3) = Cell(self.spots[spot].cell).h3() else { return };
        let reach = u32::try_from(self.pricing.rings - 1).expect("a policy has few rings");
        let mut disk: Vec<(CellIndex, u32)> = h3.grid_disk_distances(reach);
        disk.sort_by_key(|(_, ring)| *ring);
        let mut ends = [0; RINGS];
        let mut spots = Vec::with_capacity(disk.len());
        for (cell, ring) in disk {
            spots.extend(self.spot(cell.into()));
            ends[ring as usize] = u8::try_from(spots.len()).expect("a disk of 7 rings has 127 cells");
        }
        self.spots[spot].disk = spots.into();
        self.spots[spot].ends = ends;
    }

    /// Prices every cell that is alive, as of a tick that makes the map's `version`: the rows reported,
    /// by product and cell, and the multipliers that changed.
    pub fn price(&mut self, version: u64, changes: &mut Vec<Change>) -> Vec<Row> {
        self.spread();
        let mut rows = Vec::with_capacity(self.alive.iter().chain(&self.woken).map(Vec::len).sum());
        self.row_chunks.clear();
        for at in 0..self.by_name.len() {
            let product = self.by_name[at];
            self.activate(product);
            let mut alive = std::mem::take(&mut self.alive[product]);
            alive.retain(|spot| self.price_cell(*spot, product, version, &mut rows, changes));
            self.alive[product] = alive;
        }
        rows
    }

    /// Lets those that came to life join the others in order.
    fn activate(&mut self, product: usize) {
        if self.woken[product].is_empty() {
            return;
        }
        let spots = &self.spots;
        self.alive[product].append(&mut self.woken[product]);
        self.alive[product].sort_by_key(|spot| spots[*spot as usize].cell);
    }

    /// Prices one cell and tells whether it is reported; one that is not begins anew next time.
    fn price_cell(
        &mut self,
        spot: u32,
        product: usize,
        version: u64,
        rows: &mut Vec<Row>,
        changes: &mut Vec<Change>,
    ) -> bool {
        let at = spot as usize * self.alive.len() + product;
        let spot = &self.spots[spot as usize];
        let rings = self.pricing.rings;
        let (demand, supply) = self.sums[at * 2 * rings..(at + 1) * 2 * rings].split_at(rings);
        let state = &mut self.states[at];
        let (d, s) = (self.pricing.smooth(demand), self.pricing.smooth(supply));
        if self.flags[at] & flag::CHANGED != 0 {
            state.raw = self.pricing.raw(d, s);
            self.flags[at] &= !flag::CHANGED;
        }
        state.m += self.pricing.alpha * (state.raw - state.m);
        state.published = self.pricing.publish(state.m, state.published);
        let reported = d != 0.0 || s != 0.0 || state.published != BASE_HUNDREDTHS;
        let multiplier = spot.limits.apply(state.published);
        let shown = LastPublished {
            reported,
            demand: demand[0],
            supply: supply[0],
            multiplier: multiplier.hundredths(),
        };
        // Places of products in a policy are below 64.
        #[expect(clippy::cast_possible_truncation)]
        let row = Row {
            product: product as u8,
            cell: Cell(spot.cell),
            demand: shown.demand,
            supply: shown.supply,
            multiplier,
        };
        if shown.multiplier != state.shown.multiplier {
            changes.push(Change { row, before: state.shown.multiplier });
        }
        if shown != state.shown {
            self.chunks[spot.chunk as usize].version = version;
            state.shown = shown;
        }
        if reported {
            rows.push(row);
            self.row_chunks.push(spot.chunk);
        } else {
            self.flags[at] &= !flag::ACTIVE;
            state.m = 1.0;
            state.published = BASE_HUNDREDTHS;
        }
        reported
    }

    /// Writes what cannot be counted anew: the memory of every cell alive, and the chunks' versions.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        for product in 0..self.alive.len() {
            self.activate(product);
            put_varint_u64(out, self.alive[product].len() as u64);
            for spot in &self.alive[product] {
                let state = &self.states[*spot as usize * self.alive.len() + product];
                put_u64_le(out, self.spots[*spot as usize].cell);
                put_u64_le(out, state.m.to_bits());
                put_u64_le(out, state.published.to_bits());
                put_varint_u64(out, u64::from(state.shown.demand));
                put_varint_u64(out, u64::from(state.shown.supply));
                put_varint_u64(out, u64::from(state.shown.multiplier) << 1 | u64::from(state.shown.reported));
            }
        }
        let mut filled = vec![false; self.chunks.len()];
        for spot in self.alive.iter().flatten() {
            filled[self.spots[*spot as usize].chunk as usize] = true;
        }
        put_varint_u64(out, filled.iter().filter(|filled| **filled).count() as u64);
        for (chunk, _) in self.chunks.iter().zip(filled).filter(|(_, filled)| *filled) {
            put_u64_le(out, chunk.parent.0);
            put_varint_u64(out, chunk.version);
        }
    }

    /// Reads what [`Self::write`] wrote under a policy with as many products, before anything is counted.
    ///
    /// # Errors
    /// [`Corrupt`] where it did not.
    pub fn read(&mut self, input: &mut Reader<'_>) -> Result<(), Corrupt> {
        for product in 0..self.alive.len() {
            for _ in 0..input.count("cells")? {
                let spot = self.spot(input.u64_le("a cell")?).ok_or(input.invalid("a cell"))?;
                let at = spot as usize * self.alive.len() + product;
                let m = f64::from_bits(input.u64_le("a multiplier")?);
                let published = f64::from_bits(input.u64_le("a published multiplier")?);
                let demand = input.varint_u32("a demand")?;
                let supply = input.varint_u32("a supply")?;
                let multiplier = input.varint_u32("a reported multiplier")?;
                let reported = multiplier & 1 == 1;
                let multiplier = u16::try_from(multiplier >> 1).map_err(|_| input.invalid("a multiplier"))?;
                if self.flags[at] & flag::ACTIVE != 0 {
                    return Err(input.invalid("a cell known already"));
                }
                let shown = LastPublished { reported, demand, supply, multiplier };
                self.states[at] = State { m, published, raw: 1.0, shown };
                self.flags[at] |= flag::ACTIVE;
                self.woken[product].push(spot);
            }
        }
        for _ in 0..input.count("chunks")? {
            let parent = Cell(input.u64_le("a chunk's parent")?);
            let version = input.varint_u64("a chunk's version")?;
            if let Some(chunk) = self.chunk_index.get(&parent.0) {
                self.chunks[*chunk as usize].version = version;
            } else {
                let chunk = u32::try_from(self.chunks.len()).map_err(|_| input.invalid("a chunk"))?;
                self.chunk_index.insert(parent.0, chunk);
                self.chunks.push(ChunkName { parent, version });
            }
        }
        Ok(())
    }

    /// Takes over the memory of `old`, of the same resolution, for the products that both price.
    pub fn inherit(&mut self, old: &Self) {
        for (product, was) in self.shared_products(old) {
            for spot in old.alive[was].iter().chain(&old.woken[was]) {
                let before = old.states[*spot as usize * old.alive.len() + was];
                let Some(spot) = self.spot(old.spots[*spot as usize].cell) else { continue };
                let at = spot as usize * self.alive.len() + product;
                // No chunk of these terms holds the cell yet.
                let shown = LastPublished { reported: false, ..before.shown };
                self.states[at] = State { raw: 1.0, shown, ..before };
                self.flags[at] |= flag::ACTIVE;
                self.woken[product].push(spot);
            }
        }
    }

    fn shared_products(&self, old: &Self) -> Vec<(usize, usize)> {
        let place = |id: &ProductId| old.policy().products.iter().position(|product| product.id == *id);
        let products = self.policy().products.iter().enumerate();
        products.filter_map(|(at, product)| Some((at, place(&product.id)?))).collect()
    }
}

impl Pricing {
    /// The sum over the rings, weighted, in their order (CONTRACT §3, "Smoothing over space").
    fn smooth(&self, sums: &[u32]) -> f64 {
        let rings = self.policy.surge.ring_weights.iter().zip(sums);
        rings.fold(0.0, |all, (weight, sum)| all + weight * f64::from(*sum))
    }

    fn raw(&self, demand: f64, supply: f64) -> f64 {
        let surge = &self.policy.surge;
        let pressure = curve::pressure(demand, supply, surge.prior, surge.curve.balanced_ratio);
        surge.curve.raw(pressure)
    }

    /// The published multiplier follows the smoothed one in whole steps, once it is three quarters of a
    /// step away (CONTRACT §3, "Smoothing over time").
    fn publish(&self, m: f64, published: f64) -> f64 {
        let hundredths = 100.0 * m;
        if (hundredths - published).abs() >= 0.75 * self.step {
            self.step * (hundredths / self.step + 0.5).floor()
        } else {
            published
        }
    }
}

#[cfg(test)]
mod tests;
