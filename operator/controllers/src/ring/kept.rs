//! The copy of each ring that this process keeps in memory, so that a Secret that is deleted, or comes back from a backup, is not a lost
//! password (P1, INV-24).
//!
//! Only the leader changes a ring, and a process that loses the lease ends: its copy cannot be older than the Secret was. So a Secret that lacks
//! something of the copy was put back by somebody else. What this process has written itself is always the newest, also with fewer entries.
//!
//! Security: holds passwords, which [`SecretData`] wipes; nothing here can be printed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hsm_initialization::ring::{Ring, RingError};

use super::{RING, RingAccessError, StoredRing, parse};
use crate::secrets::SecretData;

/// Nobody here can tell which of them an HSM has, so neither is given up: a person decides (INV-24).
const TWO_PASSWORDS: &str = "its Secret and the controllers' memory have different passwords of one epoch; restart the controllers to keep the \
     Secret's, or delete the Secret to have it put back from memory";

/// The rings that were read or written, by cluster id; clones share them.
#[derive(Clone, Default)]
pub struct KeptRings(Arc<Mutex<HashMap<String, SecretData>>>);

/// A ring that was read, compared with the copy.
pub(super) enum Seen {
    /// It lacks nothing of what was kept, and is kept now.
    Current(StoredRing),
    /// It is from an earlier time, and the copy stays. This is all that is known, to be written on the version that was read.
    Older(StoredRing),
}

impl KeptRings {
    /// Keeps what this process has written.
    pub(super) fn keep(&self, cluster_id: &str, written: &StoredRing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster_id.to_owned(), written.data());
    }

    /// Keeps what was read, unless it is older than the copy.
    ///
    /// # Errors
    /// [`RingAccessError::Ring`] when the two have different passwords of one epoch; the copy stays then, too.
    pub(super) fn see(&self, cluster_id: &str, stored: StoredRing) -> Result<Seen, RingAccessError> {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = match rings.get(cluster_id) {
            Some(kept) => if_newer(kept, &stored.ring)?,
            None => None,
        };
        let Some(copy) = newer else {
            rings.insert(cluster_id.to_owned(), stored.data());
            return Ok(Seen::Current(stored));
        };
        let StoredRing { ring: earlier, mut secret, .. } = stored;
        secret.data = copy;
        let mut newest = parse(cluster_id, secret)?;
        newest.ring = newest.ring.with_earlier(earlier)?;
        Ok(Seen::Older(newest))
    }

    /// What was stored when this process last saw it.
    pub(super) fn copy(&self, cluster_id: &str) -> Option<SecretData> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(cluster_id).map(copied)
    }
}

/// A copy of what is kept, if `stored` is an earlier state of it.
fn if_newer(kept: &SecretData, stored: &Ring) -> Result<Option<SecretData>, RingError> {
    let ring = Ring::parse(kept.bytes(RING).unwrap_or_default())?;
    if ring.contradicts(stored) {
        return Err(RingError::Rule(TWO_PASSWORDS));
    }
    Ok(ring.is_ahead_of(stored).then(|| copied(kept)))
}

fn copied(data: &SecretData) -> SecretData {
    let entry = |copy: SecretData, key: &str| copy.with(key, data.bytes(key).unwrap_or_default());
    data.keys().fold(SecretData::default(), entry)
}

#[cfg(test)]
mod tests {
    use super::super::{Supplied, tests::first};
    use super::*;
    use crate::secrets::StoredSecret;
    use hsm_initialization::password::Password;

    const SUPPLIED: Supplied<'_> = Supplied { uid: "u", resource_version: "1", password: "tempPassword" };

    fn stored(ring: &Ring) -> StoredRing {
        let data = SecretData::default().with(RING, ring.encode().as_slice());
        parse("cluster-a", StoredSecret::for_tests(data)).unwrap()
    }

    /// A ring before a rotation, while it is under way, and after it.
    fn rotation() -> [Ring; 3] {
        let mut ring = Ring::first(Password::generate().unwrap(), [1; 16]);
        let before = Ring::parse(&ring.encode()).unwrap();
        let epoch = ring.add_intent(Password::generate().unwrap(), [2; 16], 0).unwrap();
        let under_way = Ring::parse(&ring.encode()).unwrap();
        ring.commit(epoch).unwrap();
        ring.prune_below(epoch);
        [before, under_way, ring]
    }

