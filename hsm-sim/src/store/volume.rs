//! A volume: made in one atomic step, opened only if everything on it is authentic and ours.
//!
//! ```text
//! <data dir>/lock                 single writer
//! <data dir>/volume/header        magic, format, volume id, volume share, check value, pod name, digest
//! <data dir>/volume/store.redb    sealed records
//! <data dir>/volume/counters      login counters, incarnation
//! <data dir>/volume.new/          a volume being made; never used, removed at the next start
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database};
use zeroize::Zeroizing;

use super::StoreError;
use super::committer::{Committer, FailureHook, Rows, Store, read_all, read_meta, version_of, write_first_meta};
use super::counters::{Counters, Slot};
use super::header::Header;
use super::inventory::Inventory;
use super::lock::VolumeLock;
use super::record::{Place, RecordKind, RecordName};
use super::sealing::VolumeKeys;
use crate::seal;

/// Slot of the counter file that counts starts.
const INCARNATION_SLOT: usize = 0;
/// redb's default is 1 GiB; every record is read once at the start and then lives in memory.
const CACHE_BYTES: usize = 16 << 20;

/// What a volume is opened with.
pub(crate) struct VolumeOptions {
    /// Mount point.
    pub(crate) data_dir: PathBuf,
    /// Name of the pod; a volume belongs to one.
    pub(crate) pod_name: String,
    /// Share from the Secret.
    pub(crate) secret_share: Zeroizing<Vec<u8>>,
    /// Ends the process.
    pub(crate) on_failure: FailureHook,
}

/// Opened content of one record.
pub(crate) type Content = Zeroizing<Vec<u8>>;

/// An open volume before its records are bound to a place.
pub(crate) struct Volume {
    lock: VolumeLock,
    keys: Arc<VolumeKeys>,
    database: Database,
    directory: PathBuf,
    records: BTreeMap<RecordName, Vec<u8>>,
    inventory: Inventory,
    sequence: u64,
    on_failure: FailureHook,
    /// Random id of the volume.
    pub(crate) volume_id: [u8; 16],
    /// Counts starts of a process on this volume, from 1.
    pub(crate) incarnation: u64,
    /// Login counters.
    pub(crate) counters: Arc<Counters>,
}

impl Volume {
    /// Opens the volume, or makes one if there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and [`StoreError::Foreign`] with nothing changed; [`StoreError::Locked`].
    pub(crate) fn open(options: &VolumeOptions) -> Result<Self, StoreError> {
        let lock = VolumeLock::acquire(&options.data_dir)?;
        let directory = options.data_dir.join("volume");
        if !directory.exists() {
            create(options, &directory)?;
        }
        let (header, keys) = Header::read(&directory.join("header"), options)?;
        let keys = Arc::new(keys);
        let path = directory.join("counters");
        let counters = Counters::open(&path, Arc::clone(&keys), Arc::clone(&options.on_failure))?;
        let (database, rows) = open_database(&directory.join("store.redb"))?;
        let place = Place { volume_id: header.volume_id, ..Place::default() };
        let (records, sequence, inventory) = verify(&directory, &keys, &place, rows)?;
        let incarnation = next_incarnation(&counters, &directory)?;
        Ok(Self {
            lock,
            keys,
            database,
            directory,
            records,
            inventory,
            sequence,
            on_failure: Arc::clone(&options.on_failure),
            volume_id: header.volume_id,
            incarnation,
            counters: Arc::new(counters),
        })
    }

    /// Content of one record, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not authentic at this place.
    pub(crate) fn read(&self, place: &Place, name: &RecordName) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.records.get(name).map(|stored| self.unseal(place, name, stored)).transpose()
    }

    /// Contents of all records of a kind, in order of their ids.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if one of them is not authentic at this place.
    pub(crate) fn read_kind(&self, place: &Place, kind: RecordKind) -> Result<Vec<Content>, StoreError> {
        let from = RecordName::only(kind);
        let of_kind = self.records.range(from..).take_while(|(name, _)| name.kind == kind);
        of_kind.map(|(name, stored)| self.unseal(place, name, stored)).collect()
    }

    /// Starts the committer. The lock is held by the returned guard.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if no thread can be started.
    pub(crate) fn into_store(self, place: Place) -> Result<(Store, VolumeLock), StoreError> {
        let directory = File::open(&self.directory).map_err(StoreError::io("open", &self.directory))?;
        let committer = Committer {
            database: self.database,
            free_bytes: Box::new(move || free_bytes(&directory)),
            keys: self.keys,
            inventory: self.inventory,
            sequence: self.sequence,
            place,
            on_failure: self.on_failure,
        };
        Ok((committer.start()?, self.lock))
    }

    fn unseal(&self, place: &Place, name: &RecordName, stored: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let opened = self.keys.open(place, name, stored).map_err(|_| {
            StoreError::damaged(&self.directory, format!("a record of kind {:?} does not authenticate", name.kind))
        })?;
        Ok(opened.1)
    }
}

