//! Which pod is replaced by one of the current template next, if any may be (D18, `INV-05`).
//!
//! Replacing a pod never touches its volume, so a pod that serves nobody protects nothing. But a template that nobody has seen working must
//! not spread: as long as it fails in one pod, it is brought to no other.

/// What a pod does for the cluster's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PodLife {
    /// Its HSM answers.
    Answers,
    /// Its HSM does not answer here, but its process runs: behind a partition it may serve others.
    Silent,
    /// Its process does not run.
    Down,
    /// There is none, or it is on its way out: the next one is made from the current template.
    Absent,
}

/// One place of the cluster, as the rollout sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PodStanding {
    /// Whether the pod was made from an older template; false where there is no pod.
    pub outdated: bool,
    /// What it does.
    pub life: PodLife,
}

/// The place whose pod may be replaced now: the highest one that is outdated, `pods` being in the order of their ordinals.
///
/// - `settled` (every HSM is active and no key is under-replicated): any outdated pod, so one that serves goes only then (`INV-05`).
/// - Otherwise only an outdated pod that is down, and only while every pod of the current template answers: a template that cannot start
///   is replaced by a better one, and takes with it at most one pod beside those it has already.
#[must_use]
pub fn next_to_replace(pods: &[PodStanding], settled: bool) -> Option<usize> {
    if settled {
        return pods.iter().rposition(|pod| pod.outdated);
    }
    let unproven = |pod: &PodStanding| match pod.life {
        PodLife::Answers => false,
        PodLife::Silent | PodLife::Down => !pod.outdated,
        PodLife::Absent => true,
    };
    if pods.iter().any(unproven) {
        return None;
    }
    pods.iter().rposition(|pod| pod.outdated && pod.life == PodLife::Down)
}

#[cfg(test)]
mod tests {
    use super::PodLife::{Absent, Answers, Down, Silent};
    use super::*;
    use proptest::prelude::*;

    fn old(life: PodLife) -> PodStanding {
        PodStanding { outdated: true, life }
    }

    fn new(life: PodLife) -> PodStanding {
        PodStanding { outdated: false, life }
    }

    fn standing() -> impl Strategy<Value = PodStanding> {
        let life = prop::sample::select(vec![Answers, Silent, Down, Absent]);
        (any::<bool>(), life).prop_map(|(outdated, life)| PodStanding { outdated, life })
    }

    #[test]
    fn serving_pods_go_one_by_one_from_the_highest_and_only_while_all_is_settled() {
        for (why, pods, settled, expected) in [
            ("the highest goes first", [old(Answers), old(Answers), old(Answers)], true, Some(2)),
            ("then the one below it", [old(Answers), old(Answers), new(Answers)], true, Some(1)),
            ("all are new", [new(Answers), new(Answers), new(Answers)], true, None),
            ("a key is on two HSMs of three", [old(Answers), old(Answers), old(Answers)], false, None),
            ("the last one joins", [old(Answers), old(Answers), new(Answers)], false, None),
            ("the last one starts", [old(Answers), old(Answers), new(Silent)], false, None),
            ("the last one is not there yet", [old(Answers), old(Answers), new(Absent)], false, None),
        ] {
            assert_eq!(next_to_replace(&pods, settled), expected, "{why}");
        }
    }

    #[test]
    fn a_pod_that_is_down_gets_a_better_template_and_a_bad_one_does_not_spread() {
        for (why, pods, expected) in [
            ("the bad template's pod gets the good one", [old(Answers), old(Answers), old(Down)], Some(2)),
            ("wherever it stands", [old(Down), old(Answers), old(Answers)], Some(0)),
            ("the cluster began with a bad template", [old(Down), old(Down), old(Down)], Some(2)),
            ("the next one, once the first has proven it", [old(Down), old(Down), new(Answers)], Some(1)),
            ("not before it has", [old(Down), old(Down), new(Silent)], None),
            ("nor before it is there", [old(Down), old(Down), new(Absent)], None),
            ("the current template is bad too", [old(Answers), old(Down), new(Down)], None),
            ("a new template helps no pod that has it", [old(Answers), old(Answers), new(Down)], None),
            ("a pod behind a partition may serve others", [old(Answers), old(Answers), old(Silent)], None),
            ("and holds up none that is down", [old(Answers), old(Down), old(Silent)], Some(1)),
        ] {
            assert_eq!(next_to_replace(&pods, false), expected, "{why}");
        }
    }

    proptest! {
        /// INV-05.
        #[test]
        fn only_outdated_pods_go_and_unless_all_is_settled_only_those_that_are_down(
            pods in prop::collection::vec(standing(), 0..5),
            settled in any::<bool>(),
        ) {
            if let Some(at) = next_to_replace(&pods, settled) {
                prop_assert!(pods[at].outdated);
                prop_assert!(settled || pods[at].life == Down);
            }
        }
    }
}
