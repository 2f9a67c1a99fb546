//! The checker of the kill cycles: from what was asked, acknowledged and seen to what was lost, changed or doubled. Pure.
//!
//! Only an acknowledgement is a promise (INV-01). What was asked and not acknowledged may have happened or not, but one way only: once seen,
//! it is the same on every HSM for ever (INV-06, L1).

use std::collections::{BTreeMap, BTreeSet};

/// Number of a key, a user's password epoch, an HSM: small names for things that the history only compares.
pub(crate) type Key = [u8; 16];
/// Commitment to a key's material.
pub(crate) type Fingerprint = [u8; 32];

/// One thing that happened, in the order in which it was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A key was asked for; whether it will exist is open.
    Asked { key: Key },
    /// Two HSMs have read it back: it is promised.
    Acknowledged { key: Key, fingerprint: Fingerprint },
    /// An HSM showed it.
    Seen { key: Key, fingerprint: Fingerprint },
    /// A ciphertext under the key was returned: it is promised to open.
    Sealed { key: Key, blob: usize },
    /// An HSM opened it to what was sealed, or to anything else.
    Opened { hsm: usize, blob: usize, right: bool },
    /// A password's change to this epoch was asked for on one HSM.
    ChangeAsked { hsm: usize, epoch: u64 },
    /// It was acknowledged.
    ChangeAcknowledged { hsm: usize, epoch: u64 },
    /// At the end an HSM's epoch, and whether the password of that epoch logs in there.
    EpochAtEnd { hsm: usize, epoch: u64, logs_in: bool },
    /// At the end one key of an HSM.
    HeldAtEnd { hsm: usize, key: Key, fingerprint: Fingerprint, conflict: bool },
    /// At the end everything of this HSM has been told.
    Told { hsm: usize },
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// A promised key that an HSM does not hold at the end.
    LostKey { hsm: usize, key: Key },
    /// Two materials under one id.
    ChangedKey { key: Key },
    /// A key that nobody asked for.
    StrayKey { key: Key },
    /// A ciphertext that an HSM does not open to what was sealed.
    LostCiphertext { hsm: usize, blob: usize },
    /// An epoch that is below an acknowledged one, above every one that was asked for, or whose password does not log in.
    LostPassword { hsm: usize },
    /// An HSM of which the history does not tell the end: nothing would be proved.
    Untold { hsm: usize },
}

#[derive(Default)]
struct Told {
    asked: BTreeSet<Key>,
    promised: BTreeSet<Key>,
    materials: BTreeMap<Key, BTreeSet<Fingerprint>>,
    conflicts: BTreeSet<Key>,
    held: BTreeSet<(usize, Key)>,
    sealed: BTreeSet<usize>,
    opened: BTreeSet<(usize, usize)>,
    wrong: BTreeSet<(usize, usize)>,
    epochs_asked: BTreeMap<usize, u64>,
    epochs_promised: BTreeMap<usize, u64>,
    epochs: BTreeMap<usize, (u64, bool)>,
    told: BTreeSet<usize>,
}

/// Everything that is wrong with a history of `hsms` HSMs; empty for a good one.
pub(crate) fn violations(history: &[Event], hsms: usize) -> BTreeSet<Violation> {
    let mut told = Told::default();
    history.iter().for_each(|event| told.take(event));
    let each = 0..hsms;
    let untold = each.clone().filter(|hsm| !told.told.contains(hsm)).map(|hsm| Violation::Untold { hsm });
    let pairs = each.clone().flat_map(|hsm| told.promised.iter().map(move |key| (hsm, *key)));
    let lost = pairs.filter(|pair| !told.held.contains(pair)).map(|(hsm, key)| Violation::LostKey { hsm, key });
    let doubled = told.materials.iter().filter(|(key, seen)| seen.len() > 1 || told.conflicts.contains(*key));
    let changed = doubled.map(|(key, _)| Violation::ChangedKey { key: *key });
    let stray = told.materials.keys().filter(|key| !told.asked.contains(*key));
    let stray = stray.map(|key| Violation::StrayKey { key: *key });
    let blobs = each.clone().flat_map(|hsm| told.sealed.iter().map(move |blob| (hsm, *blob)));
    let closed = blobs.filter(|pair| !told.opened.contains(pair) || told.wrong.contains(pair));
    let closed = closed.map(|(hsm, blob)| Violation::LostCiphertext { hsm, blob });
    let passwords = each.filter(|hsm| !told.password_is_known(*hsm)).map(|hsm| Violation::LostPassword { hsm });
    untold.chain(lost).chain(changed).chain(stray).chain(closed).chain(passwords).collect()
}

impl Told {
    fn take(&mut self, event: &Event) {
        match *event {
            Event::Asked { key } => {
                self.asked.insert(key);
            }
            Event::Acknowledged { key, fingerprint } => {
                self.promised.insert(key);
                self.show(key, fingerprint);
            }
            Event::Seen { key, fingerprint } => self.show(key, fingerprint),
            Event::Sealed { key, blob } => {
                self.promised.insert(key);
                self.sealed.insert(blob);
            }
            Event::Opened { hsm, blob, right: true } => {
                self.opened.insert((hsm, blob));
            }
            Event::Opened { hsm, blob, right: false } => {
                self.wrong.insert((hsm, blob));
            }
            Event::ChangeAsked { hsm, epoch } => raise(&mut self.epochs_asked, hsm, epoch),
            Event::ChangeAcknowledged { hsm, epoch } => raise(&mut self.epochs_promised, hsm, epoch),
            Event::EpochAtEnd { hsm, epoch, logs_in } => {
                self.epochs.insert(hsm, (epoch, logs_in));
            }
            Event::HeldAtEnd { hsm, key, fingerprint, conflict } => {
                self.held.insert((hsm, key));
                self.show(key, fingerprint);
                if conflict {
                    self.conflicts.insert(key);
                }
            }
            Event::Told { hsm } => {
                self.told.insert(hsm);
            }
        }
    }

    fn show(&mut self, key: Key, fingerprint: Fingerprint) {
        self.materials.entry(key).or_default().insert(fingerprint);
    }

    fn password_is_known(&self, hsm: usize) -> bool {
        let Some(asked) = self.epochs_asked.get(&hsm) else { return true };
        let promised = self.epochs_promised.get(&hsm).copied().unwrap_or(0);
        self.epochs.get(&hsm).is_some_and(|(epoch, logs_in)| *logs_in && (promised..=*asked).contains(epoch))
    }
}

fn raise(epochs: &mut BTreeMap<usize, u64>, hsm: usize, epoch: u64) {
    let highest = epochs.entry(hsm).or_insert(epoch);
    *highest = (*highest).max(epoch);
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
