//! All keys of this HSM.
//!
//! Invariants: one key id never changes its material (INV-06): a second fingerprint is kept beside the first and the
//! key becomes unusable. Nothing here removes a key (INV-07, INV-52).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use aws_lc_rs::digest;
use hsm_protocol::message::{KeyDigest, KeyRecord};
use hsm_protocol::{KeyId, ReturnCode};
use tokio::sync::{Mutex, MutexGuard};

use super::key::Key;
use super::rows::put;
use super::{Outcome, storage_code};
use crate::store::committer::{Change, Store};
use crate::store::record::RecordKind;

/// First handle given out; the values below are CloudHSM's own objects in its examples.
const FIRST_HANDLE: u64 = 262_144;
const TURNS: usize = 64;

#[derive(Default)]
struct Table {
    by_id: BTreeMap<KeyId, Entry>,
    by_object: HashMap<(String, String), BTreeSet<KeyId>>,
    /// Exclusive-or of one hash per key and attribute version.
    set_digest: [u8; 32],
    conflicts: u64,
}

#[derive(Clone)]
struct Entry {
    key: Arc<Key>,
    conflict: bool,
}

/// What an insert found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It is stored now.
    New,
    /// The same material was there; attributes are the newer of both.
    Same,
    /// Other material was there: both are kept, the key is unusable (INV-06).
    Conflict,
}

/// The keys.
pub(crate) struct Keys {
    table: RwLock<Table>,
    next_handle: AtomicU64,
    turns: Vec<Mutex<()>>,
}

impl Keys {
    /// The keys read from the volume, and the second versions that were kept.
    pub(crate) fn new(keys: Vec<Key>, conflicting: &[Key]) -> Self {
        let next_handle = keys.iter().map(|key| key.handle + 1).max().unwrap_or(FIRST_HANDLE);
        let mut table = Table::default();
        keys.into_iter().for_each(|key| table.put(key));
        conflicting.iter().for_each(|key| table.mark_conflict(&key.id));
        Self {
            table: RwLock::new(table),
            next_handle: AtomicU64::new(next_handle),
            turns: (0..TURNS).map(|_| Mutex::new(())).collect(),
        }
    }

    /// A key and whether it is in conflict. The only lock of the hot path, for reading.
    pub(crate) fn find(&self, id: &KeyId) -> Option<(Arc<Key>, bool)> {
        self.read().by_id.get(id).map(|entry| (Arc::clone(&entry.key), entry.conflict))
    }

