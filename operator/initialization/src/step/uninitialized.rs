//! From assigned volumes to the recorded fingerprint of the cluster certificate. Exactly one HSM is initialised (D18).

use super::{Blocked, Step, Waiting, unreachable};
use crate::custody::SecretName;
use crate::observed::{Observed, ObservedHsm};
use crate::plan::InitializationIntent;
use hsm_client::command::HsmState;

pub(super) fn next(observed: &Observed) -> Step {
    match &observed.plan.recorded.initialization_intent {
        None => choose(observed),
        Some(intent) => carry_out(observed, intent),
    }
}

/// The HSM in the lowest zone, once every pod has a node: an earlier choice could depend on which pod came up first.
pub(super) fn initializer(observed: &Observed) -> Option<&ObservedHsm> {
    if observed.hsms.iter().any(|hsm| hsm.pod.availability_zone.is_none()) {
        return None;
    }
    observed.hsms.iter().min_by_key(|hsm| (hsm.pod.availability_zone.clone(), hsm.pod.pod_name.clone()))
}

fn choose(observed: &Observed) -> Step {
    if let Some(hsm) = observed.hsms.iter().find(|hsm| holds_a_cluster(hsm)) {
        return Step::Blocked(Blocked::InitializedElsewhere { pod: hsm.pod.pod_name.clone() });
    }
    let chosen = initializer(observed).and_then(|hsm| Some((hsm, hsm.volume.as_ref()?)));
    let Some((hsm, volume)) = chosen.filter(|(hsm, _)| hsm.is_in(HsmState::Assigned)) else {
        return Step::Wait(Waiting::Pods(silent_or_unplaced(observed)));
    };
    let Some(hsm_id) = volume.hsm_id.clone() else {
        return Step::Wait(Waiting::Pods(vec![hsm.pod.pod_name.clone()]));
    };
    if !observed.secrets.contains(&SecretName::CustomerAuthority) {
        return Step::MakeCustomerAuthority;
    }
    if !observed.secrets.contains(&SecretName::Officer) {
        return Step::MakeOfficer;
    }
    Step::RecordIntent(InitializationIntent { hsm_id, identity_fingerprint: volume.identity_fingerprint })
}

/// Initialises the HSM of the intent and no other. If its volume is gone, it may have been initialised before it went.
fn carry_out(observed: &Observed, intent: &InitializationIntent) -> Step {
    let chosen = observed.hsms.iter().find(|hsm| {
        let volume = hsm.volume.as_ref();
        volume.is_some_and(|volume| {
            volume.hsm_id.as_ref() == Some(&intent.hsm_id) && volume.identity_fingerprint == intent.identity_fingerprint
        })
    });
    let Some(hsm) = chosen else {
        let silent = unreachable(observed);
        return if silent.is_empty() { Step::Blocked(Blocked::Emptied) } else { Step::Wait(Waiting::Pods(silent)) };
    };
    match hsm.cluster_certificate_fingerprint() {
        Some(fingerprint) => Step::RecordClusterCertificate { fingerprint },
        None => Step::Initialize { pod: hsm.pod.pod_name.clone() },
    }
}

fn holds_a_cluster(hsm: &ObservedHsm) -> bool {
    hsm.volume.as_ref().is_some_and(|volume| volume.cluster_certificate.is_some())
}

fn silent_or_unplaced(observed: &Observed) -> Vec<String> {
    let waiting = |hsm: &&ObservedHsm| hsm.volume.is_none() || hsm.pod.availability_zone.is_none();
    observed.hsms.iter().filter(waiting).map(|hsm| hsm.pod.pod_name.clone()).collect()
}
