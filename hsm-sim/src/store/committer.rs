//! The only writer of the record store: one thread that gathers waiting changes into one transaction, syncs it, and
//! only then answers everybody (group commit).
//!
//! Invariants: an answer of success means fsync has returned; any I/O error but "no space" ends the process through
//! the failure hook before anything is answered (INV-09); a full disk refuses changes before the database is touched,
//! so that it stays open and readable (INV-11).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, Durability, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::StoreError;
use super::inventory::Inventory;
use super::record::{Place, RecordKind, RecordName};
use super::sealing::VolumeKeys;

/// All records: name to `version | sealed content`.
pub(super) const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
const MAX_BATCH: usize = 256;
const QUEUE: usize = 1024;
/// Space that must stay free: what redb may need to grow for one batch, with room to spare.
const RESERVED_BYTES: u64 = 4 << 20;

/// Called once with a message when the volume has failed; it must end the process.
pub(crate) type FailureHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Asks the volume for its free space.
pub(crate) type FreeBytes = Box<dyn Fn() -> u64 + Send>;

/// One change of one record.
pub(crate) enum Change {
    /// Write this content.
    Put(RecordName, Zeroizing<Vec<u8>>),
    /// Remove the record.
    Delete(RecordName),
}

struct Commit {
    changes: Vec<Change>,
    place: Option<Place>,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

/// Handle on the record store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    queue: mpsc::Sender<Commit>,
    sequence: Arc<AtomicU64>,
}

impl Store {
    /// Makes all changes or none, durably.
    ///
    /// # Errors
    /// [`StoreError::Full`] if nothing was changed for lack of space; [`StoreError::Failed`] if the outcome is unknown.
    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.send(changes, None).await
    }

    /// As [`Self::commit`], but from these changes on every record is bound to `place`.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub(crate) async fn commit_at(&self, changes: Vec<Change>, place: Place) -> Result<(), StoreError> {
        self.send(changes, Some(place)).await
    }

    async fn send(&self, changes: Vec<Change>, place: Option<Place>) -> Result<(), StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.queue.send(Commit { changes, place, reply }).await.map_err(|_| StoreError::Failed)?;
        outcome.await.unwrap_or(Err(StoreError::Failed))
    }

    /// Number of the last durable transaction; only ever rises on one volume (INV-59).
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }
}

/// State of the writing thread.
pub(super) struct Committer {
    pub(super) database: Database,
    /// Free bytes on the volume.
    pub(super) free_bytes: FreeBytes,
    pub(super) keys: Arc<VolumeKeys>,
    pub(super) inventory: Inventory,
    pub(super) sequence: u64,
    pub(super) place: Place,
    pub(super) on_failure: FailureHook,
}

