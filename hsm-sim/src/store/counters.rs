//! Small durable numbers in a preallocated file: failed logins (INV-62) and the incarnation (INV-73).
//!
//! They live outside the record store because they must be writable on a full disk (INV-11). Each slot has two cells
//! in different sectors; a write goes to the older one, so a torn write leaves the newer one intact. A cell is
//! authenticated under the volume's key. Slot numbers are the caller's.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;

use super::StoreError;
use super::committer::FailureHook;
use super::sealing::VolumeKeys;

/// Number of slots.
pub(crate) const SLOTS: usize = 1026;
const SECTOR: usize = 512;
const FIELDS: usize = 8 + 16 + 8;
const CELL: usize = FIELDS + 32;

/// Content of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// Never written.
    Unused,
    /// The last durable write.
    Value {
        /// What the number belongs to.
        binding: [u8; 16],
        /// The number.
        value: u64,
    },
    /// Written, but neither cell is authentic: fail closed.
    Damaged,
}

#[derive(Clone, Copy)]
struct State {
    slot: Slot,
    sequence: u64,
}

/// The two operations that durability rests on, so that a test can stand in a disk that forgets what was not synced.
pub(crate) trait CellFile: Send + Sync {
    /// Writes all bytes at this offset.
    ///
    /// # Errors
    /// The system's.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> std::io::Result<()>;

    /// Returns when everything written is on disk.
    ///
    /// # Errors
    /// The system's; the content is then unknown.
    fn sync(&self) -> std::io::Result<()>;
}

impl CellFile for File {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> std::io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.sync_data()
    }
}

/// The file.
pub(crate) struct Counters {
    file: Box<dyn CellFile>,
    keys: Arc<VolumeKeys>,
    states: Mutex<Vec<State>>,
    on_failure: FailureHook,
}

impl Counters {
    /// Makes the file at its full size, so that no later write needs space.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it cannot be written and synced.
    pub(crate) fn create(path: &Path) -> Result<(), StoreError> {
        let mut file = File::create_new(path).map_err(StoreError::io("create", path))?;
        file.write_all(&vec![0; SLOTS * 2 * SECTOR]).map_err(StoreError::io("write", path))?;
        file.sync_all().map_err(StoreError::io("sync", path))
    }

    /// Opens the file and reads every slot.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if its size is wrong, [`StoreError::Io`] if it cannot be read.
    pub(crate) fn open(path: &Path, keys: Arc<VolumeKeys>, on_failure: FailureHook) -> Result<Self, StoreError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(StoreError::io("open", path))?;
        let mut bytes = vec![0; SLOTS * 2 * SECTOR];
        let length = file.metadata().map_err(StoreError::io("inspect", path))?.len();
        if length != bytes.len() as u64 {
            return Err(StoreError::damaged(path, format!("counter file has {length} bytes")));
        }
        file.read_exact_at(&mut bytes, 0).map_err(StoreError::io("read", path))?;
        let states = bytes.chunks_exact(2 * SECTOR).enumerate().map(|(slot, cells)| read_slot(&keys, slot, cells));
        let states = Mutex::new(states.collect());
        Ok(Self { file: Box::new(file), keys, states, on_failure })
    }

    /// The same counters on another disk.
    #[cfg(test)]
    pub(crate) fn on(self, file: Box<dyn CellFile>) -> Self {
        Self { file, ..self }
    }

    /// The slot's last durable content.
    pub(crate) fn read(&self, slot: usize) -> Slot {
        let states = self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        states.get(slot).map_or(Slot::Damaged, |state| state.slot)
    }

    /// Writes a slot. Blocks until it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Failed`] after the failure hook ran: the number must then count as unknown.
    pub(crate) fn write(&self, slot: usize, binding: [u8; 16], value: u64) -> Result<(), StoreError> {
        let mut states = self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let state = states.get_mut(slot).ok_or(StoreError::Failed)?;
        let sequence = state.sequence + 1;
        let cell = encode_cell(&self.keys, slot, sequence, binding, value);
        let at = (slot * 2 + usize::from(sequence % 2 == 1)) * SECTOR;
        let written = self.file.write_all_at(&cell, at as u64).and_then(|()| self.file.sync());
        if written.is_err() {
            (self.on_failure)("failed to write a login counter: stopping");
            return Err(StoreError::Failed);
        }
        *state = State { slot: Slot::Value { binding, value }, sequence };
        Ok(())
    }
}

