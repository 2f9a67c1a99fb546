//! The ids of a request and of its record, from a reserve of random bytes that each thread fills at once: ids are public.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;
use random_reserve::Reserve;
use uuid::Uuid;

/// Bytes of two ids.
const PAIR: usize = 32;

/// The ids of a request and of its record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    /// What the caller is told.
    pub(crate) request: Uuid,
    /// What the record is known by.
    pub(crate) event: Uuid,
}

thread_local! {
    /// One for each thread, so that taking from it needs no lock.
    static RESERVE: RefCell<Reserve<{ 64 * PAIR }>> = const { RefCell::new(Reserve::empty()) };
}

impl Ids {
    /// Two ids that no other request has; it is `now`.
    pub(crate) fn random(now: Timestamp) -> Self {
        let now = Duration::try_from(now.as_duration()).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_id_is_given_twice_by_any_thread_and_all_are_random_uuids() {
        let some = || (0..1_000).map(|_| Ids::random(Timestamp::now())).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let pairs = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let ids: Vec<_> = pairs.flat_map(|ids| [ids.request, ids.event]).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4 * 2 * 1_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }
}
