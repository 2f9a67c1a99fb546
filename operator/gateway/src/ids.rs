//! The ids of a request and of its record, from a reserve of random bytes that each thread fills at once.
//!
//! One call of the generator costs more than all the rest of making two ids, and calls of several threads hold each other
//! up (performance §2.1). Ids are public: nothing secret may come from this reserve. What is older than a second is thrown
//! away, so that copies of this process, such as a virtual machine resumed twice from one snapshot, do not share it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use uuid::Uuid;

/// Bytes of two ids.
const PAIR: usize = 32;
const SIZE: usize = 64 * PAIR;
const OLDEST: Duration = Duration::from_secs(1);

/// The ids of a request and of its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    /// What the caller is told.
    pub(crate) request: Uuid,
    /// What the record is known by.
    pub(crate) event: Uuid,
}

/// Random bytes that nobody has used.
struct Reserve {
    bytes: [u8; SIZE],
    used: usize,
    filled: Option<Instant>,
}

thread_local! {
    /// One for each thread, so that taking from it needs no lock.
    static RESERVE: RefCell<Reserve> = const { RefCell::new(Reserve { bytes: [0; SIZE], used: SIZE, filled: None }) };
}

impl Ids {
    /// Two ids that no other request has; it is `now`.
    pub(crate) fn random(now: Instant) -> Self {
        match RESERVE.with_borrow_mut(|reserve| reserve.take(now)) {
            Some(bytes) => Self::of(&bytes),
            None => Self { request: Uuid::new_v4(), event: Uuid::new_v4() },
        }
    }

    fn of(bytes: &[u8; PAIR]) -> Self {
        let [request, event] = [0, 16].map(|start| {
            let half = bytes.get(start..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
            uuid::Builder::from_random_bytes(half).into_uuid()
        });
        Self { request, event }
    }
}

impl Reserve {
    /// Bytes that were not taken before; none if the generator fails.
    fn take(&mut self, now: Instant) -> Option<[u8; PAIR]> {
        let is_old = self.filled.is_none_or(|filled| now.saturating_duration_since(filled) > OLDEST);
        if is_old || self.used == SIZE {
            // Until the generator has succeeded there is nothing to take.
            (self.used, self.filled) = (SIZE, None);
            rand::fill(&mut self.bytes).ok()?;
            (self.used, self.filled) = (0, Some(now));
        }
        let bytes = self.bytes.get(self.used..).and_then(<[u8]>::first_chunk).copied()?;
        self.used += PAIR;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_id_is_given_twice_by_any_thread_and_all_are_random_uuids() {
        let some = || (0..1_000).map(|_| Ids::random(Instant::now())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let pairs = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let ids: Vec<_> = pairs.flat_map(|ids| [ids.request, ids.event]).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4 * 2 * 1_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }

    #[test]
    fn what_is_older_than_a_second_is_thrown_away() {
        let mut reserve = Reserve { bytes: [0; SIZE], used: SIZE, filled: None };
        let start = Instant::now();
        reserve.take(start).unwrap();
        let next = |reserve: &Reserve| -> [u8; PAIR] { *reserve.bytes[reserve.used..].first_chunk().unwrap() };
        let kept = next(&reserve);
        assert_eq!(reserve.take(start + OLDEST), Some(kept));
        let old = next(&reserve);
        assert_ne!(reserve.take(start + OLDEST * 2), Some(old));
    }
}
