//! Which HSM to ask next: healthy before failing, same zone before others, least loaded first.
//!
//! Loads are compared in steps, not one by one: requests that go to one HSM together share a write there, a wake-up and a
//! write back, and cost a fraction of what they cost when they are dealt out singly (performance §2.2).

use super::member::Member;
use crate::session::Session;
use std::sync::Arc;

/// A request stays in its zone until the local HSM has this many more in flight than twice another's: crossing zones
/// costs more than a short queue.
const LOCAL_BIAS: usize = 4;

/// Requests in flight that an HSM answers together: so many more make another one the better choice.
const STEP: usize = 32;

/// Smaller is better. Ordered by health, then by load as seen from this zone, then by zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    avoided: bool,
    load: usize,
    remote: bool,
}

fn rank(in_flight: usize, local: bool, avoided: bool) -> Rank {
    let load = if local { in_flight } else { 2 * in_flight + LOCAL_BIAS };
    Rank { avoided, load: load / STEP, remote: !local }
}

/// The best connected member that has not been asked yet, and its session. Among equals the first one from `first` on, so
/// that pools with another `first` prefer another HSM.
pub(super) fn best(members: &[Arc<Member>], asked: &[bool], first: usize) -> Option<(usize, Session)> {
    let count = members.len();
    (0..count)
        .map(|offset| (first + offset) % count)
        .filter(|index| asked.get(*index) == Some(&false))
        .filter_map(|index| Some((index, members.get(index).filter(|member| member.is_connected())?)))
        .min_by_key(|(_, member)| rank(member.in_flight(), member.is_local(), member.is_avoided()))
        // A session that went in this very moment ends the round; the next one begins after a pause.
        .and_then(|(index, member)| Some((index, member.session()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_zone_is_kept_until_it_is_clearly_more_loaded() {
        assert!(rank(0, true, false) < rank(0, false, false));
        assert!(rank(100, true, false) < rank(60, false, false));
        assert!(rank(150, true, false) > rank(50, false, false));
    }

    #[test]
    fn the_least_loaded_wins_and_a_few_requests_make_no_difference() {
        assert!(rank(10, true, false) < rank(10 + STEP, true, false));
        assert_eq!(rank(0, true, false), rank(STEP - 1, true, false));
    }

    #[test]
    fn an_hsm_that_just_failed_is_asked_last_however_idle_it_is() {
        assert!(rank(1000, false, false) < rank(0, true, true));
    }
}
