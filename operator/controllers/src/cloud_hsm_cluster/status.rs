//! The status of a cluster, from what a reconcile found. Pure; written once per reconcile, whether it succeeded or failed.

mod conditions;
mod hsms;
mod progress;

use std::time::Duration;

use hsm_client::provisioning::ClusterCsr;
use hsm_initialization::{Observed, Phase, Step, phase};
use jiff::Timestamp;
use operator_api::CloudHsmCluster;
use operator_api::cloud_hsm_cluster::{CloudHsmClusterStatus, ClusterCertificates, ClusterState, Hsm, HsmState};
use operator_domain::cluster as domain;
use operator_domain::cluster::ClusterProgress;

use super::build::network_policy::security_group;
use crate::certificate::expiry::Found;
use crate::conditions::merge;

/// Longest `stateMessage` (spec 1.1).
const LONGEST_MESSAGE: usize = 300;

/// What a reconcile found, as far as it came.
#[derive(Default)]
pub(super) struct Findings {
    /// Why the spec is not built, or not as it is: reason and message.
    pub(super) invalid: Option<(&'static str, String)>,
    /// Zones that the spec lists; of a cluster that goes on in other zones than those, its own.
    pub(super) zones: usize,
    /// Whether there is no HSM yet: never initialised, no StatefulSet, no volume. `None` when this look did not come so far.
    pub(super) is_new: Option<bool>,
    /// What the HSMs say.
    pub(super) observed: Option<Observed>,
    /// What is done next, or waited for.
    pub(super) step: Option<Step>,
    /// The certificate request, while there is one to be signed.
    pub(super) csr: Option<ClusterCsr>,
    /// PEM of the customer CA.
    pub(super) trust_anchor: Option<String>,
    /// Highest count that an HSM reported.
    pub(super) under_replicated_keys: Option<i64>,
    /// Certificates that were looked at.
    pub(super) certificates: Vec<Found>,
    /// Pods that present another provisioning certificate than the stored one, and refuse that one.
    pub(super) refusing_pods: Vec<String>,
    /// When one of them needs attention, if that is sooner than anything else.
    pub(super) look_again: Option<Duration>,
    /// Why the reconcile failed: reason and message.
    pub(super) failure: Option<(&'static str, String)>,
}

impl Findings {
    /// Asks for the next look within this time.
    pub(super) fn look_again_within(&mut self, time: Duration) {
        self.look_again = Some(self.look_again.map_or(time, |present| present.min(time)));
    }

    /// Every listed zone has an active HSM and every key is on all of them: one HSM may go (`INV-05`).
    pub(super) fn is_settled(&self, status: &CloudHsmClusterStatus) -> bool {
        let active = status.hsms.iter().filter(|hsm| hsm.state == HsmState::Active).count();
        self.zones > 0
            && active >= self.zones
            && self.step == Some(Step::Done)
            // Not the status's number, which stays as it was while nobody knows.
            && self.under_replicated_keys == Some(0)
    }
}

/// The new status. What this reconcile could not find out stays as it was.
pub(super) fn status(cluster: &CloudHsmCluster, findings: &Findings, now: Timestamp) -> CloudHsmClusterStatus {
    let old = cluster.status.clone().unwrap_or_default();
    let hsms = findings.observed.as_ref().map_or_else(|| old.hsms.clone(), |observed| hsms::hsms(&old.hsms, observed));
    let state = state(cluster, &old, findings, &hsms);
    let active = hsms.iter().filter(|hsm| hsm.state == HsmState::Active).count();
    let generation = cluster.metadata.generation;
    let mut conditions = conditions::conditions(&old.conditions, generation, findings, state, active);
    conditions.extend(conditions::hsms_listed(&old.conditions, findings, hsms.len()));
    CloudHsmClusterStatus {
        state: Some(state),
        state_message: Some(shortened(&progress::message(findings, active))),
        active_hsms: i32::try_from(active).ok(),
        certificates: Some(certificates(cluster, &old, findings)),
        trust_anchor: findings.trust_anchor.clone().or(old.trust_anchor),
        security_group: cluster.spec.cluster_id.as_deref().map(security_group),
        lineage: cluster.spec.cluster_certificate_fingerprint.as_ref().map(|hex| hex.chars().take(40).collect()),
        under_replicated_keys: findings.under_replicated_keys.or(old.under_replicated_keys),
        last_backup_time: old.last_backup_time,
        creation_date: cluster.metadata.creation_timestamp.clone(),
        observed_generation: generation,
        conditions: merge(&old.conditions, conditions, generation, now),
        hsms,
    }
}

fn state(cluster: &CloudHsmCluster, old: &CloudHsmClusterStatus, findings: &Findings, hsms: &[Hsm]) -> ClusterState {
    let phase = findings.observed.as_ref().map(phase);
    let was_active = matches!(old.state, Some(ClusterState::Active | ClusterState::Degraded));
    let states: Vec<_> = hsms.iter().filter_map(|hsm| hsm.state.as_str().parse().ok()).collect();
    let serving: Vec<_> = states.iter().copied().filter(|state| *state == domain::HsmState::Active).collect();
    let progress = ClusterProgress {
        csr_available: findings.csr.is_some() || phase == Some(Phase::Uninitialized),
        initialization_intended: cluster.spec.initialization_intent.is_some(),
        initialized: cluster.spec.cluster_certificate_fingerprint.is_some(),
        activated: was_active || phase == Some(Phase::Active),
        deleting: cluster.metadata.deletion_timestamp.is_some(),
        // One active HSM is enough to connect to and to use keys (D8, spec 1.5), and only an ACTIVE cluster may be connected to (HSM-1):
        // so the cluster is DEGRADED only when none is left. That some are missing is said per HSM and by condition HsmsReady.
        hsms: if serving.is_empty() { &states } else { &serving },
    };
    let next = progress.state().as_str().parse().unwrap_or(ClusterState::CreateInProgress);
    // Before any reconcile could look at the HSMs, and after one that could not, nothing is taken back.
    if phase.is_none() { old.state.unwrap_or(next) } else { next }
}

/// Spec 1.3: the request exists only before, the cluster certificate only after initialisation.
fn certificates(cluster: &CloudHsmCluster, old: &CloudHsmClusterStatus, findings: &Findings) -> ClusterCertificates {
    let old = old.certificates.clone().unwrap_or_default();
    let volumes = findings.observed.iter().flat_map(|observed| &observed.hsms).filter_map(|hsm| hsm.volume.as_ref());
    let cluster_certificate = volumes.filter_map(|volume| volume.cluster_certificate.clone()).next();
    let initialized = cluster.spec.cluster_certificate_fingerprint.is_some();
    let csr = findings.csr.as_ref();
    let hardware = csr.map(|csr| csr.hardware_certificate.clone()).or(old.aws_hardware_certificate);
    ClusterCertificates {
        cluster_csr: if initialized { None } else { csr.map(|csr| csr.csr.clone()).or(old.cluster_csr) },
        hsm_certificate: csr.map(|csr| csr.hsm_certificate.clone()).or(old.hsm_certificate),
        // One self-signed certificate stands for both hardware chains: a simulator has no manufacturer.
        manufacturer_hardware_certificate: hardware.clone(),
        aws_hardware_certificate: hardware,
        cluster_certificate: if initialized { cluster_certificate.or(old.cluster_certificate) } else { None },
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests;
