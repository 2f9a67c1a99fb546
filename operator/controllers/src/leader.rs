//! Leader election over a `coordination.k8s.io/v1` Lease, by client-go's rule, with the check that precedes every effect.
//!
//! A candidate never compares the Lease's timestamps with its own clock: it takes a lease over only after it has itself
//! watched the record stand still for the whole lease duration, on the monotonic clock. The holder trusts its own
//! monotonic clock too: its tenure ends [`RENEW_DEADLINE`] after the *start* of its last successful renewal, which is before
//! any candidate may move (P5, `INV-70`). The Lease alone cannot stop an effect that is already under way; resourceVersion
//! (API server) and the fence (HSM) do.

mod election;
mod observation;

pub(crate) use election::record;
pub use election::{Ended, Leader, elect};
pub(crate) use observation::{Observation, Verdict};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a record must stand still before a candidate may take the Lease.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long the holder goes on without a successful renewal.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two attempts to acquire or renew.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// This process does not hold the Lease (any more): nothing may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to act: this process does not hold the leader's lease")]
pub struct NotLeader;

/// Answers whether this process may act now; clones share one tenure.
#[derive(Clone, Debug)]
pub struct Leadership {
    origin: Instant,
    /// Milliseconds after `origin` at which the tenure ends; 0 = none. An atomic, so that the check costs nothing.
    end: Arc<AtomicU64>,
}

impl Default for Leadership {
    fn default() -> Self {
        Self { origin: Instant::now(), end: Arc::new(AtomicU64::new(0)) }
    }
}

impl Leadership {
    /// To be called directly before every effect (P5).
    ///
    /// # Errors
    /// [`NotLeader`] before the Lease was acquired, after it was lost or released, and from [`RENEW_DEADLINE`] after the last
    /// renewal on, for example in a process that was stopped and continued.
    pub fn check(&self) -> Result<(), NotLeader> {
        self.check_at(Instant::now())
    }

    fn check_at(&self, now: Instant) -> Result<(), NotLeader> {
        if self.millis(now) < self.end.load(Ordering::Acquire) { Ok(()) } else { Err(NotLeader) }
    }

    /// Extends the tenure after a renewal whose request began at `started`.
    fn renewed(&self, started: Instant) {
        self.end.store(self.millis(started + RENEW_DEADLINE), Ordering::Release);
    }

    /// Ends the tenure at once.
    fn end(&self) {
        self.end.store(0, Ordering::Release);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_act_before_the_lease_is_acquired() {
        assert_eq!(Leadership::default().check(), Err(NotLeader));
    }

    /// P5: stop at renewal + 10 s, five seconds before any candidate may take over.
    #[test]
    fn the_tenure_ends_ten_seconds_after_the_last_renewal_began() {
        let leadership = Leadership::default();
        let start = Instant::now() + Duration::from_secs(1);
        leadership.renewed(start);
        assert_eq!(leadership.check_at(start + Duration::from_millis(9_990)), Ok(()));
        assert_eq!(leadership.check_at(start + Duration::from_millis(10_001)), Err(NotLeader));
        assert!(RENEW_DEADLINE < LEASE_DURATION && RETRY_PERIOD < RENEW_DEADLINE);
    }

    #[test]
    fn a_released_tenure_is_over_at_once() {
        let leadership = Leadership::default();
        let start = Instant::now() + Duration::from_secs(1);
        leadership.renewed(start);
        leadership.end();
        assert_eq!(leadership.check_at(start), Err(NotLeader));
    }
}
