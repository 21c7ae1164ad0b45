//! The grid's part of a snapshot: the state that does not follow from the lanes' counts.

use super::{Grid, LastPublished, State, flag};
use crate::geo::locate::Cell;
use crate::surge::map::ChunkName;
use crate::surge::multiplier::MultiplierState;
use crate::wire::{Corrupt, Reader, put_u64_le, put_varint_u64};

impl Grid {
    /// Appends the multipliers of every active cell and the versions of the chunks.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        for product in 0..self.active.len() {
            self.activate(product);
            put_varint_u64(out, self.active[product].len() as u64);
            for slot in &self.active[product] {
                let State { multiplier, last } = &self.states[self.state_index(*slot, product)];
                put_u64_le(out, self.slots[*slot as usize].cell);
                put_u64_le(out, multiplier.smoothed.to_bits());
                put_u64_le(out, multiplier.published.to_bits());
                put_varint_u64(out, u64::from(last.demand));
                put_varint_u64(out, u64::from(last.supply));
                put_varint_u64(out, u64::from(last.published) << 1 | u64::from(last.reported));
            }
        }
        let mut is_used = vec![false; self.chunks.len()];
        for slot in self.active.iter().flatten() {
            is_used[self.slots[*slot as usize].chunk as usize] = true;
        }
        put_varint_u64(out, is_used.iter().filter(|is_used| **is_used).count() as u64);
        for (chunk, _) in self.chunks.iter().zip(is_used).filter(|(_, is_used)| *is_used) {
            put_u64_le(out, chunk.parent.0);
            put_varint_u64(out, chunk.version);
        }
    }

    /// Reads into an empty grid what [`Self::write`] wrote under a policy with as many products.
    ///
    /// # Errors
    /// [`Corrupt`] if the input is anything else.
    pub fn read(&mut self, input: &mut Reader<'_>) -> Result<(), Corrupt> {
        for product in 0..self.active.len() {
            for _ in 0..input.count("cells")? {
                self.read_cell(product, input)?;
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

    fn read_cell(&mut self, product: usize, input: &mut Reader<'_>) -> Result<(), Corrupt> {
        let slot = self.slot_of(input.u64_le("a cell")?).ok_or(input.invalid("a cell"))?;
        let smoothed = f64::from_bits(input.u64_le("a multiplier")?);
        let published = f64::from_bits(input.u64_le("a published multiplier")?);
        let demand = input.varint_u32("a demand")?;
        let supply = input.varint_u32("a supply")?;
        let last = input.varint_u32("a last multiplier")?;
        let reported = last & 1 == 1;
        let last = u16::try_from(last >> 1).map_err(|_| input.invalid("a last multiplier"))?;
        let index = self.state_index(slot, product);
        if self.flags[index] & flag::ACTIVE != 0 {
            return Err(input.invalid("a duplicate cell"));
        }
        self.states[index] = State {
            multiplier: MultiplierState { smoothed, published, ..MultiplierState::BASE },
            last: LastPublished { reported, demand, supply, published: last },
        };
        self.flags[index] |= flag::ACTIVE;
        self.activated[product].push(slot);
        Ok(())
    }
}
