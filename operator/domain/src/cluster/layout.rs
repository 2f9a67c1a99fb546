//! The zones that a cluster is built in: those of its spec, unless an HSM would lose its place (D18, INV-03).
//!
//! A spec can be older than its cluster: an object that was lost and came back from an old manifest lists what that listed, and has no status
//! which says where there are HSMs. The pods that there are still say it.

use crate::identifier::ZoneName;
use std::collections::BTreeSet;
use thiserror::Error;

/// What was built before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltZones {
    /// Zones that the pods may run in, as many as there are pods; empty while there are none.
    pub pods: Vec<ZoneName>,
    /// Zones of the HSMs that are listed.
    pub hsms: Vec<ZoneName>,
    /// Whether every HSM that there may be is listed ([`super::Listing`]).
    pub all_listed: bool,
}

/// A spec by which HSMs would go: their place would have to be wiped, and keys may live nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "spec.availabilityZones does not list {}, where the cluster has an HSM or may have one: removing HSMs is not supported yet, \
     so the cluster goes on in {}. Next: put {} back into the list",
    names(.removed), names(.kept), names(.removed)
)]
pub struct ZonesRemoved {
    /// Zones that the spec lacks.
    pub removed: Vec<ZoneName>,
    /// Zones to go on in: as they were, without new ones, because an HSM that is added by mistake could not be taken away again.
    pub kept: Vec<ZoneName>,
}

/// The zones to build in, one for each pod: never fewer than there are pods, and none less that has an HSM or may have one.
///
/// The order has no meaning: a pod belongs to the zone that its volume was assigned to, whatever its ordinal. So the same zones in another order
/// are left as they were, and no pod has to be replaced for it.
///
/// # Errors
/// [`ZonesRemoved`]: a person has to correct the spec, and everything goes on in the zones there are.
pub fn zones_to_build(wanted: &[ZoneName], built: &BuiltZones) -> Result<Vec<ZoneName>, ZonesRemoved> {
    // Which pod goes with fewer of them is decided by its ordinal, not by its zone; and an HSM that is not listed may be in any zone.
    let any_may_have_one = wanted.len() < built.pods.len() || !built.all_listed;
    let pods = built.pods.iter().filter(|_| any_may_have_one);
    let held: BTreeSet<&ZoneName> = built.hsms.iter().chain(pods).collect();
    let removed: Vec<ZoneName> = held.into_iter().filter(|zone| !wanted.contains(zone)).cloned().collect();
    if removed.is_empty() {
        let same = wanted.len() == built.pods.len() && built.pods.iter().all(|zone| wanted.contains(zone));
        return Ok(if same { built.pods.clone() } else { wanted.to_vec() });
    }
    let mut kept = if built.pods.is_empty() { wanted.to_vec() } else { built.pods.clone() };
    for zone in &built.hsms {
        if !kept.contains(zone) {
            kept.push(zone.clone());
        }
    }
    Err(ZonesRemoved { removed, kept })
}

fn names(zones: &[ZoneName]) -> String {
    zones.iter().map(ZoneName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One zone for each letter.
    fn zones(letters: &str) -> Vec<ZoneName> {
        letters.chars().map(|letter| letter.to_string().parse().unwrap()).collect()
    }

    /// The zones that are built in, and those that are refused to go.
    fn decided(wanted: &[ZoneName], built: &BuiltZones) -> (Vec<ZoneName>, Vec<ZoneName>) {
        match zones_to_build(wanted, built) {
            Ok(zones) => (zones, Vec::new()),
            Err(ZonesRemoved { removed, kept }) => (kept, removed),
        }
    }

    /// INV-03: an HSM goes only when somebody has seen to its keys.
    #[test]
    fn no_spec_takes_a_zone_away_that_has_an_hsm_or_may_have_one() {
        for (why, wanted, pods, hsms, all_listed, want, refused) in [
            ("a new cluster", "abc", "", "", true, "abc", ""),
            ("as it was built", "abc", "abc", "abc", true, "abc", ""),
            ("a zone more", "abcd", "abc", "abc", true, "abcd", ""),
            ("an older manifest came back", "ab", "abc", "", false, "abc", "c"),
            ("the same, and one HSM has been away since", "ab", "abc", "ab", false, "abc", "c"),
            ("a manifest without zones came back", "", "abc", "", false, "abc", "abc"),
            ("a zone was taken off the list", "ab", "abc", "abc", true, "abc", "c"),
            ("another zone took its place, and nobody was asked yet", "abd", "abc", "", false, "abc", "c"),
            ("the same, and its HSM has been away", "abd", "abc", "ab", false, "abc", "c"),
            ("the same, and its HSM is listed", "abd", "abc", "abc", true, "abc", "c"),
            ("all zones have other names", "def", "abc", "", false, "abc", "abc"),
            ("a misspelt zone is corrected: no HSM was ever there", "abd", "abx", "ab", true, "abd", ""),
            ("it is dropped: the last pod may be one with an HSM", "ab", "abx", "ab", true, "abx", "x"),
            ("another order", "cab", "abc", "abc", true, "abc", ""),
            ("another order, and nobody was asked yet", "cba", "abc", "", false, "abc", ""),
            ("the StatefulSet is gone, and the list is there", "ab", "", "abc", true, "abc", "c"),
        ] {
            let built = BuiltZones { pods: zones(pods), hsms: zones(hsms), all_listed };
            assert_eq!(decided(&zones(wanted), &built), (zones(want), zones(refused)), "{why}");
        }
    }

    #[test]
    fn the_refusal_says_what_is_missing_what_goes_on_and_what_to_do() {
        let built = BuiltZones { pods: zones("abc"), ..BuiltZones::default() };
        let said = zones_to_build(&zones("a"), &built).unwrap_err().to_string();
        for part in ["does not list b, c, where", "goes on in a, b, c.", "Next: put b, c back"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    /// Some of five zones, in any order.
    fn some_zones() -> impl Strategy<Value = Vec<ZoneName>> {
        prop::sample::subsequence(zones("abcde"), 0..=5).prop_shuffle()
    }

    proptest! {
        /// INV-03, D18: no pod goes, no HSM loses its zone, and what is refused changes nothing.
        #[test]
        fn whatever_is_wanted_there_are_never_fewer_pods_than_before(
            wanted in some_zones(), pods in some_zones(), hsms in some_zones(), all_listed in any::<bool>(),
        ) {
            let built = BuiltZones { pods, hsms, all_listed };
            let (zones, refused) = decided(&wanted, &built);
            prop_assert!(zones.len() >= built.pods.len());
            prop_assert!(built.hsms.iter().all(|zone| zones.contains(zone)));
            prop_assert!(built.all_listed || built.pods.iter().all(|zone| zones.contains(zone)));
            prop_assert!(refused.iter().all(|zone| !wanted.contains(zone)));
            let is_old = |zone: &ZoneName| built.pods.contains(zone) || built.hsms.contains(zone);
            prop_assert!(refused.is_empty() || built.pods.is_empty() || zones.iter().all(is_old));
            let as_wanted = zones.len() == wanted.len() && zones.iter().all(|zone| wanted.contains(zone));
            prop_assert!(as_wanted || !refused.is_empty());
        }
    }
}
