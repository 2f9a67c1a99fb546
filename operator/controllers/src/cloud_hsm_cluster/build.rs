//! The Kubernetes objects that one cluster is made of. Pure: from [`Desired`] to objects, nothing read, nothing written.
//!
//! All of them live in the installation's HSM namespace. None has an ownerReference: the cluster object lives in the tenant's namespace,
//! where an owner of these cannot live, and what holds material must not be deleted by a cascade (D19). Labels say whose they are.

pub(super) mod network_policy;
pub(super) mod pdb;
pub(super) mod service;
pub(super) mod statefulset;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ObjectMeta;
use operator_api::labels;

use super::validate::Desired;

/// Ports of an HSM.
pub(super) const CLIENT_PORT: i32 = 2223;
pub(super) const PEER_PORT: i32 = 2224;
pub(super) const ADMIN_PORT: i32 = 9090;

/// Labels that select the pods of one cluster.
pub(super) fn selector(cluster_id: &str) -> BTreeMap<String, String> {
    [(labels::APP_NAME, labels::APP_HSM_SIM), (labels::CLUSTER_ID, cluster_id)]
        .map(|(k, v)| (k.into(), v.into()))
        .into()
}

pub(super) fn label_selector(cluster_id: &str) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(cluster_id)), ..LabelSelector::default() }
}

/// Labels of everything that belongs to one cluster.
pub(super) fn all_labels(desired: &Desired) -> BTreeMap<String, String> {
    let mut all = selector(&desired.cluster_id);
    all.insert(labels::MANAGED_BY.into(), labels::OPERATOR.into());
    all.insert(labels::TENANT_NAMESPACE.into(), desired.namespace.clone());
    all.insert(labels::TENANT_NAME.into(), desired.name.clone());
    all
}

fn metadata(desired: &Desired, namespace: &str, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        labels: Some(all_labels(desired)),
        ..ObjectMeta::default()
    }
}

/// Names of the pods, lowest ordinal first.
pub(super) fn pod_names(desired: &Desired) -> Vec<String> {
    (0..desired.zones.len()).map(|ordinal| format!("{}-{ordinal}", desired.cluster_id)).collect()
}
