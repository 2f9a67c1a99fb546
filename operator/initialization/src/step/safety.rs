//! Facts under which nothing may be done: lost secrets, foreign volumes, a moved zone.

use super::Blocked;
use crate::custody::SecretName;
use crate::observed::{Observed, ObservedHsm};
use hsm_client::command::HsmState;

pub(super) fn check(observed: &Observed) -> Option<Blocked> {
    lost_secret(observed)
        .map(Blocked::SecretLost)
        .or_else(|| observed.hsms.iter().find_map(|hsm| foreign(observed, hsm)))
}

/// A Secret is lost when something was built on it that a new one would not fit.
fn lost_secret(observed: &Observed) -> Option<SecretName> {
    let begun = observed.plan.recorded.initialization_intent.is_some();
    let initialized = observed.plan.recorded.cluster_certificate_fingerprint.is_some();
    let in_state = |state| observed.hsms.iter().any(|hsm: &ObservedHsm| hsm.is_in(state));
    let assigned = observed.hsms.iter().any(|hsm| hsm.volume.as_ref().is_some_and(|volume| volume.hsm_id.is_some()));
    let needed = [
        (SecretName::OperatorAuthority, !observed.certified_pods.is_empty() || begun || initialized),
        (SecretName::SealingShare, assigned || begun || initialized),
        (SecretName::CustomerAuthority, begun || initialized),
        (SecretName::Officer, (begun && !initialized) || in_state(HsmState::Initialized)),
    ];
    needed.into_iter().find(|(name, needed)| *needed && !observed.secrets.contains(name)).map(|(name, _)| name)
}

fn foreign(observed: &Observed, hsm: &ObservedHsm) -> Option<Blocked> {
    let volume = hsm.volume.as_ref()?;
    let pod = hsm.pod.pod_name.clone();
    if let Some(cluster_id) = volume.cluster_id.as_ref().filter(|id| **id != observed.plan.cluster_id) {
        return Some(Blocked::ForeignVolume { pod, cluster_id: cluster_id.clone() });
    }
    if let (Some(assigned), Some(found)) = (&volume.availability_zone, &hsm.pod.availability_zone)
        && assigned != found
    {
        return Some(Blocked::ZoneMoved { pod, assigned: assigned.clone(), found: found.clone() });
    }
    let recorded = observed.plan.recorded.cluster_certificate_fingerprint?;
    let held = hsm.cluster_certificate_fingerprint()?;
    (held != recorded).then_some(Blocked::ForeignCertificate { pod })
}
