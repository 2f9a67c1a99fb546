//! The copy of each ring that this process keeps in memory, so that a deleted Secret is not a lost password (P1, INV-24).
//!
//! Only the leader changes a ring, and a process that loses the lease ends: its copy cannot be older than the Secret was.
//!
//! Security: holds passwords, which [`SecretData`] wipes; nothing here can be printed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::StoredRing;
use crate::secrets::SecretData;

/// The rings that were read or written, by cluster id; clones share them.
#[derive(Clone, Default)]
pub struct KeptRings(Arc<Mutex<HashMap<String, SecretData>>>);

impl KeptRings {
    /// Keeps what is stored now.
    pub(super) fn keep(&self, cluster_id: &str, stored: &StoredRing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster_id.to_owned(), stored.data());
    }

    /// What was stored when this process last saw it.
    pub(super) fn copy(&self, cluster_id: &str) -> Option<SecretData> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let data = kept.get(cluster_id)?;
        let entry = |copy: SecretData, key: &str| copy.with(key, data.bytes(key).unwrap_or_default());
        Some(data.keys().fold(SecretData::default(), entry))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, tests::first};
    use super::*;
    use crate::secrets::StoredSecret;

    /// INV-24, INV-30: the copy is the whole Secret, with the record of what was used up.
    #[test]
    fn a_kept_ring_is_the_ring_that_was_stored_last() {
        let kept = KeptRings::default();
        assert!(kept.copy("cluster-a").is_none());
        let mut stored = parse("cluster-a", StoredSecret::for_tests(first())).unwrap();
        kept.keep("cluster-a", &stored);
        stored.consume(&super::super::Supplied { uid: "u", resource_version: "1", password: "tempPassword" });
        kept.keep("cluster-a", &stored);
        let (copy, data) = (kept.copy("cluster-a").unwrap(), stored.data());
        assert!(copy.keys().eq(data.keys()) && copy.keys().all(|key| copy.bytes(key) == data.bytes(key)));
        assert!(kept.copy("cluster-b").is_none());
    }
}
