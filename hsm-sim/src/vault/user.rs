//! One user of the HSM.

use aws_lc_rs::digest;
use hsm_protocol::ReturnCode;
use hsm_protocol::limits::MAX_USER_NAME;
use hsm_protocol::message::{UserSnapshotEntry, UserType};
use zeroize::Zeroizing;

use super::Outcome;
use super::password::Verifier;
use super::rows::UserRow;

/// A user as the HSM knows it. Secret inside: no `Debug`.
#[derive(Clone)]
pub(crate) struct User {
    /// Canonical (lower-case) name.
    pub(crate) name: String,
    /// What it may do (spec 1.7).
    pub(crate) user_type: UserType,
    /// Version of the credential (P1).
    pub(crate) epoch: u64,
    /// Hash of the password.
    pub(crate) verifier: Verifier,
    /// Operation that made this version.
    pub(crate) last_op_id: Vec<u8>,
    /// Slot of the login counter.
    pub(crate) slot: usize,
}

impl User {
    /// What the login counter is bound to: this user with this password. A new password starts a new count (HSM-44).
    pub(crate) fn counter_binding(&self) -> [u8; 16] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"keystores login counter v1\0");
        context.update(&self.verifier.salt);
        context.update(self.name.as_bytes());
        let mut binding = [0; 16];
        binding.copy_from_slice(&context.finish().as_ref()[..16]);
        binding
    }

    /// The row to store.
    pub(crate) fn row(&self) -> UserRow {
        UserRow {
            name: self.name.clone(),
            user_type: self.user_type as i32,
            epoch: self.epoch,
            salt: self.verifier.salt.to_vec(),
            verifier: self.verifier.hash.to_vec(),
            iterations: self.verifier.iterations,
            last_op_id: self.last_op_id.clone(),
            slot: u32::try_from(self.slot).unwrap_or(u32::MAX),
        }
    }

    /// Reads a stored row; `None` if it is not one.
    pub(crate) fn from_row(row: &UserRow) -> Option<Self> {
        Some(Self {
            name: row.name.clone(),
            user_type: UserType::try_from(row.user_type).ok()?,
            epoch: row.epoch,
            verifier: Verifier {
                salt: row.salt.as_slice().try_into().ok()?,
                hash: Zeroizing::new(row.verifier.clone()),
                iterations: row.iterations,
            },
            last_op_id: row.last_op_id.clone(),
            slot: row.slot as usize,
        })
    }

    /// The entry for a joining peer.
    pub(crate) fn snapshot(&self, failures: u32, locked: bool) -> UserSnapshotEntry {
        let row = self.row();
        UserSnapshotEntry {
            user: row.name.clone(),
            user_type: row.user_type,
            epoch: row.epoch,
            salt: row.salt.clone(),
            verifier: row.verifier.clone(),
            iterations: row.iterations,
            last_op_id: row.last_op_id.clone(),
            failures,
            locked,
        }
    }

    /// Reads a peer's entry; it gets a slot of this HSM.
    pub(crate) fn from_snapshot(entry: &UserSnapshotEntry, slot: usize) -> Option<Self> {
        Self::from_row(&UserRow {
            name: canonical_name(&entry.user)?,
            user_type: entry.user_type,
            epoch: entry.epoch,
            salt: entry.salt.clone(),
            verifier: entry.verifier.clone(),
            iterations: entry.iterations,
            last_op_id: entry.last_op_id.clone(),
            slot: u32::try_from(slot).ok()?,
        })
    }
}

/// The one spelling of a user name, or `None` if it is none (HSM-30). Case, Unicode and padding variants open no
/// second counter (INV-63): they are the same name or no name.
pub(crate) fn canonical_name(name: &str) -> Option<String> {
    let allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (allowed && (1..=MAX_USER_NAME).contains(&name.len())).then(|| name.to_ascii_lowercase())
}

/// As [`canonical_name`], for commands that may say that a name is malformed.
///
/// # Errors
/// `InvalidArgument` if it is.
pub(crate) fn required_name(name: &str) -> Outcome<String> {
    canonical_name(name).ok_or(ReturnCode::InvalidArgument)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HSM-30, INV-63.
    #[test]
    fn names_differ_by_letters_digits_and_underscore_only() {
        assert_eq!(canonical_name("KmsUser").as_deref(), Some("kmsuser"));
        let long = "a".repeat(32);
        for none in ["", " kmsuser", "kmsuser ", "kms-user", "kmsuser\0", "kmsuſer", "ｋmsuser", &long] {
            assert_eq!(canonical_name(none), None, "{none:?}");
        }
    }
}
