//! The watermark board in memory.

use equilibrium_domain::event::watermark_board::{BOARD_PARTS, BoardPart};

use super::shared::Shared;
use crate::ingest::ports::{Board, BoardError, Turn, Versioned, WatermarkBoard};
use crate::unavailable::Unavailable;

/// A watermark board in memory; clones share it.
#[derive(Clone, Debug)]
pub struct MemoryWatermarkBoard(Shared<Board>);

impl Default for MemoryWatermarkBoard {
    fn default() -> Self {
        let board = Self(Shared::default());
        board.0.lock().parts.resize_with(BOARD_PARTS.into(), Versioned::default);
        board
    }
}

impl WatermarkBoard for MemoryWatermarkBoard {
    async fn read(&self) -> Result<Board, Unavailable> {
        Ok(self.0.lock().clone())
    }

    async fn save_part(&self, number: u16, after: u64, part: &BoardPart) -> Result<(), BoardError> {
        save(&mut self.0.lock().parts[usize::from(number)], after, part.clone())
    }

    async fn save_turn(&self, after: u64, turn: Turn) -> Result<(), BoardError> {
        save(&mut self.0.lock().turn, after, turn)
    }
}

fn save<T>(stored: &mut Versioned<T>, after: u64, value: T) -> Result<(), BoardError> {
    if stored.version != after {
        return Err(BoardError::Conflict);
    }
    *stored = Versioned { version: after + 1, value };
    Ok(())
}
