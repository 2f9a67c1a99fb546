//! `KeystoreAccount`: which 12-digit AWS account a namespace is (D1). Cluster-scoped, named by the account id.
//!
//! Being its own object, made by the operator or a cluster admin, it can be neither claimed by a tenant's annotation nor
//! lost when a namespace is deleted and restored under a new UID.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Binds an account id to a namespace for ever.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "KeystoreAccount",
    status = "KeystoreAccountStatus",
    derive = "PartialEq",
    shortname = "ksa",
    category = "keystores",
    doc = "An AWS account of this installation: the 12-digit account id is metadata.name, the tenant is spec.namespace.",
    validation = Rule::new("self.metadata.name.matches('^[0-9]{12}$')").message("metadata.name must be a 12-digit account id"),
    selectable = ".spec.namespace",
    printcolumn(name = "Namespace", type_ = "string", json_path = ".spec.namespace"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.__namespace__ == oldSelf.__namespace__").message("namespace is immutable"))]
pub struct KeystoreAccountSpec {
    /// Namespace that is this account. Immutable. One namespace has at most one account; the oldest object counts.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
}

/// Observed state of an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeystoreAccountStatus {
    /// `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` is True while the namespace exists and no older account names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