fn cell_mac(keys: &VolumeKeys, slot: usize, fields: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(keys.counters());
    context.update(&(slot as u64).to_be_bytes());
    context.update(fields);
    context.sign()
}

fn encode_cell(keys: &VolumeKeys, slot: usize, sequence: u64, binding: [u8; 16], value: u64) -> [u8; CELL] {
    let mut cell = [0; CELL];
    cell[..8].copy_from_slice(&sequence.to_be_bytes());
    cell[8..24].copy_from_slice(&binding);
    cell[24..FIELDS].copy_from_slice(&value.to_be_bytes());
    let tag = cell_mac(keys, slot, &cell[..FIELDS]);
    cell[FIELDS..].copy_from_slice(tag.as_ref());
    cell
}

fn read_cell(keys: &VolumeKeys, slot: usize, cell: &[u8]) -> Option<State> {
    let (fields, tag) = cell.get(..CELL)?.split_at(FIELDS);
    subtle::ConstantTimeEq::ct_eq(cell_mac(keys, slot, fields).as_ref(), tag).unwrap_u8().eq(&1).then_some(())?;
    let (sequence, rest) = fields.split_first_chunk::<8>()?;
    let (binding, value) = rest.split_first_chunk::<16>()?;
    let value = u64::from_be_bytes(value.try_into().ok()?);
    Some(State { slot: Slot::Value { binding: *binding, value }, sequence: u64::from_be_bytes(*sequence) })
}

fn read_slot(keys: &VolumeKeys, slot: usize, cells: &[u8]) -> State {
    let (even, odd) = cells.split_at(SECTOR);
    let valid = [even, odd].into_iter().filter_map(|cell| read_cell(keys, slot, cell));
    valid.max_by_key(|state| state.sequence).unwrap_or_else(|| {
        let slot = if cells.iter().all(|byte| *byte == 0) { Slot::Unused } else { Slot::Damaged };
        State { slot, sequence: 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: [u8; 16] = [3; 16];

    fn value(value: u64) -> Slot {
        Slot::Value { binding: BINDING, value }
    }

    fn keys() -> Arc<VolumeKeys> {
        Arc::new(VolumeKeys::derive(&[1; 32], &[2; 32]).expect("derives"))
    }

    fn open(path: &Path) -> Counters {
        Counters::open(path, keys(), Arc::new(|_| ())).expect("opens")
    }

    #[test]
    fn the_last_value_survives_reopening_and_neighbours_are_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counters");
        Counters::create(&path).unwrap();
        for number in 1..=7 {
            open(&path).write(5, BINDING, number).unwrap();
            assert_eq!(open(&path).read(5), value(number));
        }
        assert_eq!(open(&path).read(4), Slot::Unused);
        assert_eq!(open(&path).read(6), Slot::Unused);
    }

    /// INV-62: whatever is left of a torn write, the value before it is still read.
    #[test]
    fn a_write_torn_at_any_byte_leaves_the_old_or_the_new_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counters");
        Counters::create(&path).unwrap();
        let counters = open(&path);
        counters.write(5, BINDING, 3).unwrap();
        let before = std::fs::read(&path).unwrap();
        counters.write(5, BINDING, 4).unwrap();
        let after = std::fs::read(&path).unwrap();
        let changed: Vec<usize> = (0..after.len()).filter(|at| before[*at] != after[*at]).collect();
        for torn in 0..=changed.len() {
            let mut bytes = before.clone();
            changed[..torn].iter().for_each(|at| bytes[*at] = after[*at]);
            std::fs::write(&path, &bytes).unwrap();
            let expected = if torn == changed.len() { value(4) } else { value(3) };
            assert_eq!(open(&path).read(5), expected, "torn after {torn} bytes");
        }
    }

    #[test]
    fn a_cell_moved_to_another_slot_or_forged_counts_as_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counters");
        Counters::create(&path).unwrap();
        open(&path).write(5, BINDING, 0).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut moved = bytes.clone();
        moved.copy_within(5 * 2 * SECTOR..6 * 2 * SECTOR, 6 * 2 * SECTOR);
        std::fs::write(&path, &moved).unwrap();
        assert_eq!(open(&path).read(6), Slot::Damaged);
        let mut forged = bytes;
        forged[5 * 2 * SECTOR + SECTOR + 31] ^= 1;
        std::fs::write(&path, &forged).unwrap();
        assert_eq!(open(&path).read(5), Slot::Damaged);
    }
}
