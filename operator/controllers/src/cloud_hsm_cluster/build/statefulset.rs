//! The StatefulSet of a cluster as D18 and D19 describe it: one HSM pod per zone, each with a volume that outlives everything.

mod pod;
mod volumes;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use operator_domain::identifier::ZoneName;

use super::{Desired, label_selector, metadata};

/// Name of the volume claim template, so the PVCs are `data-<clusterId>-<ordinal>`.
pub(in super::super) const DATA: &str = "data";
/// Name of the one container of a pod.
pub(in super::super) const CONTAINER: &str = "hsm";

/// `claims`: the volume claim templates of a StatefulSet that exists; Kubernetes refuses to change them, so they stay.
///
/// - `Parallel`: with ordered start a pod that waits to be initialised would hold up the ones it has to wait for.
/// - `OnDelete`: the operator replaces pods one by one, and none that serves while a key is under-replicated (`INV-05`).
/// - `Retain`/`Retain`: neither scaling down nor deleting the StatefulSet deletes a volume (`INV-12`).
pub(in super::super) fn stateful_set(
    desired: &Desired,
    namespace: &str,
    claims: Option<Vec<PersistentVolumeClaim>>,
) -> StatefulSet {
    let retain = || Some("Retain".to_owned());
    let spec = StatefulSetSpec {
        replicas: i32::try_from(desired.zones.len()).ok(),
        service_name: Some(desired.cluster_id.clone()),
        selector: label_selector(&desired.cluster_id),
        pod_management_policy: Some("Parallel".into()),
        update_strategy: Some(StatefulSetUpdateStrategy { type_: Some("OnDelete".into()), rolling_update: None }),
        persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
            when_deleted: retain(),
            when_scaled: retain(),
        }),
        template: pod::template(desired),
        volume_claim_templates: Some(claims.unwrap_or_else(|| vec![volumes::claim(desired)])),
        ..StatefulSetSpec::default()
    };
    StatefulSet { metadata: metadata(desired, namespace, desired.cluster_id.clone()), spec: Some(spec), status: None }
}

/// The zones that a StatefulSet was built for, one for each of its pods.
pub(in super::super) fn zones(set: &StatefulSet) -> Vec<ZoneName> {
    set.spec.as_ref().map(|spec| pod::zones(&spec.template)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
