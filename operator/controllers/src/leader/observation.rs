//! The pure part of the election: what a candidate may do, from the records it has seen and when it saw them change.

use std::time::{Duration, Instant};

/// What the rule needs to know of a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Holder's identity; `None` or empty after a release.
    pub(crate) holder: Option<String>,
    /// resourceVersion: changes with every renewal, so standing still means that nobody renews.
    pub(crate) version: String,
    /// Duration the holder asks for.
    pub(crate) duration: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no Lease: create it.
    Create,
    /// Ours: renew it.
    Renew,
    /// Released, or its holder stood still for its whole duration: take it over.
    Take,
    /// Somebody else holds it.
    Wait,
}

/// Remembers since when the current record has stood still.
#[derive(Debug)]
pub(crate) struct Observation {
    identity: String,
    seen: Option<(Record, Instant)>,
}

impl Observation {
    pub(crate) fn new(identity: String) -> Self {
        Self { identity, seen: None }
    }

    /// Judges the record read at `now`.
    pub(crate) fn judge(&mut self, record: Option<Record>, now: Instant) -> Verdict {
        let Some(record) = record else {
            self.seen = None;
            return Verdict::Create;
        };
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            Some(_) | None => now,
        };
        let verdict = match record.holder.as_deref() {
            None | Some("") => Verdict::Take,
            Some(holder) if holder == self.identity => Verdict::Renew,
            Some(_) if now.saturating_duration_since(since) >= record.duration => Verdict::Take,
            Some(_) => Verdict::Wait,
        };
        self.seen = Some((record, since));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn record(holder: &str, version: u32) -> Option<Record> {
        Some(Record { holder: Some(holder.into()), version: version.to_string(), duration: DURATION })
    }

    #[test]
    fn a_missing_lease_is_created() {
        assert_eq!(Observation::new("a".into()).judge(None, Instant::now()), Verdict::Create);
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        assert_eq!(Observation::new("a".into()).judge(record("", 1), Instant::now()), Verdict::Take);
    }

    #[test]
    fn a_first_look_at_a_foreign_lease_never_takes_it_however_old_it_is() {
        assert_eq!(Observation::new("a".into()).judge(record("b", 1), Instant::now()), Verdict::Wait);
    }

    #[test]
    fn a_lease_that_stood_still_for_its_duration_is_taken() {
        let (mut observation, start) = (Observation::new("a".into()), Instant::now());
        observation.judge(record("b", 1), start);
        assert_eq!(observation.judge(record("b", 1), start + DURATION - Duration::from_millis(1)), Verdict::Wait);
        assert_eq!(observation.judge(record("b", 1), start + DURATION), Verdict::Take);
    }

    #[test]
    fn our_own_lease_is_renewed_after_a_restart_under_the_same_name() {
        assert_eq!(Observation::new("a".into()).judge(record("a", 9), Instant::now()), Verdict::Renew);
    }

    proptest! {
        /// INV-70: as long as the record changes more often than its duration, no candidate ever moves.
        #[test]
        fn a_renewing_holder_is_never_robbed(steps in proptest::collection::vec((0u64..14_999, any::<bool>()), 1..60)) {
            let mut observation = Observation::new("a".into());
            let (mut now, mut version, mut still) = (Instant::now(), 0, 0);
            observation.judge(record("b", version), now);
            for (millis, renewed) in steps {
                now += Duration::from_millis(millis);
                still += millis;
                if renewed || still >= 15_000 {
                    version += 1;
                    still = 0;
                }
                prop_assert_eq!(observation.judge(record("b", version), now), Verdict::Wait);
            }
        }
    }
}
