//! Five consecutive failures lock a user on this HSM (HSM-41, INV-61…63).
//!
//! Invariant (INV-62): the failure is on disk before the password is looked at, and taken back only after it matched.
//! So neither kill -9 nor a full disk gives a free guess.

use super::password::Verifier;
use super::user::User;
use crate::store::StoreError;
use crate::store::counters::{Counters, Slot};

/// Consecutive failures that lock.
pub(crate) const LIMIT: u64 = 5;
/// Slot that attempts for unknown users write to, so that they cost the same and leave no state (INV-64).
const NOBODY_SLOT: usize = 1;
/// First slot for users.
pub(crate) const FIRST_SLOT: usize = 2;

/// How a login attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The password matched; the count is 0 again.
    Matched,
    /// It did not, or there is no such user.
    Refused,
    /// The user was locked before; the password was not looked at.
    Locked,
}

/// Consecutive failures of this user's present password. A damaged counter counts as locked.
pub(crate) fn failures(counters: &Counters, user: &User) -> u64 {
    match counters.read(user.slot) {
        Slot::Value { binding, value } if binding == user.counter_binding() => value,
        Slot::Value { .. } => 0,
        Slot::Unused | Slot::Damaged => LIMIT,
    }
}

/// Verifies a password. Blocks: a sync, then `cost` iterations of PBKDF2, whoever the user is, then perhaps another sync. The caller admits
/// one attempt per user at a time.
///
/// # Errors
/// [`StoreError`] if the count could not be made durable; the password was then not looked at.
pub(crate) fn attempt(
    counters: &Counters,
    user: Option<&User>,
    password: &str,
    cost: u32,
) -> Result<Verdict, StoreError> {
    let Some(user) = user else {
        counters.write(NOBODY_SLOT, [0; 16], 0)?;
        // Compared like any other; the result cannot be true.
        let _ = Verifier::of_nobody(cost).matches(password, cost);
        return Ok(Verdict::Refused);
    };
    let before = failures(counters, user);
    if before >= LIMIT {
        return Ok(Verdict::Locked);
    }
    counters.write(user.slot, user.counter_binding(), before + 1)?;
    if !user.verifier.matches(password, cost) {
        return Ok(Verdict::Refused);
    }
    counters.write(user.slot, user.counter_binding(), 0)?;
    Ok(Verdict::Matched)
}

/// Writes the count that a user starts with, before the user exists.
///
/// # Errors
/// [`StoreError`] if it could not be made durable.
pub(crate) fn start(counters: &Counters, user: &User, failures: u64) -> Result<(), StoreError> {
    counters.write(user.slot, user.counter_binding(), failures)
}

#[cfg(test)]
#[path = "lockout_tests.rs"]
mod tests;
