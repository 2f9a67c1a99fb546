//! The entries of `status.hsms`: those that answer, and those that were seen before and are silent now.

use hsm_initialization::{Observed, ObservedHsm};
use operator_api::cloud_hsm_cluster::{Hsm, HsmState};
use operator_domain::cluster::HsmProgress;

/// One entry per assigned HSM, in the order of the pods. An HSM whose pod now runs on another volume is gone; one that is silent keeps its
/// last address, because its peers know it by that.
pub(super) fn hsms(old: &[Hsm], observed: &Observed) -> Vec<Hsm> {
    observed
        .hsms
        .iter()
        .filter_map(|hsm| if hsm.volume.is_some() { present(old, hsm) } else { silent(old, hsm) })
        .collect()
}

fn present(old: &[Hsm], hsm: &ObservedHsm) -> Option<Hsm> {
    let volume = hsm.volume.as_ref()?;
    let hsm_id = volume.hsm_id.clone()?;
    let addresses = hsm.pod.addresses.as_ref();
    let serves = volume.state == hsm_client::command::HsmState::Active;
    Some(Hsm {
        state: state(serves, old.iter().find(|old| old.hsm_id == hsm_id)),
        state_message: (!serves).then(|| format!("the volume is {}", volume.state.as_str_name().to_lowercase())),
        availability_zone: volume.availability_zone.clone()?,
        pod_name: hsm.pod.pod_name.clone(),
        eni_ip: addresses.map(|addresses| addresses.client.ip().to_string()),
        identity_fingerprint: hex::encode(volume.identity_fingerprint),
        host_certificate_fingerprint: Some(hex::encode(volume.host_certificate_fingerprint)),
        client_port: addresses.map_or(Hsm::CLIENT_PORT, |addresses| addresses.client.port()),
        peer_port: addresses.map_or(Hsm::PEER_PORT, |addresses| addresses.provisioning.port()),
        hsm_id,
    })
}

fn silent(old: &[Hsm], hsm: &ObservedHsm) -> Option<Hsm> {
    let known = old.iter().find(|old| old.pod_name == hsm.pod.pod_name)?;
    let why = hsm.trouble.clone().unwrap_or_else(|| "the pod is not running".into());
    let ip = hsm.pod.addresses.as_ref().map(|addresses| addresses.client.ip().to_string());
    Some(Hsm {
        state: state(false, Some(known)),
        state_message: Some(super::shortened(&why)),
        eni_ip: ip.or_else(|| known.eni_ip.clone()),
        ..known.clone()
    })
}

fn state(serves: bool, old: Option<&Hsm>) -> HsmState {
    let served_before = old.is_some_and(|old| matches!(old.state, HsmState::Active | HsmState::Degraded));
    let progress = HsmProgress { serves, served_before, deleting: false };
    progress.state().as_str().parse().unwrap_or(HsmState::CreateInProgress)
}
