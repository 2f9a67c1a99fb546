//! HSMs that did not answer a moment ago, remembered by the whole process.
//!
//! A frozen HSM accepts connections and answers nothing. If every look at every key of its cluster waited for it, those looks would hold all the
//! places that the keys of other tenants need (INV-75). So one look finds out, and the others go on without that HSM: it counts as one that did
//! not answer, from which nothing is ever concluded (INV-13).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hsm_client::{HsmError, HsmIdentity, ReturnCode};

/// How long an HSM that did not answer is left alone; then one look tries it again.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// The silent HSMs, by identity; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Silences(Arc<Mutex<HashMap<[u8; 32], Silence>>>);

#[derive(Debug)]
struct Silence {
    /// Which start of the HSM was silent: a restarted one is asked at once.
    incarnation: u64,
    /// From when on somebody may try it.
    ends: Instant,
}

impl Silences {
    /// Whether to ask the HSM. Of all who ask about a silent one, one gets a yes each [`LEFT_ALONE`]: that one is expected to try it.
    pub(super) fn may_ask(&self, hsm: &HsmIdentity, now: Instant) -> bool {
        let mut silences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = silences.get_mut(&hsm.identity_fingerprint);
        let Some(silence) = known.filter(|silence| silence.incarnation == hsm.incarnation) else { return true };
        let over = silence.ends <= now;
        if over {
            // Should the one that tries it be stopped midway, the next may try after the same time.
            silence.ends = now + LEFT_ALONE;
        }
        over
    }

    /// Notes how a command to the HSM ended. Only one that ran out of time has cost anything: a connection that has ended says so at once.
    pub(super) fn note(&self, hsm: &HsmIdentity, error: Option<&HsmError>, now: Instant) {
        let mut silences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(HsmError::Timeout) => {
                let silence = Silence { incarnation: hsm.incarnation, ends: now + LEFT_ALONE };
                silences.insert(hsm.identity_fingerprint, silence);
            }
            // Busy may be our own side's word, when too much waits to be sent.
            Some(HsmError::Disconnected | HsmError::Protocol(_) | HsmError::Refused(ReturnCode::Busy)) => {}
            Some(HsmError::Refused(_)) | None => {
                silences.remove(&hsm.identity_fingerprint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsm_protocol::message::HsmState;

    fn hsm(number: u8, incarnation: u64) -> HsmIdentity {
        HsmIdentity {
            hsm_id: format!("hsm-{number}"),
            cluster_id: "cluster-a".into(),
            availability_zone: "local-1a".into(),
            incarnation,
            identity_fingerprint: [number; 32],
            state: HsmState::Active,
            wall_clock_unix_ms: 0,
        }
    }

    /// How many of 32 looks at the same time would ask, and so may have to wait.
    fn asking(silences: &Silences, hsm: &HsmIdentity, now: Instant) -> usize {
        (0..32).filter(|_| silences.may_ask(hsm, now)).count()
    }

    /// INV-75: of all the places, a frozen HSM costs one at a time.
    #[test]
    fn a_silent_hsm_is_tried_by_one_look_at_a_time() {
        let (silences, frozen, start) = (Silences::default(), hsm(1, 1), Instant::now());
        assert_eq!(asking(&silences, &frozen, start), 32, "nobody knows yet");
        silences.note(&frozen, Some(&HsmError::Timeout), start);
        for round in 0..10_u32 {
            let again = start + LEFT_ALONE * round;
            let expected = usize::from(round > 0);
            assert_eq!(asking(&silences, &frozen, again), expected, "round {round}");
            assert_eq!(asking(&silences, &frozen, again + LEFT_ALONE / 2), 0, "round {round}");
        }
    }

    #[test]
    fn an_hsm_that_answers_or_has_been_restarted_is_asked_by_everybody() {
        let (silences, start) = (Silences::default(), Instant::now());
        for answer in [None, Some(HsmError::Refused(ReturnCode::InvalidObjectHandle))] {
            silences.note(&hsm(1, 1), Some(&HsmError::Timeout), start);
            assert_eq!(asking(&silences, &hsm(1, 2), start), 32, "a restarted one");
            assert_eq!(asking(&silences, &hsm(1, 1), start), 0);
            silences.note(&hsm(1, 1), answer.as_ref(), start);
            assert_eq!(asking(&silences, &hsm(1, 1), start), 32, "after {answer:?}");
        }
    }

    #[test]
    fn what_is_no_answer_neither_makes_nor_ends_a_silence() {
        let (silences, start) = (Silences::default(), Instant::now());
        let no_answers = [HsmError::Disconnected, HsmError::Protocol("?".into()), HsmError::Refused(ReturnCode::Busy)];
        for error in &no_answers {
            silences.note(&hsm(1, 1), Some(error), start);
            assert_eq!(asking(&silences, &hsm(1, 1), start), 32, "after {error}");
        }
        silences.note(&hsm(1, 1), Some(&HsmError::Timeout), start);
        for error in &no_answers {
            silences.note(&hsm(1, 1), Some(error), start);
            assert_eq!(asking(&silences, &hsm(1, 1), start), 0, "after {error}");
        }
    }

    /// INV-75: the keys of another cluster do not notice.
    #[test]
    fn one_silent_hsm_silences_no_other() {
        let (silences, start) = (Silences::default(), Instant::now());
        silences.note(&hsm(1, 1), Some(&HsmError::Timeout), start);
        assert_eq!(asking(&silences.clone(), &hsm(2, 1), start), 32);
    }
}
