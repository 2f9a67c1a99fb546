//! `KmsAccessKey`: an AWS access key for one principal of the account (D10).
//!
//! The principal is `keystores.dev:<namespace>:<metadata.name>` and nothing in `spec` can change it: whoever may create
//! access keys must not be able to sign as an existing principal of the namespace (D11).

use crate::set_once::set_once;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// An access key. Its secret is in no field: it is delivered once into the Secret `<name>-credentials`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "KmsAccessKey",
    namespaced,
    status = "KmsAccessKeyStatus",
    derive = "PartialEq",
    shortname = "kak",
    category = "keystores",
    doc = "An AWS access key of this namespace's account. The secret is delivered once into the Secret <name>-credentials.",
    validation = Rule::new("size(self.metadata.name) <= 51").message("metadata.name must have at most 51 characters: the Secret <name>-credentials is named after it"),
    printcolumn(name = "AccessKeyId", type_ = "string", json_path = ".status.accessKeyId"),
    printcolumn(name = "Delivered", type_ = "boolean", json_path = ".status.delivered"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = set_once("accessKeyId"))]
pub struct KmsAccessKeySpec {
    /// What the key is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// AWS `AccessKeyId`. Written once by the operator, before the secret exists: the gateway's copy is named after it,
    /// so that a crash in between leaves one secret and not two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 20), regex(pattern = r"^AKIA[A-Z2-7]{16}$"))]
    pub access_key_id: Option<String>,
}

/// Observed state of an access key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KmsAccessKeyStatus {
    /// AWS `AccessKeyId`, once requests signed with it are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub access_key_id: Option<String>,
    /// True once the Secret `<name>-credentials` was written; it is never written again.
    #[serde(default)]
    pub delivered: bool,
    /// AWS `CreateDate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Time>,
    /// `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`: the namespace has an account and the tenant's binding exists (else `MissingTenantBinding`).
    /// `Ready`: the secret is known to the gateway and delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
