//! When a certificate is renewed, and how a client key gives way to the next one without a gap (D12).
//!
//! ```text
//!   current ──due──> next is made ──every HSM admits it──> next becomes current ──old one has expired──> old one is forgotten
//!                         └──not all do, and it is late──> current gets another certificate for its key
//! ```
//! Invariant: a key is never used before every HSM admits it, and it is admitted until its certificate has ended, so whoever still uses it is
//! not cut off. A store may be CONNECTED for long while nobody can register a key there (T-10: its `kmsuser` is locked, and the controllers
//! have restarted): then the present key lives on.

use std::time::Duration;

use crate::Timestamp;

/// How long certificates of one kind last, and how long before its end each is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    lifetime: i64,
    renew_before: i64,
}

/// Lifetime and renewal do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTerm {
    /// Nothing would be left, or there would be no time to renew.
    #[error(
        "a certificate's lifetime and the time before its end at which it is renewed must each be at least a second"
    )]
    Empty,
    /// Many certificates would be valid at once, each with a key that the HSMs admit.
    #[error("a certificate must be renewed at the earliest when three quarters of its lifetime are left")]
    TooEarly,
}

impl Term {
    /// A lifetime, and how long before the end to renew.
    ///
    /// # Errors
    /// [`InvalidTerm`].
    pub fn new(lifetime: Duration, renew_before: Duration) -> Result<Self, InvalidTerm> {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 8);
        let (lifetime, renew_before) = (seconds(lifetime), seconds(renew_before));
        if lifetime < 1 || renew_before < 1 {
            return Err(InvalidTerm::Empty);
        }
        if renew_before > lifetime.saturating_mul(3) / 4 {
            return Err(InvalidTerm::TooEarly);
        }
        Ok(Self { lifetime, renew_before })
    }

    /// How long a certificate lasts.
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime.unsigned_abs())
    }

    /// When a certificate that ends at `end` is to be renewed.
    pub fn renewal_of(&self, end: Timestamp) -> Timestamp {
        end.plus_seconds(-self.renew_before)
    }

    /// Whether a certificate that ends at `end` is to be renewed: its time has come, or it was issued for longer than certificates now last.
    pub fn is_due(&self, end: Timestamp, now: Timestamp) -> bool {
        now >= self.renewal_of(end) || end > now.plus_seconds(self.lifetime)
    }

    /// Whether half of the time for renewing has passed in vain: somebody should look.
    pub fn is_late(&self, end: Timestamp, now: Timestamp) -> bool {
        now >= end.plus_seconds(-self.renew_before / 2)
    }
}

/// The ends of the certificates of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKeys {
    /// Of the one in use.
    pub current: Timestamp,
    /// Of the one that is not in use yet.
    pub next: Option<Timestamp>,
    /// Of those that were in use before.
    pub previous: Vec<Timestamp>,
}

/// On how many of the HSMs that count the next key is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Registration {
    /// On none.
    Missing,
    /// On some.
    Partial,
    /// On all.
    Complete,
}

impl Registration {
    /// For one store, with so many active HSMs, of which so many admit the key.
    pub fn of(active: usize, admitting: usize) -> Self {
        match (active, admitting) {
            (_, 0) => Self::Missing,
            (active, admitting) if admitting >= active => Self::Complete,
            (_, _) => Self::Partial,
        }
    }
}

/// What to do next with a client's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// Nothing before that time.
    Rest(Timestamp),
    /// Make a new key, and a certificate for it.
    MakeNext,
    /// Wait until the HSMs admit the next key.
    AwaitRegistration,
    /// Make another certificate for the present key: the HSMs admit no other in time.
    Reissue,
    /// Let the client use the next key.
    Promote,
    /// Forget the previous keys whose certificates have ended.
    ForgetEnded,
}

/// Decides. `registration` is the least over all stores that are connected with the client's keys.
pub fn handover(term: Term, keys: &ClientKeys, registration: Registration, now: Timestamp) -> Handover {
    if keys.previous.iter().any(|end| *end <= now) {
        return Handover::ForgetEnded;
    }
    let Some(next) = keys.next else {
        if term.is_due(keys.current, now) {
            return Handover::MakeNext;
        }
        let first = keys.previous.iter().copied().fold(term.renewal_of(keys.current), Timestamp::min);
        return Handover::Rest(first);
    };
    if term.is_due(next, now) {
        return Handover::MakeNext;
    }
    match registration {
        Registration::Complete => Handover::Promote,
        Registration::Partial | Registration::Missing if term.is_late(keys.current, now) => Handover::Reissue,
        Registration::Partial | Registration::Missing => Handover::AwaitRegistration,
    }
}

#[cfg(test)]
mod tests;