/// Makes the volume beside its final name and renames it: after a crash it is there completely or not at all.
fn create(options: &VolumeOptions, directory: &Path) -> Result<(), StoreError> {
    refuse_strangers(&options.data_dir)?;
    let building = options.data_dir.join("volume.new");
    if building.exists() {
        fs::remove_dir_all(&building).map_err(StoreError::io("remove the unfinished", &building))?;
    }
    fs::create_dir(&building).map_err(StoreError::io("create", &building))?;
    let (header, keys) = Header::generate(options).map_err(|_| StoreError::Failed)?;
    Counters::create(&building.join("counters"))?;
    let path = building.join("store.redb");
    let database = Builder::new().set_cache_size(CACHE_BYTES).create(&path).map_err(|_| StoreError::Failed)?;
    let place = Place { volume_id: header.volume_id, ..Place::default() };
    write_first_meta(&database, &keys, &place).ok_or(StoreError::Failed)?;
    drop(database);
    let path = building.join("header");
    let mut file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
    file.write_all(&header.encode(&keys)).and_then(|()| file.sync_all()).map_err(StoreError::io("write", &path))?;
    sync_directory(&building)?;
    fs::rename(&building, directory).map_err(StoreError::io("rename to", directory))?;
    sync_directory(&options.data_dir)
}

/// A data directory without a volume must be empty: anything else may be the remains of one, and its keys.
fn refuse_strangers(data_dir: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(data_dir).map_err(StoreError::io("list", data_dir))? {
        let name = entry.map_err(StoreError::io("list", data_dir))?.file_name();
        if !["lock", "lost+found", "volume.new"].iter().any(|known| name == *known) {
            let what = format!("no volume here, but an unknown file {}", name.display());
            return Err(StoreError::Foreign { path: data_dir.to_owned(), what });
        }
    }
    Ok(())
}

/// A file system that cannot tell counts as having space: a write that fails then stops the process.
fn free_bytes(directory: &File) -> u64 {
    rustix::fs::fstatvfs(directory).map_or(u64::MAX, |space| space.f_bavail.saturating_mul(space.f_frsize))
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", path))
}

/// Opens the database and reads every record. Every page is checked, also those that hold none: a damaged list of free pages would show
/// only when a commit takes a page from it that is in use. redb may panic on bytes it never wrote: that is damage too.
fn open_database(path: &Path) -> Result<(Database, Rows), StoreError> {
    let attempt = std::panic::catch_unwind(|| -> Result<(Database, Rows), redb::Error> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).open(path)?;
        let rows = read_all(&database)?;
        Ok((database, rows))
    });
    match attempt {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(StoreError::damaged(path, format!("record store: {error}"))),
        Err(_) => Err(StoreError::damaged(path, "record store is not readable")),
    }
}

type Verified = (BTreeMap<RecordName, Vec<u8>>, u64, Inventory);

/// Compares what is there with the sealed inventory.
fn verify(directory: &Path, keys: &VolumeKeys, place: &Place, rows: Rows) -> Result<Verified, StoreError> {
    let damaged = |what: &str| StoreError::damaged(directory, what);
    let mut records = BTreeMap::new();
    let mut found = Inventory::default();
    for (key, stored) in rows {
        let name = RecordName::decode(&key).ok_or_else(|| damaged("a record of an unknown kind"))?;
        if name.kind != RecordKind::Meta {
            let version = version_of(&stored).ok_or_else(|| damaged("a record without a version"))?;
            found.add(keys.inventory(), &key, version);
        }
        records.insert(name, stored);
    }
    let meta = RecordName::only(RecordKind::Meta);
    let stored = records.remove(&meta).ok_or_else(|| damaged("the inventory is missing"))?;
    let (_, content) = keys.open(place, &meta, &stored).map_err(|_| damaged("the inventory does not authenticate"))?;
    let (sequence, expected) = read_meta(&content).ok_or_else(|| damaged("the inventory is malformed"))?;
    if found != expected {
        return Err(damaged("records were removed, added or replaced"));
    }
    Ok((records, sequence, found))
}

fn next_incarnation(counters: &Counters, directory: &Path) -> Result<u64, StoreError> {
    let last = match counters.read(INCARNATION_SLOT) {
        Slot::Unused => 0,
        Slot::Value { value, .. } => value,
        Slot::Damaged => return Err(StoreError::damaged(directory, "the incarnation counter does not authenticate")),
    };
    counters.write(INCARNATION_SLOT, [0; 16], last + 1)?;
    Ok(last + 1)
}

/// Random id and shares of a new volume.
pub(super) fn new_identity() -> Result<([u8; 16], Zeroizing<[u8; 32]>), seal::SealError> {
    Ok((seal::random()?, seal::random_key()?))
}

#[cfg(test)]
#[path = "volume_tests.rs"]
mod tests;
