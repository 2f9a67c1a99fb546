//! Was an older copy of this volume put back? Its peers remember how far it was (INV-59).
//!
//! A mark is a store sequence, which is durable before anybody can read it. Invariants: a peer's memory of this identity holds only what
//! this identity told that very peer, so a volume that never went back is not behind it; and until a peer has said what it remembers, it is
//! told only how far the volume was when this process began. Commits made since then belong perhaps to another history: they must neither
//! count when the answer is judged, nor cover up what the peer remembers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::hsm::Hsm;
use crate::store::record::RecordKind;
use crate::vault::rows::{ControlRow, put};

/// Exit code, the same as when the process refuses to start.
const EXIT_ROLLED_BACK: i32 = 1;

/// This volume is older than what a peer has seen of it: a copy was restored.
#[derive(Debug, thiserror::Error)]
#[error(
    "stopping: this volume went back in time ({how}). Its lockout and password state cannot be trusted. Delete this \
     pod's volume claim: an empty volume is refilled by its peers"
)]
pub(crate) struct RolledBack {
    how: String,
}

impl RolledBack {
    /// An earlier process found it and wrote it down.
    pub(crate) fn found_earlier() -> Self {
        Self { how: "as was found and noted on it before the last stop".into() }
    }
}

/// How far the volumes were, here and at the peers. Peers are known by the identity key that their volume holds: a refilled volume has a new
/// one, a restored copy has that of the original.
#[derive(Default)]
pub(crate) struct Marks {
    /// Highest mark that each peer has ever shown. Kept in memory: one peer that has been up since is enough.
    seen: Mutex<HashMap<[u8; 32], u64>>,
    /// Where this process found its own volume.
    start: OnceLock<u64>,
    /// Peers that have told this process what they had seen of this volume.
    heard: Mutex<HashSet<[u8; 32]>>,
}

impl Marks {
    /// Where this process found its volume: the sequence of the first call.
    pub(crate) fn start(&self, sequence: u64) -> u64 {
        *self.start.get_or_init(|| sequence)
    }

    /// Remembers a peer's mark and returns the highest before.
    pub(crate) fn witness(&self, peer: [u8; 32], mark: u64) -> u64 {
        let mut seen = lock(&self.seen);
        let highest = seen.entry(peer).or_default();
        std::mem::replace(highest, mark.max(*highest))
    }

    /// The mark that a peer is told, with the store at `sequence`.
    pub(crate) fn told(&self, peer: &[u8; 32], sequence: u64) -> u64 {
        let start = self.start(sequence);
        if lock(&self.heard).contains(peer) { sequence } else { start }
    }

    /// Judges what a peer has seen of this volume. `sequence` must be read after the answer came: meanwhile the peer may have asked too.
    ///
    /// # Errors
    /// [`RolledBack`]; the process must stop.
    pub(crate) fn judge(&self, name: &str, peer: [u8; 32], seen: u64, sequence: u64) -> Result<(), RolledBack> {
        let own = self.told(&peer, sequence);
        if seen > own {
            return Err(RolledBack { how: format!("it was at {own}, and {name} has seen {seen}") });
        }
        lock(&self.heard).insert(peer);
        Ok(())
    }
}

/// Ends the process. The volume is marked first: its commits since the copy was put back may have carried it past what the peers remember,
/// and it would pass at the next start.
pub(crate) async fn stop(hsm: &Hsm, why: &RolledBack) {
    // Nothing more is admitted while the mark is written.
    hsm.compared.store(false, Ordering::Release);
    tracing::error!("{why}");
    let _change = hsm.change.lock().await;
    let row = ControlRow { went_back: true, ..hsm.control.row() };
    if let Err(error) = hsm.store.commit(vec![put(RecordKind::Control, &[], &row)]).await {
        tracing::error!(%error, "failed to note on the volume that it went back");
    }
    std::process::exit(EXIT_ROLLED_BACK);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIS: [u8; 32] = [1; 32];
    const PEER: [u8; 32] = [2; 32];
    const OTHER: [u8; 32] = [3; 32];

    #[test]
    fn commits_since_the_start_neither_hide_that_the_volume_went_back_nor_cover_what_the_peer_remembers() {
        let (own, peer) = (Marks::default(), Marks::default());
        peer.witness(THIS, 14);
        own.start(10);
        for sequence in [10, 13, 14, 20] {
            // The peer asks first, then it is asked.
            peer.witness(THIS, own.told(&PEER, sequence));
            let seen = peer.witness(THIS, own.told(&PEER, sequence));
            assert_eq!(seen, 14, "at {sequence}");
            assert!(own.judge("peer", PEER, seen, sequence).is_err(), "at {sequence}");
        }
    }

    #[test]
    fn a_volume_that_only_went_on_is_not_accused_whatever_the_peer_hears_meanwhile() {
        let (own, peer) = (Marks::default(), Marks::default());
        // An earlier process told how far it was, then it was killed.
        peer.witness(THIS, 10);
        own.start(10);
        for sequence in [10, 12, 15] {
            let asked = own.told(&PEER, sequence);
            // Commits follow, and the peer asks while the request is on its way.
            peer.witness(THIS, own.told(&PEER, sequence + 1));
            let seen = peer.witness(THIS, asked);
            assert!(own.judge("peer", PEER, seen, sequence + 1).is_ok(), "at {sequence}");
        }
        assert_eq!(peer.witness(THIS, 0), 16, "a peer that was heard is told everything");
        assert_eq!(own.told(&OTHER, 16), 10, "the other one was not heard yet");
        assert!(own.judge("other", OTHER, 0, 16).is_ok(), "a peer that has just started remembers nothing");
    }

    #[test]
    fn a_peer_that_was_heard_still_notices_a_second_process_with_a_copy() {
        let own = Marks::default();
        own.start(10);
        assert!(own.judge("peer", PEER, 10, 10).is_ok());
        assert!(own.judge("peer", PEER, 12, 11).is_err());
    }
}
