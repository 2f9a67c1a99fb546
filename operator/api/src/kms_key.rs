//! `KmsKey`: one KMS key (spec section 3). Its identity is set once in `spec`, its material lives in the HSMs (D2).

use crate::reference::{Hold, LocalReference};
use crate::set_once::{fixed_at_creation, name_fits_a_label, not_yet, set_once};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// AWS `OriginType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[allow(missing_docs)]
pub enum Origin {
    #[serde(rename = "AWS_KMS")]
    #[strum(serialize = "AWS_KMS")]
    AwsKms,
    #[serde(rename = "AWS_CLOUDHSM")]
    #[strum(serialize = "AWS_CLOUDHSM")]
    AwsCloudHsm,
    #[serde(rename = "EXTERNAL")]
    #[strum(serialize = "EXTERNAL")]
    External,
    #[serde(rename = "EXTERNAL_KEY_STORE")]
    #[strum(serialize = "EXTERNAL_KEY_STORE")]
    ExternalKeyStore,
}

/// AWS `KeySpec`. The only one that a CloudHSM key store takes (spec 3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum KeySpec {
    #[default]
    SymmetricDefault,
}

/// AWS `KeyUsageType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum KeyUsage {
    #[default]
    EncryptDecrypt,
}

/// AWS `KeyState`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::EnumString, strum::IntoStaticStr,
)]
#[allow(missing_docs)]
pub enum KeyState {
    Creating,
    Enabled,
    Disabled,
    PendingDeletion,
    PendingImport,
    PendingReplicaDeletion,
    Unavailable,
    Updating,
}

impl KeyState {
    /// AWS's spelling, for example `PendingDeletion`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Proof that material was ordered for this very object, written before the HSM generates (P2 step 2, INV-20).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaterialIntent {
    /// `metadata.uid` of the object that the key was ordered for. A restored copy of the object has another uid.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// Idempotency id of the generate command.
    #[schemars(length(min = 1, max = 64))]
    pub op_id: String,
    /// AWS `HsmId` of the one HSM that generates. The others only ever get copies: if two generated, the one that was
    /// away for a while would come back with other material under the same key id (INV-19).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub hsm_id: Option<String>,
}

/// Automatic rotation (default key store only).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRotation {
    /// AWS `KeyRotationEnabled`.
    pub enabled: bool,
    /// AWS `RotationPeriodInDays`, 90 to 2,560.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 90, max = 2560))]
    pub period_in_days: Option<u32>,
}

/// A scheduled deletion (AWS `ScheduleKeyDeletion`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyDeletion {
    /// AWS `PendingWindowInDays`, 7 to 30.
    #[schemars(range(min = 7, max = 30))]
    pub pending_window_in_days: u32,
}

