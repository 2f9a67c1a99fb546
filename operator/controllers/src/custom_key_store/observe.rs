//! What a store's reconcile reads: the store itself, its cluster, and the tenant's Secrets it names. Quorum reads only (INV-71).

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};
use operator_api::{CloudHsmCluster, CustomKeyStore, reference::SecretKeyReference};
use zeroize::Zeroizing;

use super::{error::StoreError, validate::SecretProblem};
use crate::{
    context::Context,
    read::{ReadError, unless_undefined},
    report::{Controller, Failure},
};

/// One store and what it stands on.
pub(super) struct Observed {
    /// The store.
    pub(super) store: CustomKeyStore,
    /// Its cluster, if there is one of that name.
    pub(super) cluster: Option<CloudHsmCluster>,
}

/// Reads the store; `None` if it is gone.
pub(super) async fn store(context: &Context, cached: &CustomKeyStore) -> Result<Option<CustomKeyStore>, StoreError> {
    let api = Api::<CustomKeyStore>::namespaced(context.client.clone(), &cached.namespace().unwrap_or_default());
    let store = api.get_opt(&cached.name_any()).await.map_err(ReadError::of("the CustomKeyStore"))?;
    Ok(store.filter(|store| store.uid() == cached.uid()))
}

/// Reads the store's cluster.
pub(super) async fn cluster(context: &Context, store: &CustomKeyStore) -> Result<Option<CloudHsmCluster>, StoreError> {
    let api = Api::<CloudHsmCluster>::namespaced(context.client.clone(), &store.namespace().unwrap_or_default());
    let name = &store.spec.cloud_hsm_cluster_ref.name;
    Ok(unless_undefined(api.get_opt(name).await).map_err(ReadError::of("the CloudHsmCluster"))?)
}

/// Whether `cluster` is the one that the store was accepted on, and not another one that has its name by now.
pub(super) fn is_own(store: &CustomKeyStore, cluster: &CloudHsmCluster) -> bool {
    let known = store.status.as_ref().and_then(|status| status.cloud_hsm_cluster_id.as_ref());
    cluster.spec.cluster_id.is_some() && known.is_none_or(|known| Some(known) == cluster.spec.cluster_id.as_ref())
}

/// Reads the cluster that the store was accepted on.
pub(super) async fn own_cluster(
    context: &Context,
    store: &CustomKeyStore,
) -> Result<Option<CloudHsmCluster>, StoreError> {
    Ok(cluster(context, store).await?.filter(|cluster| is_own(store, cluster)))
}

/// The trust anchor: from the tenant's Secret, or the cluster's own.
pub(super) async fn trust_anchor(
    context: &Context,
    observed: &Observed,
) -> Result<Result<Option<String>, SecretProblem>, StoreError> {
    match &observed.store.spec.trust_anchor_secret_ref {
        Some(reference) => {
            let entry = tenant_secret(context, &observed.store, reference).await?;
            Ok(entry.map(|entry| Some(entry.text.to_string())))
        }
        None => {
            let status = observed.cluster.as_ref().and_then(|cluster| cluster.status.as_ref());
            Ok(Ok(status.and_then(|status| status.trust_anchor.clone())))
        }
    }
}

/// One entry of a tenant's Secret, and which Secret it was.
pub(super) struct TenantEntry {
    pub(super) uid: String,
    pub(super) resource_version: String,
    /// Security: may be a password; wiped, and never in an error.
    pub(super) text: Zeroizing<String>,
}

/// Reads an entry of a Secret in the store's namespace, through the tenant's RoleBinding (D10).
pub(super) async fn tenant_secret(
    context: &Context,
    store: &CustomKeyStore,
    reference: &SecretKeyReference,
) -> Result<Result<TenantEntry, SecretProblem>, StoreError> {
    let secrets = context.secrets(Controller::CustomKeyStore);
    let name = || reference.name.clone();
    let stored = match secrets.read(&store.namespace().unwrap_or_default(), &reference.name).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(Err(SecretProblem::Missing { secret: name() })),
        Err(error) if error.reason() == "ApiForbidden" => {
            return Ok(Err(SecretProblem::Forbidden {
                secret: name(),
                controllers: context.namespaces().system.clone(),
            }));
        }
        Err(error) => return Err(error.into()),
    };
    // A file made by an editor ends with a line break; no password and no PEM needs one.
    let Some(text) = stored.data.text(&reference.key).map(|text| text.trim_end_matches(['\r', '\n'])) else {
        return Ok(Err(SecretProblem::EntryMissing { secret: name(), key: reference.key.clone() }));
    };
    let text = Zeroizing::new(text.to_owned());
    Ok(Ok(TenantEntry { uid: stored.uid, resource_version: stored.resource_version, text }))
}

/// Whether any pod of the cluster has an address: what tells vanished HSMs from a broken network (spec 2.6 steps 3 and 7).
pub(super) async fn any_pod_runs(context: &Context, pod_names: &[String]) -> Result<bool, StoreError> {
    let api = Api::<Pod>::namespaced(context.client.clone(), &context.namespaces().hsm);
    for name in pod_names {
        let pod = api.get_opt(name).await.map_err(ReadError::of("a pod of the cluster"))?;
        let running = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none());
        if running.and_then(|pod| pod.status).is_some_and(|status| status.pod_ip.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}