    fn epochs(ring: &Ring) -> Vec<u64> {
        ring.entries().iter().map(|entry| entry.epoch).collect()
    }

    fn kept_epochs(kept: &KeptRings) -> Vec<u64> {
        let copy = kept.copy("cluster-a").unwrap();
        epochs(&Ring::parse(copy.bytes(RING).unwrap()).unwrap())
    }

    /// INV-24, INV-30: the copy is the whole Secret, with the record of what was used up.
    #[test]
    fn a_kept_ring_is_the_ring_that_was_stored_last() {
        let kept = KeptRings::default();
        assert!(kept.copy("cluster-a").is_none());
        let mut stored = parse("cluster-a", StoredSecret::for_tests(first())).unwrap();
        kept.keep("cluster-a", &stored);
        stored.consume(&SUPPLIED);
        kept.keep("cluster-a", &stored);
        let (copy, data) = (kept.copy("cluster-a").unwrap(), stored.data());
        assert!(copy.keys().eq(data.keys()) && copy.keys().all(|key| copy.bytes(key) == data.bytes(key)));
        assert!(kept.copy("cluster-b").is_none());
    }

    /// INV-24, INV-30: the newest passwords stay, the older ones may be an HSM's by now, and what was used up stays used up.
    #[test]
    fn an_older_ring_that_is_read_does_not_displace_the_newer_one() {
        let [before, under_way, after] = rotation();
        let kept = KeptRings::default();
        let mut written = stored(&after);
        written.consume(&SUPPLIED);
        kept.keep("cluster-a", &written);
        for older in [before, under_way] {
            let Ok(Seen::Older(newest)) = kept.see("cluster-a", stored(&older)) else {
                panic!("taken for the newer one")
            };
            assert_eq!(newest.ring.active().map(|entry| entry.epoch), Some(2));
            assert!(newest.ring.intent().is_none() && !newest.is_new(&SUPPLIED));
            assert_eq!(epochs(&newest.ring), [1, 2]);
            assert_eq!(kept_epochs(&kept), [2]);
        }
        assert!(matches!(kept.see("cluster-a", stored(&after)), Ok(Seen::Current(_))));
    }

    /// The reply to a write of this process may have been lost.
    #[test]
    fn a_newer_ring_that_is_read_displaces_the_older_one() {
        let kept = KeptRings::default();
        for (ring, expected) in rotation().iter().zip([vec![1], vec![1, 2], vec![2]]) {
            assert!(matches!(kept.see("cluster-a", stored(ring)), Ok(Seen::Current(_))));
            assert_eq!(kept_epochs(&kept), expected);
        }
    }

    #[test]
    fn a_pruned_ring_that_was_written_displaces_the_longer_one_and_is_no_older_ring_when_it_is_read_back() {
        let [_, under_way, after] = rotation();
        let kept = KeptRings::default();
        let mut whole = Ring::parse(&under_way.encode()).unwrap();
        whole.commit(2).unwrap();
        kept.keep("cluster-a", &stored(&whole));
        kept.keep("cluster-a", &stored(&after));
        assert_eq!(kept_epochs(&kept), [2]);
        assert!(matches!(kept.see("cluster-a", stored(&after)), Ok(Seen::Current(_))));
    }

    #[test]
    fn of_two_passwords_for_one_epoch_neither_is_given_up() {
        let kept = KeptRings::default();
        let [mine, ..] = rotation();
        kept.keep("cluster-a", &stored(&mine));
        let [other, other_under_way, _] = rotation();
        for ring in [other, other_under_way] {
            assert!(matches!(kept.see("cluster-a", stored(&ring)), Err(RingAccessError::Ring(RingError::Rule(_)))));
            let copy = kept.copy("cluster-a").unwrap();
            assert_eq!(copy.bytes(RING), Some(mine.encode().as_slice()));
        }
    }
}
