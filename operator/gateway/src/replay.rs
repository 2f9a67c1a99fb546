//! Lets each signature order one change: a second request with it is a replay (T-06, reliability §4.8).
//!
//! Only operations that change something come here; the hot path takes no lock. Reads may be repeated: they change
//! nothing and go to the holder of the connection alone.
//!
//! A signature is good for five minutes, so no more than that is remembered. What an earlier process has seen is not
//! known here: a change that was signed before this one began is to be signed again. What another replica has seen is
//! not known either; CreateKey therefore names its object by the signature, and the API server makes it once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::error::{ApiError, ErrorCode};
use crate::sigv4::{SIGNATURE_LENGTH, Verified, WINDOW};

/// Changes per access key and window at most: bounds the memory, and what one tenant can take of it.
const MOST_PER_ACCESS_KEY: usize = 1_000;
/// How long a signature is remembered after its own date: twice its life, in case the clock is set back.
const REMEMBERED: SignedDuration = WINDOW.saturating_mul(2);

/// What a replay is told by: who signed, when, and the signature itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedOnce {
    access_key_id: Arc<str>,
    signed_at: Timestamp,
    signature: [u8; SIGNATURE_LENGTH],
}

impl From<&Verified> for SignedOnce {
    fn from(verified: &Verified) -> Self {
        let access_key_id = Arc::clone(&verified.credential.access_key_id);
        Self { access_key_id, signed_at: verified.signed_at, signature: verified.signature }
    }
}

impl SignedOnce {
    /// A name for what the request orders, the same on every replica; it does not tell the signature.
    pub(crate) fn name(&self) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(self.access_key_id.as_bytes());
        hash.update(&self.signature);
        let hash = hex::encode(hash.finish());
        hash.get(..32).unwrap_or(&hash).to_owned()
    }
}

/// Why a change is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Replay {
    /// The signature has ordered a change already.
    #[error("the signature has ordered a change already")]
    Seen,
    /// Whether it was used cannot be known.
    #[error("it was signed before this process began")]
    BeforeStart,
    /// No more can be remembered.
    #[error("the access key has ordered too many changes")]
    TooMany,
}

impl From<Replay> for ApiError {
    /// Throttling, which every SDK answers by waiting and signing anew: dates have whole seconds and some SDKs sign
    /// nothing else that varies, so an honest caller can make the same signature twice.
    fn from(_: Replay) -> Self {
        let text = "The signature of this request may have been used already; wait a second and sign it again.";
        Self::new(ErrorCode::Throttling, text)
    }
}

/// The signatures that have ordered a change lately, by access key.
pub(crate) struct Replays {
    since: Timestamp,
    seen: Mutex<HashMap<Arc<str>, Recent>>,
}

type Recent = BTreeSet<(Timestamp, [u8; SIGNATURE_LENGTH])>;

impl Replays {
    /// Knows of no signature before `since`, to the second (signatures carry no fraction).
    pub(crate) fn since(since: Timestamp) -> Self {
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        Self { since, seen: Mutex::default() }
    }

    /// Takes the signature for one change at time `now`.
    ///
    /// # Errors
    /// [`Replay`]; then nothing may be changed.
    pub(crate) fn admit(&self, request: &SignedOnce, now: Timestamp) -> Result<(), Replay> {
        if request.signed_at < self.since {
            return Err(Replay::BeforeStart);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = seen.entry(Arc::clone(&request.access_key_id)).or_default();
        forget_before(recent, now);
        if recent.contains(&(request.signed_at, request.signature)) {
            return Err(Replay::Seen);
        }
        if recent.len() >= MOST_PER_ACCESS_KEY {
            return Err(Replay::TooMany);
        }
        recent.insert((request.signed_at, request.signature));
        Ok(())
    }

    /// Forgets signatures that are too old to be accepted, and access keys with no others.
    pub(crate) fn forget_old(&self, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, recent| {
            forget_before(recent, now);
            !recent.is_empty()
        });
    }
}

fn forget_before(recent: &mut Recent, now: Timestamp) {
    let oldest = now.saturating_sub(REMEMBERED).unwrap_or(now);
    *recent = recent.split_off(&(oldest, [0; SIGNATURE_LENGTH]));
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::constant(1_795_000_000, 0);

    fn request(key: &str, seconds: i64, signature: u8) -> SignedOnce {
        let signed_at = START + SignedDuration::from_secs(seconds);
        SignedOnce { access_key_id: key.into(), signed_at, signature: [signature; SIGNATURE_LENGTH] }
    }

    fn after(seconds: i64) -> Timestamp {
        START + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_signature_orders_one_change_for_as_long_as_it_could_be_accepted() {
        let replays = Replays::since(START);
        assert_eq!(replays.admit(&request("a", 10, 1), after(10)), Ok(()));
        for later in [10, 11, 309, 310, 311, 609] {
            assert_eq!(replays.admit(&request("a", 10, 1), after(later)), Err(Replay::Seen), "{later} s");
        }
        replays.forget_old(after(610));
        assert_eq!(replays.admit(&request("a", 10, 1), after(610)), Err(Replay::Seen), "not yet too old");
    }

    #[test]
    fn another_signature_another_moment_or_another_key_is_another_request() {
        let replays = Replays::since(START);
        for other in [request("a", 10, 1), request("a", 10, 2), request("a", 11, 1), request("b", 10, 1)] {
            assert_eq!(replays.admit(&other, after(12)), Ok(()), "{other:?}");
        }
    }

    #[test]
    fn what_was_signed_before_the_start_is_not_known_and_therefore_not_done() {
        let replays = Replays::since(START + SignedDuration::from_millis(900));
        assert_eq!(replays.admit(&request("a", -1, 1), after(0)), Err(Replay::BeforeStart));
        assert_eq!(replays.admit(&request("a", 0, 1), after(0)), Ok(()), "a date has no fraction");
    }

    #[test]
    fn memory_is_bounded_for_each_access_key_and_freed_when_signatures_expire() {
        let replays = Replays::since(START);
        assert_eq!(MOST_PER_ACCESS_KEY, 10 * 100);
        for signature in 0..10 {
            for second in 0..100 {
                assert_eq!(replays.admit(&request("a", second, signature), after(100)), Ok(()));
            }
        }
        assert_eq!(replays.admit(&request("a", 100, 99), after(100)), Err(Replay::TooMany));
        assert_eq!(replays.admit(&request("b", 100, 99), after(100)), Ok(()), "others are not affected");
        assert_eq!(replays.admit(&request("a", 700, 99), after(700)), Ok(()), "the old ones are forgotten");
        replays.forget_old(after(10_000));
        assert!(replays.seen.lock().unwrap().is_empty());
    }

    #[test]
    fn a_name_depends_on_key_and_signature_and_is_part_of_a_kubernetes_name() {
        let names = [request("a", 0, 1), request("a", 0, 2), request("b", 0, 1)].map(|request| request.name());
        assert!(names[0] != names[1] && names[0] != names[2]);
        assert_eq!(request("a", 0, 1).name(), names[0]);
        assert!(names[0].len() == 32 && names[0].bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
