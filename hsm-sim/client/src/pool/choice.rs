//! Which HSM to ask next: healthy before failing, same zone before others, least loaded first.

use super::member::Member;
use crate::session::Session;
use std::sync::Arc;

/// A request stays in its zone until the local HSM has this many more in flight than twice another's: crossing zones
/// costs more than a short queue.
const LOCAL_BIAS: usize = 4;

/// Smaller is better. Ordered by health, then by load as seen from this zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    avoided: bool,
    load: usize,
}

fn rank(in_flight: usize, local: bool, avoided: bool) -> Rank {
    let load = if local { in_flight } else { 2 * in_flight + LOCAL_BIAS };
    Rank { avoided, load }
}

/// The best connected member that has not been asked yet, and its session.
pub(super) fn best(members: &[Arc<Member>], asked: &[bool]) -> Option<(usize, Session)> {
    members
        .iter()
        .zip(asked)
        .enumerate()
        .filter(|(_, (_, asked))| !**asked)
        .filter_map(|(index, (member, _))| Some((index, member, member.session()?)))
        .min_by_key(|(_, member, _)| rank(member.in_flight(), member.is_local(), member.is_avoided()))
        .map(|(index, _, session)| (index, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_zone_is_kept_until_it_is_clearly_more_loaded() {
        assert!(rank(0, true, false) < rank(0, false, false));
        assert!(rank(10, true, false) < rank(5, false, false));
        assert!(rank(15, true, false) > rank(5, false, false));
    }

    #[test]
    fn among_equals_the_least_loaded_wins() {
        assert!(rank(3, false, false) < rank(4, false, false));
    }

    #[test]
    fn an_hsm_that_just_failed_is_asked_last_however_idle_it_is() {
        assert!(rank(1000, false, false) < rank(0, true, true));
    }
}
