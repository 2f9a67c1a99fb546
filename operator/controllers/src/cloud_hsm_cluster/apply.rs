//! Writes the objects of a cluster, and makes its volumes outlive them.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::ObjectMeta;

use super::build::network_policy::network_policy;
use super::build::pdb::pod_disruption_budget;
use super::build::service::service;
use super::build::statefulset::stateful_set;
use super::failure::ClusterError;
use super::validate::Desired;
use crate::context::Context;
use crate::report::Controller;

/// Reclaim policy under which a volume outlives its claim.
const RETAIN: &str = "Retain";

/// Service, NetworkPolicy and StatefulSet, by server-side apply. `claims`: the volume claim templates of a StatefulSet that exists.
pub(super) async fn children(
    context: &Context,
    desired: &Desired,
    claims: Option<Vec<PersistentVolumeClaim>>,
) -> Result<(), ClusterError> {
    let writes = context.writes(Controller::CloudHsmCluster);
    let namespaces = context.namespaces();
    let services: Api<Service> = Api::namespaced(context.client.clone(), &namespaces.hsm);
    writes.apply(&services, &service(desired, &namespaces.hsm)).await?;
    let policies: Api<NetworkPolicy> = Api::namespaced(context.client.clone(), &namespaces.hsm);
    writes.apply(&policies, &network_policy(desired, namespaces)).await?;
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), &namespaces.hsm);
    writes.apply(&sets, &stateful_set(desired, &namespaces.hsm, claims)).await?;
    Ok(())
}

/// The PodDisruptionBudget; `settled` says whether an HSM may go (`INV-05`).
pub(super) async fn disruption_budget(context: &Context, desired: &Desired, settled: bool) -> Result<(), ClusterError> {
    let namespace = &context.namespaces().hsm;
    let api: Api<PodDisruptionBudget> = Api::namespaced(context.client.clone(), namespace);
    let budget = pod_disruption_budget(desired, namespace, settled);
    context.writes(Controller::CloudHsmCluster).apply(&api, &budget).await?;
    Ok(())
}

/// Sets every bound volume to `Retain`, before the first key exists (D19): default storage classes delete.
///
/// By server-side apply of this one field: the volume's binder writes the object at the same time, and a comparison of versions would
/// only fail for that.
pub(super) async fn retain_volumes(context: &Context, volumes: &[PersistentVolume]) -> Result<(), ClusterError> {
    let writes = context.writes(Controller::CloudHsmCluster);
    let api: Api<PersistentVolume> = Api::all(context.client.clone());
    for volume in volumes {
        let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        if policy != Some(RETAIN) {
            writes.apply(&api, &retained(volume)).await?;
        }
    }
    Ok(())
}

/// The one field, for exactly this volume: another one under its name has another uid.
fn retained(volume: &PersistentVolume) -> PersistentVolume {
    let metadata =
        ObjectMeta { name: volume.metadata.name.clone(), uid: volume.metadata.uid.clone(), ..ObjectMeta::default() };
    let spec = PersistentVolumeSpec {
        persistent_volume_reclaim_policy: Some(RETAIN.into()),
        ..PersistentVolumeSpec::default()
    };
    PersistentVolume { metadata, spec: Some(spec), status: None }
}