    /// Number of keys, and how many are in conflict.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let table = self.read();
        (table.by_id.len() as u64, table.conflicts)
    }

    /// Equal on two HSMs if and only if they hold the same keys with the same attributes.
    pub(crate) fn set_digest(&self) -> [u8; 32] {
        self.read().set_digest
    }

    /// Digests after an id, in id order, and whether there are more.
    pub(crate) fn digests(&self, after: Option<KeyId>, limit: usize) -> (Vec<KeyDigest>, bool) {
        let table = self.read();
        let mut rest = table.by_id.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let page = rest.by_ref().take(limit).map(|(_, entry)| entry.key.digest()).collect();
        (page, rest.next().is_some())
    }

    /// Records after an id that match, in id order, and whether there may be more.
    pub(crate) fn records(
        &self,
        after: Option<KeyId>,
        limit: usize,
        matches: impl Fn(&Key) -> bool,
    ) -> (Vec<KeyRecord>, bool) {
        let table = self.read();
        let rest = table.by_id.range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let mut found = rest.filter(|(_, entry)| matches(&entry.key));
        let page = found.by_ref().take(limit).map(|(_, entry)| entry.key.record(entry.conflict)).collect();
        (page, found.next().is_some())
    }

    /// Records made for one object (D2).
    pub(crate) fn of_object(&self, namespace: &str, name: &str) -> Vec<(Arc<Key>, bool)> {
        let table = self.read();
        let ids = table.by_object.get(&(namespace.to_owned(), name.to_owned()));
        let entries = ids.into_iter().flatten().filter_map(|id| table.by_id.get(id));
        entries.map(|entry| (Arc::clone(&entry.key), entry.conflict)).collect()
    }

    /// Number of keys that a user owns (HSM-33).
    pub(crate) fn is_owner(&self, user: &str) -> bool {
        self.read().by_id.values().any(|entry| entry.key.owner == user)
    }

    /// Waits until no change of this key runs.
    pub(crate) async fn turn(&self, id: &KeyId) -> MutexGuard<'_, ()> {
        self.turns[usize::from(id.0[15]) % TURNS].lock().await
    }

    /// A handle that was never given out.
    pub(crate) fn next_handle(&self) -> u64 {
        self.next_handle.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a key, or a new version of its attributes, and publishes it once durable. The caller has the turn.
    ///
    /// # Errors
    /// `StorageFull`, `StorageFailed`.
    pub(crate) async fn save(&self, store: &Store, key: Key) -> Outcome<()> {
        store.commit(vec![put(RecordKind::Key, &key.id.0, &key.row())]).await.map_err(|e| storage_code(&e))?;
        self.publish(key);
        Ok(())
    }

    /// Takes in a key of another HSM.
    ///
    /// # Errors
    /// `StorageFull`, `StorageFailed`.
    pub(crate) async fn insert(&self, store: &Store, mut key: Key) -> Outcome<(Inserted, Arc<Key>)> {
        let _turn = self.turn(&key.id).await;
        let Some((existing, _)) = self.find(&key.id) else {
            key.handle = self.next_handle();
            let id = key.id;
            self.save(store, key).await?;
            let (stored, _) = self.find(&id).ok_or(ReturnCode::Internal)?;
            return Ok((Inserted::New, stored));
        };
        if existing.fingerprint != key.fingerprint {
            store.commit(vec![keep_conflict(&key)]).await.map_err(|error| storage_code(&error))?;
            self.write().mark_conflict(&key.id);
            return Ok((Inserted::Conflict, existing));
        }
        if key.attribute_version <= existing.attribute_version {
            return Ok((Inserted::Same, existing));
        }
        let merged = Key { enabled: key.enabled, attribute_version: key.attribute_version, ..Key::clone(&existing) };
        self.save(store, merged.clone()).await?;
        Ok((Inserted::Same, Arc::new(merged)))
    }

    /// Makes a durable key visible.
    pub(crate) fn publish(&self, key: Key) {
        self.write().put(key);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The record of a second fingerprint, under key id and fingerprint: nothing is overwritten.
fn keep_conflict(key: &Key) -> Change {
    put(RecordKind::Conflict, &[&key.id.0[..], &key.fingerprint].concat(), &key.row())
}

impl Table {
    fn put(&mut self, key: Key) {
        let id = key.id;
        self.by_object.entry((key.namespace.clone(), key.name.clone())).or_default().insert(id);
        self.toggle(&key);
        let conflict = self.by_id.get(&id).is_some_and(|entry| entry.conflict);
        if let Some(replaced) = self.by_id.insert(id, Entry { key: Arc::new(key), conflict }) {
            self.toggle(&replaced.key);
        }
    }

    fn mark_conflict(&mut self, id: &KeyId) {
        if let Some(entry) = self.by_id.get_mut(id)
            && !entry.conflict
        {
            entry.conflict = true;
            self.conflicts += 1;
        }
    }

    fn toggle(&mut self, key: &Key) {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&key.id.0);
        context.update(&key.fingerprint);
        context.update(&key.attribute_version.to_be_bytes());
        context.update(&[u8::from(key.enabled)]);
        for (sum, byte) in self.set_digest.iter_mut().zip(context.finish().as_ref()) {
            *sum ^= byte;
        }
    }
}
