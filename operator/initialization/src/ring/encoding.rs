//! The ring as JSON in a Secret. Every buffer that held a password is wiped.

use super::{EntryState, Ring, RingEntry, RingError};
use crate::password::Password;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredState {
    Intent,
    Active,
    Retired,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredEntry {
    epoch: u64,
    password: String,
    state: StoredState,
    op_id: String,
}

impl Drop for StoredEntry {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Ring {
    /// Reads a ring.
    ///
    /// # Errors
    /// [`RingError`], which repeats nothing of the text.
    pub fn parse(text: &[u8]) -> Result<Self, RingError> {
        let stored: Vec<StoredEntry> = serde_json::from_slice(text).map_err(|_| RingError::Format)?;
        let entries = stored.into_iter().map(read).collect::<Result<_, _>>()?;
        Self::checked(entries)
    }

    /// The ring as JSON, for its Secret.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let stored: Vec<_> = self.entries.iter().map(write).collect();
        // Sized beforehand, so that no half-written copy is left behind by growing: an entry is under 160 bytes.
        let mut text = Zeroizing::new(Vec::with_capacity(160 * stored.len() + 2));
        // Writing these plain fields to memory cannot fail; an empty text would be refused by `parse`.
        if serde_json::to_writer(&mut *text, &stored).is_err() {
            text.clear();
        }
        text
    }
}

fn read(mut stored: StoredEntry) -> Result<RingEntry, RingError> {
    let mut op_id = [0; 16];
    hex::decode_to_slice(&stored.op_id, &mut op_id).map_err(|_| RingError::Format)?;
    let password = Password::from_text(Zeroizing::new(std::mem::take(&mut stored.password)));
    let state = match stored.state {
        StoredState::Intent => EntryState::Intent,
        StoredState::Active => EntryState::Active,
        StoredState::Retired => EntryState::Retired,
    };
    Ok(RingEntry { epoch: stored.epoch, password, state, op_id })
}

fn write(entry: &RingEntry) -> StoredEntry {
    StoredEntry {
        epoch: entry.epoch,
        password: entry.password.expose().to_owned(),
        state: match entry.state {
            EntryState::Intent => StoredState::Intent,
            EntryState::Active => StoredState::Active,
            EntryState::Retired => StoredState::Retired,
        },
        op_id: hex::encode(entry.op_id),
    }
}
