//! What this process knows to be recorded, so that a look at a hundred thousand settled keys does not read a hundred thousand records.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a record is believed to be stored without being read again: somebody may have broken the glass and deleted it.
const BELIEVED: Duration = Duration::from_secs(3600);

/// The records that this process has read or written, by a hash of their text; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Written(Arc<Mutex<HashMap<u64, (u64, Instant)>>>);

impl Written {
    /// Whether the record was stored with this text not long ago.
    pub(super) fn has(&self, map: &str, entry: &str, text: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = known.get(&HASHER.hash_one((map, entry)));
        seen.is_some_and(|(digest, since)| *digest == HASHER.hash_one(text) && since.elapsed() < BELIEVED)
    }

    /// Remembers that it is stored now.
    pub(super) fn note(&self, map: &str, entry: &str, text: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(HASHER.hash_one((map, entry)), (HASHER.hash_one(text), Instant::now()));
    }
}

/// Not cryptographic: the texts are our own.
const HASHER: BuildHasherDefault<DefaultHasher> = BuildHasherDefault::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_written_again_as_soon_as_a_letter_of_it_changes() {
        let written = Written::default();
        assert!(!written.has("kmskey.a.k", "1.json", "{}"));
        written.note("kmskey.a.k", "1.json", "{}");
        assert!(written.clone().has("kmskey.a.k", "1.json", "{}"));
        assert!(!written.has("kmskey.a.k", "1.json", "{ }"));
        assert!(!written.has("kmskey.a.k", "2.json", "{}"), "another identity of the same name");
        written.note("kmskey.a.k", "1.json", "{ }");
        assert!(!written.has("kmskey.a.k", "1.json", "{}"));
    }
}
