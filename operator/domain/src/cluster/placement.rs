//! Which zone each pod's HSM is assigned to: the node's zone, listed in the spec, and no two HSMs in one (D18).
//!
//! The scheduler is told the same by affinity, but it is the assignment signed from here that an HSM believes.

use crate::identifier::ZoneName;
use std::collections::BTreeSet;
use thiserror::Error;

/// A pod that may need an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Name of the pod.
    pub pod: String,
    /// Zone of the node that it runs on, once it runs on one.
    pub node_zone: Option<ZoneName>,
    /// Zone that its HSM was assigned to before. Belongs to the volume, which is bound to the zone.
    pub assigned_zone: Option<ZoneName>,
}

/// A pod's HSM belongs into this zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Name of the pod.
    pub pod: String,
    /// The zone to sign.
    pub zone: ZoneName,
}

/// A pod stands where its HSM must not be. Nothing is assigned until it is put right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementProblem {
    /// The node's zone is not listed in the spec.
    #[error("failed to place {pod}: its node is in zone {zone}, which the cluster does not list")]
    ZoneNotListed {
        /// The pod.
        pod: String,
        /// Its node's zone.
        zone: ZoneName,
    },
    /// Another pod's HSM is in the zone already.
    #[error("failed to place {pod}: zone {zone} has an HSM already")]
    ZoneTaken {
        /// The pod.
        pod: String,
        /// Its node's zone.
        zone: ZoneName,
    },
    /// The pod moved to another zone than its volume's.
    #[error("failed to place {pod}: its HSM is assigned to zone {assigned}, its node is in zone {zone}")]
    Moved {
        /// The pod.
        pod: String,
        /// The zone that the HSM was assigned to.
        assigned: ZoneName,
        /// Its node's zone.
        zone: ZoneName,
    },
}

/// New assignments for the pods that have a node and no assignment yet, in the order of `pods`.
///
/// # Errors
/// The first pod that stands wrong.
pub fn assign(listed: &[ZoneName], pods: &[PodFacts]) -> Result<Vec<Assignment>, PlacementProblem> {
    let mut taken: BTreeSet<&ZoneName> = pods.iter().filter_map(|pod| pod.assigned_zone.as_ref()).collect();
    let mut assignments = Vec::new();
    for facts in pods {
        let Some(zone) = &facts.node_zone else { continue };
        let (pod, here) = (facts.pod.clone(), zone.clone());
        match &facts.assigned_zone {
            Some(assigned) if assigned == zone => {}
            Some(assigned) => return Err(PlacementProblem::Moved { pod, assigned: assigned.clone(), zone: here }),
            None if !listed.contains(zone) => return Err(PlacementProblem::ZoneNotListed { pod, zone: here }),
            None if !taken.insert(zone) => return Err(PlacementProblem::ZoneTaken { pod, zone: here }),
            None => assignments.push(Assignment { pod, zone: here }),
        }
    }
    Ok(assignments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> ZoneName {
        name.parse().unwrap()
    }

    fn pod(name: &str, node: Option<&str>, assigned: Option<&str>) -> PodFacts {
        PodFacts { pod: name.to_owned(), node_zone: node.map(zone), assigned_zone: assigned.map(zone) }
    }

    #[test]
    fn pods_are_assigned_to_their_nodes_zones_whatever_their_ordinals() {
        let pods = [pod("c-0", Some("b"), None), pod("c-1", None, None), pod("c-2", Some("a"), None)];
        let assigned = assign(&[zone("a"), zone("b"), zone("c")], &pods).unwrap();
        let expected =
            [("c-0", "b"), ("c-2", "a")].map(|(pod, name)| Assignment { pod: pod.to_owned(), zone: zone(name) });
        assert_eq!(assigned, expected);
    }

    #[test]
    fn a_pod_in_a_wrong_zone_is_refused_and_named() {
        let listed = [zone("a"), zone("b")];
        let refused = |pods: &[PodFacts]| assign(&listed, pods).unwrap_err().to_string();
        let text = refused(&[pod("c-0", Some("x"), None)]);
        assert!(text.contains("c-0") && text.contains("does not list"), "{text}");
        let text = refused(&[pod("c-0", Some("a"), None), pod("c-1", Some("a"), None)]);
        assert!(text.contains("c-1") && text.contains("has an HSM already"), "{text}");
        let text = refused(&[pod("c-0", Some("b"), Some("a"))]);
        assert!(text.contains("assigned to zone a"), "{text}");
    }

    #[test]
    fn a_zone_taken_by_a_pod_without_node_stays_taken() {
        let pods = [pod("c-0", Some("a"), None), pod("c-1", None, Some("a"))];
        assert!(matches!(assign(&[zone("a")], &pods), Err(PlacementProblem::ZoneTaken { .. })));
    }

    proptest! {
        #[test]
        fn no_two_hsms_ever_share_a_zone(nodes in prop::collection::vec(prop::option::of("[a-d]"), 0..5)) {
            let listed = ["a", "b", "c"].map(zone);
            let pods: Vec<_> = nodes.iter().enumerate().map(|(at, node)| pod(&format!("c-{at}"), node.as_deref(), None)).collect();
            if let Ok(assigned) = assign(&listed, &pods) {
                let zones: BTreeSet<_> = assigned.iter().map(|a| &a.zone).collect();
                prop_assert_eq!(zones.len(), assigned.len());
                prop_assert!(zones.iter().all(|zone| listed.contains(zone)));
            }
        }
    }
}
