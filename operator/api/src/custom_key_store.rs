//! `CustomKeyStore`: a key store whose keys live in a CloudHSM cluster of the owner (spec section 2).

use crate::connection_status::{ConnectionErrorCode, ConnectionState, LastConnectionError};
use crate::reference::{Hold, LocalReference, SecretKeyReference};
use crate::set_once::{fixed_at_creation, name_fits_a_label, not_yet, set_once};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// AWS `CustomKeyStoreType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[allow(missing_docs)]
pub enum CustomKeyStoreType {
    #[default]
    #[serde(rename = "AWS_CLOUDHSM")]
    #[strum(serialize = "AWS_CLOUDHSM")]
    AwsCloudHsm,
    #[serde(rename = "EXTERNAL_KEY_STORE")]
    #[strum(serialize = "EXTERNAL_KEY_STORE")]
    ExternalKeyStore,
}

/// The connection that the owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum WantedConnection {
    Connected,
    Disconnected,
}

/// What the owner declares about a custom key store.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "CustomKeyStore",
    namespaced,
    status = "CustomKeyStoreStatus",
    derive = "PartialEq",
    shortname = "cks",
    category = "keystores",
    doc = "An AWS KMS custom key store: KMS keys whose material lives in the owner's CloudHSM cluster.",
    validation = name_fits_a_label(),
    printcolumn(name = "State", type_ = "string", json_path = ".status.connectionState"),
    printcolumn(name = "Error", type_ = "string", json_path = ".status.connectionErrorCode"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.cloudHsmClusterRef.name"),
    printcolumn(name = "Keys", type_ = "integer", json_path = ".status.keyCount"),
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.customKeyStoreId", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = set_once("type"),
    validation = set_once("customKeyStoreId"),
    validation = set_once("trustAnchorFingerprint"),
    validation = fixed_at_creation("cloudHsmClusterRef"),
    validation = not_yet("self.type == 'AWS_CLOUDHSM'", "type EXTERNAL_KEY_STORE")
)]
pub struct CustomKeyStoreSpec {
    /// AWS `CustomKeyStoreName`: 1 to 256 characters, unique in the namespace. Absent: `metadata.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
    /// AWS `CustomKeyStoreType`. Set once.
    #[serde(default, rename = "type")]
    pub type_: CustomKeyStoreType,
    /// AWS `CloudHsmClusterId`, as a reference to the `CloudHsmCluster` in this namespace. Fixed for now: AWS allows
    /// another cluster of the same lineage while disconnected, which needs restored backups.
    pub cloud_hsm_cluster_ref: LocalReference,
    /// AWS `TrustAnchorCertificate`: PEM of the certificate that issued the cluster certificate. Absent: the cluster's own
    /// `status.trustAnchor`. The Secret may be renamed; its content is fixed by `trustAnchorFingerprint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_anchor_secret_ref: Option<SecretKeyReference>,
    /// AWS `KeyStorePassword`: the current password of `kmsuser`, 7 to 32 letters and digits (CKS-81). Absent: the
    /// password that the operator gave `kmsuser` when it initialised the cluster. Read only while disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_store_password_secret_ref: Option<SecretKeyReference>,
    /// The wanted connection. No default: absent means DISCONNECTED until a manifest or `ConnectCustomKeyStore` sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<WantedConnection>,
    /// Any string; a change means: disconnect, then connect if `connection` says so. The way out of FAILED for manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub connection_attempt: Option<String>,
    /// Written by `DisconnectCustomKeyStore` and removed by `ConnectCustomKeyStore`: while present the store is
    /// disconnected, whatever `connection` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// AWS `CustomKeyStoreId`: `cks-` and 17 hex digits. Set once, by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^cks-[0-9a-f]{17}$"))]
    pub custom_key_store_id: Option<String>,
    /// Hex SHA-256 of the trust anchor's DER, recorded when the store was accepted. Set once, by the operator (CKS-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub trust_anchor_fingerprint: Option<String>,
}

/// Observed state of a custom key store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.connectionState) && self.connectionState == 'FAILED') == has(self.connectionErrorCode)").message("connectionErrorCode is present exactly when connectionState is FAILED")
)]
pub struct CustomKeyStoreStatus {
    /// AWS `ConnectionState`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_state: Option<ConnectionState>,
    /// AWS `ConnectionErrorCode`: present exactly when `connectionState` is FAILED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_error_code: Option<ConnectionErrorCode>,
    /// The last error, kept after FAILED was left (CKS-51).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_connection_error: Option<LastConnectionError>,
    /// While CONNECTING or DISCONNECTING: the step being worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub connection_step: Option<String>,
    /// When `connectionState` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_state_transition_time: Option<Time>,
    /// Number of the connection: raised at each connect, dropped in the HSMs at disconnect. Delegates are tied to it (D12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub connection_generation: Option<i64>,
    /// The `spec.connectionAttempt` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub observed_connection_attempt: Option<String>,
    /// Number of KMS keys in the store, those pending deletion included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub key_count: Option<i64>,
    /// AWS `CloudHsmClusterId` of the cluster that the store uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub cloud_hsm_cluster_id: Option<String>,
    /// AWS `TrustAnchorCertificate` in use, PEM, at most 5,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5000))]
    pub trust_anchor_certificate: Option<String>,
    /// AWS `CreationDate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Time>,
    /// `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`: the checks of CreateCustomKeyStore and ConnectCustomKeyStore pass; else False with the AWS exception
    /// name as reason. `Ready`: connected. `Stalled`: FAILED, waiting for the owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl CustomKeyStore {
    /// AWS `CustomKeyStoreName`: `spec.name`, or `metadata.name` where that is absent.
    pub fn friendly_name(&self) -> &str {
        self.spec.name.as_deref().or(self.metadata.name.as_deref()).unwrap_or_default()
    }
}
