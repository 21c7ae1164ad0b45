//! The spatial index of a city: the counts on the rings around each cell, and the multipliers that follow.
//!
//! For each cell the grid keeps the number of drivers and riders on each ring around it, as integers that are updated
//! when a count changes. A tick therefore costs time in proportion to the cells that are reported and the counts that
//! changed, not to the city's area.

mod codec;
mod observation;

pub use self::observation::Around;

use h3o::{CellIndex, Resolution};
use hashbrown::HashMap;

use crate::geo::locate::Cell;
use crate::hash::IntHasher;
use crate::id::ProductId;
use crate::policy::ranges::MAX_RING_WEIGHTS;
use crate::policy::{Policy, Published};
use crate::surge::feed_guard::Feed;
use crate::surge::history::limits_of;
use crate::surge::map::{Change, ChunkName, Row};
use crate::surge::multiplier::{MultiplierState, SurgeFormula};

/// A chunk of a map holds the cells below a parent this many resolutions coarser: at most 343.
const CHUNK_LEVELS: u8 = 3;

/// The cells around which an entity counts or has recently counted, and their multipliers.
#[derive(Debug)]
pub struct Grid {
    policy: Policy,
    formula: SurgeFormula,
    /// The indices of the policy's products, in the order of the products' names.
    by_name: Vec<usize>,
    slots: Vec<CellSlot>,
    index: HashMap<u64, u32, IntHasher>,
    /// For each slot and product.
    states: Vec<State>,
    /// For each state the bits of [`flag`].
    flags: Vec<u8>,
    /// For each state the demand on each ring, then the supply.
    sums: Vec<u32>,
    /// For each state the changes of demand and supply that the sums around it do not include yet.
    pending: Vec<[i32; 2]>,
    /// The states with pending changes.
    with_pending: Vec<u32>,
    /// For each product the slots with an active state, ordered by cell.
    active: Vec<Vec<u32>>,
    /// For each product the slots activated since the last tick.
    activated: Vec<Vec<u32>>,
    /// Whether no multiplier moved at the last tick.
    is_steady: bool,
    /// For each row of the last tick its chunk.
    row_chunks: Vec<u32>,
    chunks: Vec<ChunkName>,
    chunk_index: HashMap<u64, u32, IntHasher>,
}

/// A cell and its surroundings.
#[derive(Debug)]
struct CellSlot {
    cell: u64,
    chunk: u32,
    /// The slots of the cells on its rings, ring by ring, itself first; empty until an entity counts in the cell.
    disk: Box<[u32]>,
    /// The end of each ring in the disk; a disk of the most rings has 127 cells.
    ends: [u8; MAX_RING_WEIGHTS],
}

mod flag {
    /// The sums have changed since the raw multiplier was computed.
    pub const CHANGED: u8 = 1;
    /// The cell is priced at the next tick.
    pub const ACTIVE: u8 = 2;
    /// The state has pending changes.
    pub const PENDING: u8 = 4;
}

/// The state of one cell and product.
#[derive(Clone, Copy, Debug)]
struct State {
    multiplier: MultiplierState,
    last: LastPublished,
}

/// What the map last reported of a cell and product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LastPublished {
    reported: bool,
    demand: u32,
    supply: u32,
    /// Hundredths, before limits.
    published: u16,
}

/// What a tick reports otherwise than the tick before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The multipliers that changed.
    pub changes: Vec<Change>,
    /// The cells that appeared or ended, or whose limits changed.
    pub edges: Vec<Row>,
}

/// The side of the market that a count belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Riders.
    Demand = 0,
    /// Drivers.
    Supply = 1,
}

