//! The number of the last acknowledged event, in a file beside the database.
//!
//! Behind an unclean end, the database's library takes a commit that does not verify for one that was interrupted, and
//! continues from the one before. This number tells an interrupted commit from a damaged one: it is written after the
//! commit and before its events are acknowledged.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;

/// Distance of the two slots, at least a sector of any disk: an interrupted write damages one of them.
const SLOT_BYTES: u64 = 4096;

/// A file without a number.
const EMPTY: [u8; 8192] = [0; 8192];

/// A slot holds the number and its complement.
type Slot = [u8; 16];

/// The number, in a file whose slots are written in turn.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    file: File,
    newest: Mutex<Newest>,
}

#[derive(Debug)]
struct Newest {
    number: u64,
    /// Its slot.
    slot: u64,
}

impl Acknowledged {
    /// Opens the file, and creates it with the number 0 if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        if file.metadata()?.len() < 2 * SLOT_BYTES {
            // Its later writes neither need space nor change its length.
            file.write_all_at(&EMPTY, 0)?;
            file.sync_all()?;
        }
        let mut newest = Newest { number: 0, slot: 0 };
        for slot in [0, 1] {
            let mut bytes = Slot::default();
            file.read_exact_at(&mut bytes, slot * SLOT_BYTES)?;
            if let Some(number) = decode(&bytes).filter(|number| *number > newest.number) {
                newest = Newest { number, slot };
            }
        }
        Ok(Self { file, newest: Mutex::new(newest) })
    }

    /// The greatest number that was written.
    pub(crate) fn number(&self) -> u64 {
        self.newest.lock().number
    }

    /// Writes a number that is not lower than the last; it is on disk when this returns.
    pub(crate) fn write(&self, number: u64) -> io::Result<()> {
        let mut newest = self.newest.lock();
        if number == newest.number {
            return Ok(());
        }
        let slot = 1 - newest.slot;
        self.file.write_all_at(&encode(number), slot * SLOT_BYTES)?;
        self.file.sync_data()?;
        *newest = Newest { number, slot };
        Ok(())
    }

    /// Makes the number 0 again.
    pub(crate) fn forget(&self) -> io::Result<()> {
        let mut newest = self.newest.lock();
        self.file.write_all_at(&EMPTY, 0)?;
        self.file.sync_data()?;
        newest.number = 0;
        Ok(())
    }
}

fn encode(number: u64) -> Slot {
    let mut slot = Slot::default();
    slot[..8].copy_from_slice(&number.to_le_bytes());
    slot[8..].copy_from_slice(&(!number).to_le_bytes());
    slot
}

/// The number; `None` if the slot was never written, or is damaged.
fn decode(slot: &Slot) -> Option<u64> {
    let half =
        |from: usize| slot[from..from + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let (number, complement) = (half(0), half(8));
    (number == !complement).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_number_is_read_back_and_a_damaged_one_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        assert_eq!(Acknowledged::open(&path).unwrap().number(), 0);
        for number in [1, 255, 256, u64::MAX - 1] {
            let file = Acknowledged::open(&path).unwrap();
            let before = file.number();
            file.write(number).unwrap();
            let whole = fs::read(&path).unwrap();
            for bit in 0..whole.len() * 8 {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if bit % 4_096 > 128 && bit % 997 > 0 {
                    continue;
                }
                fs::write(&path, &bytes).unwrap();
                let read = Acknowledged::open(&path).unwrap().number();
                assert!(read == number || read == before, "{read} with bit {bit}");
            }
            fs::write(&path, &whole).unwrap();
            assert_eq!(Acknowledged::open(&path).unwrap().number(), number);
        }
        Acknowledged::open(&path).unwrap().forget().unwrap();
        assert_eq!(Acknowledged::open(&path).unwrap().number(), 0);
    }
}
