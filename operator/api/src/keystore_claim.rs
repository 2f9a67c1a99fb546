//! `KeystoreClaim`: uniqueness by name (protocol P3). Of several POSTs of one name exactly one wins; the others get 409.
//!
//! Lives in the controllers' namespace only. Never stolen: a claim whose holder vanished waits for an admin (INV-41).

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a claim makes unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ClaimPurpose {
    /// At most one custom key store per lineage of clusters (INV-39). Value: hex SHA-256 of the cluster certificate (DER).
    #[default]
    Lineage,
    /// One account per namespace (D1). Value: the account id.
    AccountNamespace,
    /// One custom key store per friendly name and account (INV-43). Value: the friendly name.
    StoreName,
}

/// Who holds what. Immutable as a whole.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "KeystoreClaim",
    namespaced,
    derive = "PartialEq",
    category = "keystores",
    doc = "A uniqueness claim of the operator. Made and removed by the operator; removing one by hand can let two owners collide.",
    printcolumn(name = "Purpose", type_ = "string", json_path = ".spec.purpose"),
    printcolumn(name = "Holder namespace", type_ = "string", json_path = ".spec.holderNamespace"),
    printcolumn(name = "Holder", type_ = "string", json_path = ".spec.holderName"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("a claim is immutable"))]
pub struct KeystoreClaimSpec {
    /// What the claim makes unique.
    pub purpose: ClaimPurpose,
    /// The claimed value in full; `metadata.name` holds it in a form that fits an object name.
    #[schemars(length(min = 1, max = 256))]
    pub value: String,
    /// `metadata.uid` of the holder: a holder re-created under the same name is another holder.
    #[schemars(length(min = 1, max = 64))]
    pub holder_uid: String,
    /// Namespace of the holder; empty for a cluster-scoped holder.
    #[schemars(length(max = 63))]
    pub holder_namespace: String,
    /// Name of the holder.
    #[schemars(length(min = 1, max = 253))]
    pub holder_name: String,
}