impl Committer {
    /// Starts the thread. It ends when every [`Store`] handle is gone.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the system gives no thread.
    pub(super) fn start(self) -> Result<Store, StoreError> {
        let (queue, commits) = mpsc::channel(QUEUE);
        let sequence = Arc::new(AtomicU64::new(self.sequence));
        let store = Store { queue, sequence: Arc::clone(&sequence) };
        std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || self.run(commits, &sequence))
            .map_err(|_| StoreError::Failed)?;
        Ok(store)
    }

    fn run(mut self, mut commits: mpsc::Receiver<Commit>, sequence: &AtomicU64) {
        while let Some(first) = commits.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH
                && let Ok(next) = commits.try_recv()
            {
                batch.push(next);
            }
            // A panic of the database leaves it as unknown as a failed write does (INV-09).
            let attempt = std::panic::catch_unwind(AssertUnwindSafe(|| self.commit(&batch)));
            let outcome = attempt.unwrap_or(Err(StoreError::Failed));
            // What peers are told is durable: after a panic this may be ahead of the volume (INV-59).
            if outcome.is_ok() {
                sequence.store(self.sequence, Ordering::Release);
            }
            if let Err(StoreError::Failed) = outcome {
                (self.on_failure)("failed to write to the volume: stopping, nothing after this is acknowledged");
            }
            for commit in batch {
                let answer = match outcome {
                    Ok(()) => Ok(()),
                    Err(StoreError::Full) => Err(StoreError::Full),
                    Err(_) => Err(StoreError::Failed),
                };
                // A caller that stopped waiting loses only the answer.
                let _ = commit.reply.send(answer);
            }
        }
    }

    fn commit(&mut self, batch: &[Commit]) -> Result<(), StoreError> {
        if (self.free_bytes)() < RESERVED_BYTES {
            return Err(StoreError::Full);
        }
        let before = (self.inventory, self.sequence, self.place.clone());
        self.sequence += 1;
        let outcome = self.transaction(batch);
        if outcome.is_err() {
            (self.inventory, self.sequence, self.place) = before;
        }
        outcome
    }

    fn transaction(&mut self, batch: &[Commit]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(|_| StoreError::Failed)?;
        transaction.set_durability(Durability::Immediate).map_err(|_| StoreError::Failed)?;
        // Two-phase commit with a saved allocator state: after kill -9 the file opens without a repair.
        transaction.set_quick_repair(true);
        {
            let mut table = transaction.open_table(RECORDS).map_err(|_| StoreError::Failed)?;
            for commit in batch {
                if let Some(place) = &commit.place {
                    self.place = place.clone();
                }
                for change in &commit.changes {
                    self.apply(&mut table, change)?;
                }
            }
            let meta = RecordName::only(RecordKind::Meta);
            let content = [&self.sequence.to_be_bytes()[..], &self.inventory.encode()].concat();
            let sealed = self.keys.seal(&self.place, &meta, self.sequence, &content).map_err(|_| StoreError::Failed)?;
            table.insert(&meta.encode()[..], &sealed[..]).map_err(|_| StoreError::Failed)?;
        }
        transaction.commit().map_err(|_| StoreError::Failed)
    }

    fn apply(&mut self, table: &mut redb::Table<'_, &[u8], &[u8]>, change: &Change) -> Result<(), StoreError> {
        let (Change::Put(name, _) | Change::Delete(name)) = change;
        let key = name.encode();
        let replaced = match change {
            Change::Put(name, content) => {
                let sealed =
                    self.keys.seal(&self.place, name, self.sequence, content).map_err(|_| StoreError::Failed)?;
                self.inventory.add(self.keys.inventory(), &key, self.sequence);
                let old = table.insert(&key[..], &sealed[..]).map_err(|_| StoreError::Failed)?;
                old.and_then(|old| version_of(old.value()))
            }
            Change::Delete(_) => {
                let old = table.remove(&key[..]).map_err(|_| StoreError::Failed)?;
                old.and_then(|old| version_of(old.value()))
            }
        };
        if let Some(version) = replaced {
            self.inventory.remove(self.keys.inventory(), &key, version);
        }
        Ok(())
    }
}

/// Version in front of a stored record.
pub(super) fn version_of(stored: &[u8]) -> Option<u64> {
    stored.first_chunk::<8>().map(|version| u64::from_be_bytes(*version))
}

/// Writes the first Meta record of a new store, so that an empty database can never pass for a volume.
pub(super) fn write_first_meta(database: &Database, keys: &VolumeKeys, place: &Place) -> Option<()> {
    let transaction = database.begin_write().ok()?;
    {
        let mut table = transaction.open_table(RECORDS).ok()?;
        let meta = RecordName::only(RecordKind::Meta);
        let content = [&0u64.to_be_bytes()[..], &Inventory::default().encode()].concat();
        table.insert(&meta.encode()[..], &keys.seal(place, &meta, 0, &content).ok()?[..]).ok()?;
    }
    transaction.commit().ok()
}

/// Reads `(sequence, inventory)` out of a Meta record's content.
pub(super) fn read_meta(content: &[u8]) -> Option<(u64, Inventory)> {
    let (sequence, inventory) = content.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*sequence), Inventory::decode(inventory)?))
}

/// Database keys and values as they are stored.
pub(super) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Every record as it is stored.
pub(super) fn read_all(database: &Database) -> Result<Rows, redb::Error> {
    use redb::ReadableDatabase;
    let transaction = database.begin_read()?;
    let table = transaction.open_table(RECORDS)?;
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        rows.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(rows)
}