/// What the owner declares about a key, and the identity that the operator wrote beside it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "KmsKey",
    namespaced,
    status = "KmsKeyStatus",
    derive = "PartialEq",
    shortname = "kk",
    category = "keystores",
    doc = "A KMS key. Deleting the object never destroys key material; only spec.deletion schedules that.",
    validation = name_fits_a_label(),
    selectable = ".spec.keyId",
    printcolumn(name = "State", type_ = "string", json_path = ".status.keyState"),
    printcolumn(name = "Key-Id", type_ = "string", json_path = ".spec.keyId"),
    printcolumn(name = "Store", type_ = "string", json_path = ".spec.customKeyStoreRef.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = fixed_at_creation("customKeyStoreRef"),
    validation = set_once("origin"),
    validation = set_once("keySpec"),
    validation = set_once("keyUsage"),
    validation = set_once("multiRegion"),
    validation = set_once("keyId"),
    validation = set_once("materialIntent"),
    validation = set_once("materialFingerprint"),
    validation = Rule::new("!has(self.materialIntent) || has(self.keyId)").message("materialIntent needs keyId: both are written by one request"),
    validation = Rule::new("!has(self.materialFingerprint) || has(self.keyId)").message("materialFingerprint needs keyId"),
    validation = not_yet("has(self.customKeyStoreRef)", "a key outside of a custom key store (customKeyStoreRef absent)"),
    validation = Rule::new("!has(self.origin) || self.origin == 'AWS_CLOUDHSM'").message("origin must be AWS_CLOUDHSM for a key in a custom key store; other origins are not supported yet"),
    validation = Rule::new("!self.multiRegion").message("a key in a custom key store cannot be a multi-Region key (UnsupportedOperationException)"),
    validation = Rule::new("!has(self.rotation) || !self.rotation.enabled").message("a key in a custom key store cannot be rotated automatically (UnsupportedOperationException)"),
    validation = not_yet("!has(self.policy)", "a key policy (access is decided by the RBAC of the namespace)"),
    validation = not_yet("!has(self.deletion)", "deletion")
)]
pub struct KmsKeySpec {
    /// AWS `CustomKeyStoreId`, as a reference to the `CustomKeyStore` in this namespace. Fixed: keys never move (CKS-98).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_key_store_ref: Option<LocalReference>,
    /// AWS `Origin`. Set once. Absent: AWS_CLOUDHSM with a custom key store, AWS_KMS without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// AWS `KeySpec`. Set once.
    #[serde(default)]
    pub key_spec: KeySpec,
    /// AWS `KeyUsage`. Set once.
    #[serde(default)]
    pub key_usage: KeyUsage,
    /// AWS `MultiRegion`. Set once.
    #[serde(default)]
    pub multi_region: bool,
    /// AWS `Description`, at most 8,192 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub description: Option<String>,
    /// AWS `Enabled`. No default: absent means enabled until a manifest, EnableKey or DisableKey says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// AWS `Tags`: at most 50; keys 1 to 128 characters, not beginning with `aws:`; values at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 50, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) >= 1 && size(k) <= 128 && !k.startsWith('aws:'))").message("tag keys have 1 to 128 characters and do not begin with aws: (TagException)"))]
    pub tags: Option<BTreeMap<String, String>>,
    /// AWS `Policy`: JSON, at most 32,768 characters. Absent: the account root has full access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32768))]
    pub policy: Option<String>,
    /// Automatic rotation; only keys outside of custom key stores can have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<KeyRotation>,
    /// AWS `ScheduleKeyDeletion`. Absent: none is scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<KeyDeletion>,
    /// Written by `DisableKey` and removed by `EnableKey`: while present the key is disabled, whatever `enabled` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// AWS `KeyId`, a UUID. Set once: by the operator together with `materialIntent`, or by an owner who adopts existing
    /// material, without it (D2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
    pub key_id: Option<String>,
    /// For which object and by which operation material was ordered. Set once, by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material_intent: Option<MaterialIntent>,
    /// Hex fingerprint (32 bytes) that every HSM with the key reports. Set once, by the operator, when the material is
    /// durable; from then on no other material can ever stand behind this key (INV-06, INV-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub material_fingerprint: Option<String>,
}

/// Observed state of a key. Nothing in it changes with traffic or with the number of HSMs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KmsKeyStatus {
    /// AWS `KeyState`. Absent until the material is durable on two HSMs in two zones (D8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_state: Option<KeyState>,
    /// AWS `Arn`, as stored in the HSM's key record at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub arn: Option<String>,
    /// AWS `CreationDate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Time>,
    /// AWS `DeletionDate`, while the deletion is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_date: Option<Time>,
    /// AWS `CustomKeyStoreId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub custom_key_store_id: Option<String>,
    /// AWS `CloudHsmClusterId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub cloud_hsm_cluster_id: Option<String>,
    /// Handle of the backing key in the cluster. Appears in no AWS response, only in audit records (CKS-99).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub backing_key_handle: Option<String>,
    /// `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`: the store exists and can take the key; else False with the AWS exception name, or `MaterialExists`.
    /// `Ready`: the key can be used; False with `CreatingMaterial` until the material is durable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl KmsKeySpec {
    /// AWS `Origin`: the declared one, or what the presence of a store reference implies.
    pub fn effective_origin(&self) -> Origin {
        self.origin.unwrap_or(match self.custom_key_store_ref {
            Some(_) => Origin::AwsCloudHsm,
            None => Origin::AwsKms,
        })
    }
}
