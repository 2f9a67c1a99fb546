//! Whether the list of a cluster's HSMs has every HSM that there may be (D12, INV-13, INV-24).
//!
//! The list is in the status of the cluster's object, and an HSM comes onto it when it answers. An object that was lost and came back begins
//! its list anew: an HSM that has been away since is missing from it, with keys, passwords and connections that nobody else may know of.

/// What is known of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Listing {
    /// HSMs on it.
    pub listed: usize,
    /// Pods of the cluster; each has one HSM at most.
    pub pods: usize,
    /// It was complete before, for this very object.
    pub was_complete: bool,
    /// The cluster has never been initialised and has neither a StatefulSet nor volumes, so there is no HSM yet.
    pub is_new: bool,
}

impl Listing {
    /// Whether no HSM can be missing.
    ///
    /// A complete list stays complete: a new HSM is on it before it joins, one that falls silent stays on it, and it loses only an HSM whose
    /// volume is gone. So a cluster of which one zone has no node is not held up by that.
    pub fn is_complete(self) -> bool {
        self.is_new || self.was_complete || (self.listed > 0 && self.listed >= self.pods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// D12.
    #[test]
    fn a_list_that_began_anew_is_complete_when_no_pod_is_left_whose_hsm_could_be_missing() {
        for (why, listed, pods, was_complete, is_new, complete) in [
            ("there is no HSM yet", 0, 3, false, true, true),
            ("the first one joins", 1, 3, true, false, true),
            ("a volume was lost", 2, 3, true, false, true),
            ("all volumes were lost", 0, 3, true, false, true),
            ("the object has come back and nobody was asked", 0, 3, false, false, false),
            ("one has been away since", 2, 3, false, false, false),
            ("every pod's HSM has answered", 3, 3, false, false, true),
            ("it came back without zones and without its StatefulSet", 0, 0, false, false, false),
        ] {
            assert_eq!(Listing { listed, pods, was_complete, is_new }.is_complete(), complete, "{why}");
        }
    }

    proptest! {
        /// D12: whatever is found in whatever order after an object came back, it is not called complete before as many HSMs as pods were listed.
        #[test]
        fn an_object_that_came_back_is_complete_only_after_every_pods_hsm_was_listed(
            looks in prop::collection::vec(0..5_usize, 1..20), pods in 1..5_usize,
        ) {
            let mut was_complete = false;
            let mut most = 0;
            for listed in looks {
                most = most.max(listed);
                was_complete = Listing { listed, pods, was_complete, is_new: false }.is_complete();
                prop_assert_eq!(was_complete, most >= pods);
            }
        }
    }
}
