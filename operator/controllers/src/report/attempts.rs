//! Failed attempts per object, and the pause that follows from them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Controller;

/// Which object of which controller: the uid, because a new object under an old name starts afresh.
pub(crate) type Key = (Controller, String);

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Counts failures in a row; clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Arc<Mutex<HashMap<Key, u32>>>);

impl Attempts {
    /// Counts a failure; returns the pause before the next try: 1 s, 2 s, 4 s … at most one minute (`INV-76`).
    pub(crate) fn failed(&self, key: Key) -> Duration {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        FIRST.saturating_mul(1u32 << (*count - 1).min(6)).min(LONGEST)
    }

    /// Forgets the failures of an object.
    pub(crate) fn succeeded(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INV-76.
    #[test]
    fn pauses_double_up_to_one_minute_and_start_again_after_a_success() {
        let (attempts, key) = (Attempts::default(), (Controller::KmsKey, "uid".to_owned()));
        let pauses: Vec<_> = (0..9).map(|_| attempts.failed(key.clone()).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        attempts.succeeded(&key);
        assert_eq!(attempts.failed(key).as_secs(), 1);
    }

    /// INV-75.
    #[test]
    fn one_failing_object_does_not_slow_another_one() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            attempts.failed((Controller::KmsKey, "bad".into()));
        }
        assert_eq!(attempts.failed((Controller::KmsKey, "good".into())).as_secs(), 1);
        assert_eq!(attempts.failed((Controller::KmsAlias, "bad".into())).as_secs(), 1);
    }
}
