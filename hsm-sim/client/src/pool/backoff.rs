//! How long to wait before dialling an HSM again: doubling, bounded, and spread so that replicas do not dial in step.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Waiting times of one HSM.
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// After a success the next failure is met with the shortest wait again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Between half of and the whole current wait, which then doubles.
    pub(super) fn wait(&mut self) -> Duration {
        let mut byte = [0];
        // Without randomness replicas dial in step, which is only slower.
        let _ = SystemRandom::new().fill(&mut byte);
        let wait = self.next / 2 + self.next * u32::from(byte[0]) / 512;
        self.next = (self.next * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_but_never_past_the_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::new();
        for step in 0..20 {
            let wait = backoff.wait();
            let whole = FIRST.saturating_mul(1 << step).min(LONGEST);
            assert!(wait >= whole / 2 && wait <= whole, "step {step}: {wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }
}
