//! The credential ring: which epochs have a durable password, and in which state (P1).
//!
//! Every change of the stored ring is one of the transitions below, written conditionally on the version that was read.

use strum::{EnumIter, EnumString, IntoStaticStr};
use thiserror::Error;

/// Where an epoch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum EntryState {
    /// Its password is durable and may or may not have reached HSMs.
    Intent,
    /// Every reachable HSM has proved it.
    Active,
    /// Replaced; kept as long as an HSM or a backup may still have it (INV-31).
    Retired,
}

impl EntryState {
    /// The word in the stored ring.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One epoch of the ring. The password is in the stored ring beside it and nowhere here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingEntry {
    /// Version number of the credential.
    pub epoch: u64,
    /// Where it stands.
    pub state: EntryState,
    /// Operation that sets it in an HSM. Tells our epoch from one of the same number that an officer made (INV-25).
    pub op_id: String,
}

/// The ring, in the order of epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring(Vec<RingEntry>);

/// A stored ring that our transitions cannot have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidRing {
    /// Two passwords for one epoch (INV-27).
    #[error("failed to read the credential ring: epoch {0} is there twice")]
    RepeatedEpoch(u64),
    /// More than one entry is active, or more than one is an intent.
    #[error("failed to read the credential ring: more than one entry is {}", .0.as_str())]
    RepeatedState(EntryState),
}

impl Ring {
    /// The ring with these entries.
    ///
    /// # Errors
    /// When an epoch, the active state or the intent state is there twice.
    pub fn new(mut entries: Vec<RingEntry>) -> Result<Self, InvalidRing> {
        entries.sort_by_key(|entry| entry.epoch);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].epoch == pair[1].epoch) {
            return Err(InvalidRing::RepeatedEpoch(pair[0].epoch));
        }
        for state in [EntryState::Active, EntryState::Intent] {
            if entries.iter().filter(|entry| entry.state == state).count() > 1 {
                return Err(InvalidRing::RepeatedState(state));
            }
        }
        Ok(Self(entries))
    }

    /// All entries, lowest epoch first.
    pub fn entries(&self) -> &[RingEntry] {
        &self.0
    }

    /// The entry whose password is to be brought to the HSMs.
    pub fn intent(&self) -> Option<&RingEntry> {
        self.0.iter().find(|entry| entry.state == EntryState::Intent)
    }

    /// The entry that all HSMs should have.
    pub fn active(&self) -> Option<&RingEntry> {
        self.0.iter().find(|entry| entry.state == EntryState::Active)
    }

    /// The entry that set the credential of an HSM, recognised by epoch *and* operation.
    pub fn set_by(&self, epoch: u64, op_id: &str) -> Option<&RingEntry> {
        self.0.iter().find(|entry| entry.epoch == epoch && entry.op_id == op_id)
    }

    /// Highest epoch that was ever used for a password of ours; 0 for an empty ring.
    pub fn highest_epoch(&self) -> u64 {
        self.0.last().map_or(0, |entry| entry.epoch)
    }

    /// The ring with a new intent. An earlier intent becomes retired: an HSM may have it, so its password is kept.
    ///
    /// `None` unless `epoch` is above all others: an epoch never gets a second password (INV-27).
    pub fn with_intent(&self, epoch: u64, op_id: impl Into<String>) -> Option<Self> {
        if epoch <= self.highest_epoch() {
            return None;
        }
        let mut entries = self.0.clone();
        for entry in entries.iter_mut().filter(|entry| entry.state == EntryState::Intent) {
            entry.state = EntryState::Retired;
        }
        entries.push(RingEntry { epoch, state: EntryState::Intent, op_id: op_id.into() });
        Some(Self(entries))
    }

    /// The ring after the intent `epoch` was proved by a login on every reachable HSM; all others are retired.
    ///
    /// `None` unless that entry is the intent.
    pub fn with_active(&self, epoch: u64) -> Option<Self> {
        self.intent().filter(|intent| intent.epoch == epoch)?;
        let mut entries = self.0.clone();
        for entry in &mut entries {
            entry.state = if entry.epoch == epoch { EntryState::Active } else { EntryState::Retired };
        }
        Some(Self(entries))
    }

    /// The ring without the retired entries below `lowest_needed`: the lowest epoch over all members, whether they answer or
    /// not, and all retained backups (INV-31).
    pub fn pruned(&self, lowest_needed: u64) -> Self {
        let keep = |entry: &&RingEntry| entry.epoch >= lowest_needed || entry.state != EntryState::Retired;
        Self(self.0.iter().filter(keep).cloned().collect())
    }
}
