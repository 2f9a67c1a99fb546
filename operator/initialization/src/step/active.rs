//! From the cluster certificate to a cluster whose every HSM is active, and back to that after a volume was lost.

use super::{Blocked, Step, Waiting, unreachable};
use crate::custody::SecretName;
use crate::observed::{Observed, ObservedHsm};
use hsm_client::command::HsmState;

pub(super) fn next(observed: &Observed) -> Step {
    if !observed.secrets.contains(&SecretName::ControllersClient) {
        return Step::MakeControllersClient;
    }
    if let Some(hsm) = observed.hsms.iter().find(|hsm| hsm.is_in(HsmState::Initialized)) {
        return Step::Activate { pod: hsm.pod.pod_name.clone() };
    }
    let active: Vec<_> = observed.hsms.iter().filter(|hsm| hsm.is_in(HsmState::Active)).collect();
    if active.is_empty() {
        let silent = unreachable(observed);
        return if silent.is_empty() { Step::Blocked(Blocked::Emptied) } else { Step::Wait(Waiting::Pods(silent)) };
    }
    kmsuser(observed, &active).or_else(|| membership(observed)).unwrap_or_else(|| finished(observed))
}

/// `kmsuser` exists on the first HSM before any other joins, so that the snapshot carries it.
///
/// It is not made again when it is missing on several active HSMs: then its owner deleted it, and connecting has to say
/// `USER_NOT_FOUND` (spec 2.7).
fn kmsuser(observed: &Observed, active: &[&ObservedHsm]) -> Option<Step> {
    let known: Vec<_> = active.iter().filter_map(|hsm| Some((hsm, hsm.users.as_ref()?))).collect();
    if known.is_empty() {
        return active.first().map(|hsm| Step::Wait(Waiting::Users(hsm.pod.pod_name.clone())));
    }
    let exists_somewhere = known.iter().any(|(_, users)| users.kmsuser.is_some());
    let (lacking, _) = known.iter().find(|(_, users)| users.kmsuser.is_none())?;
    if !exists_somewhere && active.len() > 1 {
        return None;
    }
    if observed.secrets.contains(&SecretName::Ring) {
        return Some(Step::CreateKmsUser { pod: lacking.pod.pod_name.clone() });
    }
    // A user without its ring is repaired by its owner (P1, last row), not by a second password.
    (!exists_somewhere).then_some(Step::MakeRing)
}

fn membership(observed: &Observed) -> Option<Step> {
    if let Some(due) = observed.roster_due() {
        return Some(Step::SendRoster(due));
    }
    let joining = |hsm: &&ObservedHsm| hsm.is_in(HsmState::Assigned) || hsm.is_in(HsmState::Joining);
    observed.hsms.iter().find(joining).map(|hsm| Step::Join { pod: hsm.pod.pod_name.clone() })
}

fn finished(observed: &Observed) -> Step {
    let silent = unreachable(observed);
    if silent.is_empty() { Step::Done } else { Step::Wait(Waiting::Pods(silent)) }
}
