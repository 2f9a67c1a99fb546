//! The ring of `kmsuser` passwords: what makes sure that the current one is never lost (P1, INV-24 … INV-31).
//!
//! Pure: a ring is read from a Secret, changed in memory, and written back conditionally by its caller. The rules that a
//! ring must keep are checked whenever one is read.

mod encoding;

use crate::password::Password;
use hsm_client::OpId;
use std::cmp::Ordering;

/// Where one password stands in a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// Written before any HSM is asked to change to it (INV-25).
    Intent,
    /// The password of every HSM that is up to date.
    Active,
    /// Replaced; kept for HSMs and backups that still have it (INV-31).
    Retired,
}

/// One password and its epoch. No `Debug`: it holds the password.
pub struct RingEntry {
    /// Version of the credential, from 1 upwards.
    pub epoch: u64,
    /// The password.
    pub password: Password,
    /// Where it stands.
    pub state: EntryState,
    /// Makes the change to it one operation however often it is sent.
    pub op_id: OpId,
}

/// Why a text is no ring, or a change breaks its rules. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Not the JSON of a ring.
    #[error("failed to read the password ring: it is not in the ring's format")]
    Format,
    /// Epochs must rise, at most one entry may be an intent (the last), exactly one active.
    #[error("failed to use the password ring: {0}")]
    Rule(&'static str),
}

/// All known passwords of one cluster's `kmsuser`, in order of epoch.
pub struct Ring {
    entries: Vec<RingEntry>,
}

impl Ring {
    /// The ring with which a cluster starts: epoch 1 is active before the user exists, so that no HSM ever knows a
    /// password that the ring lacks (INV-25).
    pub fn first(password: Password, op_id: OpId) -> Self {
        Self { entries: vec![RingEntry { epoch: 1, password, state: EntryState::Active, op_id }] }
    }

    /// Every entry, in order of epoch.
    pub fn entries(&self) -> &[RingEntry] {
        &self.entries
    }

    /// The entry with this epoch: how to log in to an HSM that is at it, without guessing (P1, step 3).
    pub fn entry(&self, epoch: u64) -> Option<&RingEntry> {
        self.entries.iter().find(|entry| entry.epoch == epoch)
    }

    /// The entry that up-to-date HSMs have.
    pub fn active(&self) -> Option<&RingEntry> {
        self.entries.iter().find(|entry| entry.state == EntryState::Active)
    }

    /// A rotation that was begun and not committed: it is adopted, never replaced (P1, step 1).
    pub fn intent(&self) -> Option<&RingEntry> {
        self.entries.iter().find(|entry| entry.state == EntryState::Intent)
    }

    /// Begins a rotation: adds `password` as an intent above every epoch in the ring, and above `at_least`, the highest
    /// epoch that any HSM reported, so that a restored cluster can only move forward (P1, step 7). Returns the epoch.
    ///
    /// # Errors
    /// [`RingError::Rule`] if there is an intent already.
    pub fn add_intent(&mut self, password: Password, op_id: OpId, at_least: u64) -> Result<u64, RingError> {
        if self.intent().is_some() {
            return Err(RingError::Rule("a rotation is under way and has to be finished first"));
        }
        let highest = self.entries.last().map_or(0, |entry| entry.epoch).max(at_least);
        let epoch = highest.checked_add(1).ok_or(RingError::Rule("the epochs are used up"))?;
        self.entries.push(RingEntry { epoch, password, state: EntryState::Intent, op_id });
        Ok(epoch)
    }

    /// Ends the rotation to `epoch`: it becomes active, what was active is retired (P1, step 6).
    ///
    /// # Errors
    /// [`RingError::Rule`] if `epoch` is not the intent; committing the active epoch again is no error.
    pub fn commit(&mut self, epoch: u64) -> Result<(), RingError> {
        match self.entry(epoch).map(|entry| entry.state) {
            Some(EntryState::Active) => return Ok(()),
            Some(EntryState::Intent) => {}
            Some(EntryState::Retired) | None => return Err(RingError::Rule("only an intent can be committed")),
        }
        for entry in &mut self.entries {
            entry.state = if entry.epoch == epoch { EntryState::Active } else { EntryState::Retired };
        }
        Ok(())
    }

    /// Forgets retired entries below `lowest`: the lowest epoch that a member or a retained backup still has (INV-31).
    pub fn prune_below(&mut self, lowest: u64) {
        self.entries.retain(|entry| entry.state != EntryState::Retired || entry.epoch >= lowest);
    }

    /// Whether `stored`, read after this ring was written, is an earlier state of it: somebody put a backup back. Every write
    /// adds an entry or commits one, and entries are forgotten only together with a commit.
    pub fn is_ahead_of(&self, stored: &Self) -> bool {
        match self.progress().cmp(&stored.progress()) {
            Ordering::Less => false,
            Ordering::Equal => self.entries.iter().any(|entry| stored.entry(entry.epoch).is_none()),
            Ordering::Greater => true,
        }
    }

    /// Whether the rings have different passwords for one epoch. An epoch never gets a second one (INV-27), so they are not
    /// states of the same ring, and neither is the later one.
    pub fn contradicts(&self, other: &Self) -> bool {
        let differs = |one: &RingEntry, other: &RingEntry| {
            one.op_id != other.op_id || one.password.expose() != other.password.expose()
        };
        self.entries.iter().any(|one| other.entry(one.epoch).is_some_and(|other| differs(one, other)))
    }

    /// The ring with what only an earlier state of it has, as retired entries: while that state was stored an HSM may have been
    /// given one of its passwords, or have come back from a backup with it (INV-24, INV-31).
    ///
    /// # Errors
    /// [`RingError::Rule`] if `earlier` has come further than this ring.
    pub fn with_earlier(mut self, earlier: Self) -> Result<Self, RingError> {
        if earlier.progress() > self.progress() {
            return Err(RingError::Rule("a later state of it was taken for an earlier one"));
        }
        let unknown = |entry: &RingEntry| self.entry(entry.epoch).is_none();
        let retired = |entry: RingEntry| RingEntry { state: EntryState::Retired, ..entry };
        let added: Vec<RingEntry> = earlier.entries.into_iter().filter(unknown).map(retired).collect();
        self.entries.extend(added);
        self.entries.sort_unstable_by_key(|entry| entry.epoch);
        Self::checked(self.entries)
    }

    /// How far the ring has come: its highest epoch, and whether that one is committed.
    fn progress(&self) -> (u64, bool) {
        self.entries.last().map_or((0, false), |entry| (entry.epoch, entry.state != EntryState::Intent))
    }

    fn checked(entries: Vec<RingEntry>) -> Result<Self, RingError> {
        if !entries.is_sorted_by(|earlier, later| earlier.epoch < later.epoch) {
            return Err(RingError::Rule("its epochs do not rise"));
        }
        if entries.first().is_none_or(|entry| entry.epoch == 0) {
            return Err(RingError::Rule("its first epoch is missing or zero"));
        }
        let (_, before) = entries.split_last().ok_or(RingError::Rule("it is empty"))?;
        if before.iter().any(|entry| entry.state == EntryState::Intent) {
            return Err(RingError::Rule("an intent is not its last entry"));
        }
        let active = entries.iter().filter(|entry| entry.state == EntryState::Active).count();
        if active != 1 {
            return Err(RingError::Rule("it has not exactly one active entry"));
        }
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests;