impl Grid {
    /// An empty grid under `policy`.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let products = policy.products.len();
        let mut by_name: Vec<usize> = (0..products).collect();
        by_name.sort_by_key(|product| &policy.products[*product].id);
        Self {
            policy: policy.clone(),
            formula: SurgeFormula::new(policy),
            by_name,
            slots: Vec::new(),
            index: HashMap::default(),
            states: Vec::new(),
            flags: Vec::new(),
            sums: Vec::new(),
            pending: Vec::new(),
            with_pending: Vec::new(),
            is_steady: false,
            row_chunks: Vec::new(),
            active: vec![Vec::new(); products],
            activated: vec![Vec::new(); products],
            chunks: Vec::new(),
            chunk_index: HashMap::default(),
        }
    }

    /// The policy of the city.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether no cell is reported, and none will be until a count changes.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.with_pending.is_empty() && self.active.iter().chain(&self.activated).all(Vec::is_empty)
    }

    /// Whether the next tick will have the rows of the last one if no count changes: no multiplier moved.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.is_steady && self.with_pending.is_empty() && self.activated.iter().all(Vec::is_empty)
    }

    /// The rows of the last tick by chunk: the chunks that have rows, ordered by parent, each with its rows in order.
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

    /// Adds `change` to the number of entities in `cell` for each product of the set `products`.
    ///
    /// Ignored if `cell` is not a cell of the policy's resolution.
    pub fn count(&mut self, cell: u64, products: u64, side: Side, change: i64) {
        let Some(slot) = self.slot_of(cell) else { return };
        for product in (0..self.active.len()).filter(|product| products >> product & 1 == 1) {
            let index = self.state_index(slot, product);
            // A cell has fewer than 2³¹ entities.
            #[expect(clippy::cast_possible_truncation)]
            let change = change as i32;
            self.pending[index][side as usize] += change;
            if self.flags[index] & flag::PENDING == 0 {
                self.flags[index] |= flag::PENDING;
                self.with_pending.push(u32::try_from(index).expect("fewer states than 2³²"));
            }
        }
    }

    #[inline]
    fn state_index(&self, slot: u32, product: usize) -> usize {
        slot as usize * self.active.len() + product
    }

    /// Adds the pending changes to the sums of the cells around, once per cell, however many lanes they came from.
    fn apply_pending(&mut self) {
        let products = self.active.len();
        let rings = self.formula.rings();
        for index in std::mem::take(&mut self.with_pending) {
            self.flags[index as usize] &= !flag::PENDING;
            let [demand, supply] = std::mem::take(&mut self.pending[index as usize]);
            if demand == 0 && supply == 0 {
                continue;
            }
            let (slot, product) = (index as usize / products, index as usize % products);
            if self.slots[slot].disk.is_empty() {
                self.find_disk(slot);
            }
            let slot = &self.slots[slot];
            let mut start = 0;
            for (ring, end) in slot.ends[..rings].iter().enumerate() {
                for around in &slot.disk[start..usize::from(*end)] {
                    let index = *around as usize * products + product;
                    let sums = &mut self.sums[index * 2 * rings..(index + 1) * 2 * rings];
                    // Sums do not wrap: what is subtracted was added before.
                    sums[ring] = sums[ring].wrapping_add_signed(demand);
                    sums[rings + ring] = sums[rings + ring].wrapping_add_signed(supply);
                    let flags = &mut self.flags[index];
                    if *flags & flag::ACTIVE == 0 {
                        self.activated[product].push(*around);
                    }
                    *flags |= flag::CHANGED | flag::ACTIVE;
                }
                start = usize::from(*end);
            }
        }
    }

    /// The slot of a cell, which is created on first use. `None` if `cell` is not a cell of the policy's resolution.
    #[inline]
    fn slot_of(&mut self, cell: u64) -> Option<u32> {
        if let Some(slot) = self.index.get(&cell) {
            return Some(*slot);
        }
        self.add_slot(cell)
    }

    fn add_slot(&mut self, cell: u64) -> Option<u32> {
        let h3 = Cell(cell).h3()?;
        let policy = &self.policy;
        if u8::from(h3.resolution()) != policy.resolution {
            return None;
        }
        let chunk = self.chunk_of(h3);
        let slot = u32::try_from(self.slots.len()).expect("fewer cells than 2³²");
        self.slots.push(CellSlot { cell, chunk, disk: Box::default(), ends: [0; MAX_RING_WEIGHTS] });
        self.index.insert(cell, slot);
        let published = Published::ONE.hundredths();
        let last = LastPublished { reported: false, demand: 0, supply: 0, published };
        let state = State { multiplier: MultiplierState::BASE, last };
        self.states.resize(self.states.len() + self.active.len(), state);
        self.flags.resize(self.states.len(), flag::CHANGED);
        self.pending.resize(self.states.len(), [0; 2]);
        self.sums.resize(self.states.len() * 2 * self.formula.rings(), 0);
        Some(slot)
    }

    /// The chunk of a cell, which is created on first use.
    fn chunk_of(&mut self, cell: CellIndex) -> u32 {
        let level = u8::from(cell.resolution()).saturating_sub(CHUNK_LEVELS);
        let parent = Resolution::try_from(level).ok().and_then(|level| cell.parent(level)).unwrap_or(cell);
        let parent = u64::from(parent);
        let chunks = &mut self.chunks;
        *self.chunk_index.entry(parent).or_insert_with(|| {
            chunks.push(ChunkName { parent: Cell(parent), version: 0 });
            u32::try_from(chunks.len() - 1).expect("fewer chunks than cells")
        })
    }

    /// Fills in the disk of a slot.
    fn find_disk(&mut self, slot: usize) {
        let Some(h3) = Cell(self.slots[slot].cell).h3() else { return };
        let reach = u32::try_from(self.formula.rings() - 1).expect("a policy has few rings");
        let mut cells: Vec<(CellIndex, u32)> = h3.grid_disk_distances(reach);
        cells.sort_by_key(|(_, ring)| *ring);
        let mut ends = [0; MAX_RING_WEIGHTS];
        let mut disk = Vec::with_capacity(cells.len());
        for (cell, ring) in cells {
            disk.extend(self.slot_of(cell.into()));
            ends[ring as usize] = u8::try_from(disk.len()).expect("a disk of 7 rings has 127 cells");
        }
        self.slots[slot].disk = disk.into();
        self.slots[slot].ends = ends;
    }

    /// Prices every active cell at the tick of the map's `version`. Returns the rows reported, ordered by product name
    /// and cell, and appends the published multipliers that changed, and other changes of what is reported, to `moved`.
    pub fn price(&mut self, version: u64, feed: Feed, moved: &mut Moved) -> Vec<Row> {
        self.apply_pending();
        let mut rows = Vec::with_capacity(self.active.iter().chain(&self.activated).map(Vec::len).sum());
        self.row_chunks.clear();
        self.is_steady = true;
        for at in 0..self.by_name.len() {
            let product = self.by_name[at];
            self.activate(product);
            let mut active = std::mem::take(&mut self.active[product]);
            active.retain(|slot| self.price_cell(*slot, product, (version, feed), &mut rows, moved));
            self.active[product] = active;
        }
        rows
    }

    /// Merges the newly activated slots into the active ones.
    fn activate(&mut self, product: usize) {
        if self.activated[product].is_empty() {
            return;
        }
        let slots = &self.slots;
        self.active[product].append(&mut self.activated[product]);
        self.active[product].sort_by_key(|slot| slots[*slot as usize].cell);
    }

    /// Prices one cell and product, and returns whether it is reported; one that is not forgets its multiplier.
    fn price_cell(
        &mut self,
        slot: u32,
        product: usize,
        (version, feed): (u64, Feed),
        rows: &mut Vec<Row>,
        moved: &mut Moved,
    ) -> bool {
        let index = self.state_index(slot, product);
        let slot = &self.slots[slot as usize];
        let rings = self.formula.rings();
        let (demand, supply) = self.sums[index * 2 * rings..(index + 1) * 2 * rings].split_at(rings);
        let State { multiplier: state, last } = &mut self.states[index];
        let (d, s) = (self.formula.smooth_over_space(demand), self.formula.smooth_over_space(supply));
        if self.flags[index] & flag::CHANGED != 0 {
            state.raw = self.formula.raw(d, s);
            self.flags[index] &= !flag::CHANGED;
        }
        let before = *state;
        self.formula.advance(state, feed);
        self.is_steady &= before.is_same_as(state);
        let reported = d != 0.0 || s != 0.0 || !state.is_base();
        let published = state.published();
        let (demand, supply) = (demand[0], supply[0]);
        // A policy has at most 64 products.
        #[expect(clippy::cast_possible_truncation)]
        let row = Row { product: product as u8, cell: Cell(slot.cell), demand, supply, published };
        let now = LastPublished { reported, demand, supply, published: published.hundredths() };
        if now.published != last.published {
            moved.changes.push(Change { row, before: last.published });
        }
        if now.reported != last.reported {
            moved.edges.push(row);
        }
        if now != *last {
            self.is_steady = false;
            self.chunks[slot.chunk as usize].version = version;
            *last = now;
        }
        if reported {
            rows.push(row);
            self.row_chunks.push(slot.chunk);
        } else {
            self.flags[index] &= !flag::ACTIVE;
            state.forget();
        }
        reported
    }

    /// Copies the multipliers of `old`, a grid of the same resolution, for the products of both policies.
    pub fn inherit(&mut self, old: &Self) {
        for (product, old_product) in self.shared_products(old) {
            for slot in old.active[old_product].iter().chain(&old.activated[old_product]) {
                let State { multiplier, last } = old.states[old.state_index(*slot, old_product)];
                let Some(slot) = self.slot_of(old.slots[*slot as usize].cell) else { continue };
                let index = self.state_index(slot, product);
                let published = multiplier.published();
                let limited =
                    |policy| limits_of(policy, Cell(self.slots[slot as usize].cell)).apply(published);
                // A cell whose reported multiplier changes by other limits alone appears again.
                let reported = last.reported && limited(&self.policy) == limited(&old.policy);
                // The raw multiplier is that of the old curve. No chunk of this grid holds the cell yet: it must differ
                // from what the old one reported, whatever it is priced at.
                self.states[index] = State {
                    multiplier: MultiplierState { raw: MultiplierState::BASE.raw, ..multiplier },
                    last: LastPublished { demand: u32::MAX, reported, ..last },
                };
                self.flags[index] |= flag::ACTIVE;
                self.activated[product].push(slot);
            }
        }
    }

    /// The products of both policies, by their indices in this one and in the old one.
    fn shared_products(&self, old: &Self) -> Vec<(usize, usize)> {
        let old_index = |id: &ProductId| old.policy.products.iter().position(|product| product.id == *id);
        let products = self.policy.products.iter().enumerate();
        products.filter_map(|(index, product)| Some((index, old_index(&product.id)?))).collect()
    }
}

#[cfg(test)]
mod tests;
