//! `KmsAlias`: a friendly name for a KMS key (spec 3.10).

use crate::reference::LocalReference;
use crate::set_once::{name_fits_a_label, set_once};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// An alias and the key it stands for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "KmsAlias",
    plural = "kmsaliases",
    namespaced,
    status = "KmsAliasStatus",
    derive = "PartialEq",
    shortname = "kal",
    category = "keystores",
    doc = "A KMS alias: a friendly name, unique in its namespace, that stands for one KMS key.",
    validation = name_fits_a_label(),
    printcolumn(name = "Alias", type_ = "string", json_path = ".spec.aliasName"),
    printcolumn(name = "Key", type_ = "string", json_path = ".spec.targetKeyRef.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = set_once("aliasName"),
    validation = Rule::new("!self.aliasName.startsWith('alias/aws/')").message("aliases that begin with alias/aws/ are reserved (InvalidAliasNameException)")
)]
pub struct KmsAliasSpec {
    /// AWS `AliasName`: `alias/` and 1 to 250 characters of letters, digits, `:/_-`. Fixed; unique per account (KEY-71).
    #[schemars(length(min = 7, max = 256), regex(pattern = r"^alias/[a-zA-Z0-9:/_-]+$"))]
    pub alias_name: String,
    /// AWS `TargetKeyId`: the `KmsKey` in this namespace. May be changed (AWS `UpdateAlias`).
    pub target_key_ref: LocalReference,
}

/// Observed state of an alias.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KmsAliasStatus {
    /// AWS `AliasArn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub arn: Option<String>,
    /// AWS `TargetKeyId`: key id of the target, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub target_key_id: Option<String>,
    /// AWS `CreationDate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Time>,
    /// AWS `LastUpdatedDate`: when the alias last got another target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_date: Option<Time>,
    /// `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`: the name is free and valid. `Ready`: the target exists and has a key id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
