//! Observed state of a `CloudHsmCluster` and of its HSMs (spec 1.1, 1.2).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// AWS `ClusterState`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum ClusterState {
    CreateInProgress,
    Uninitialized,
    InitializeInProgress,
    Initialized,
    Active,
    UpdateInProgress,
    ModifyInProgress,
    RollbackInProgress,
    DeleteInProgress,
    Deleted,
    Degraded,
}

impl ClusterState {
    /// AWS's spelling, for example `CREATE_IN_PROGRESS`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// AWS `HsmState`, and `vacant` for the place of a removed HSM that waits for its next use (D18).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum HsmState {
    CreateInProgress,
    Active,
    Degraded,
    DeleteInProgress,
    Deleted,
    #[serde(rename = "vacant")]
    #[strum(serialize = "vacant")]
    Vacant,
}

impl HsmState {
    /// AWS's spelling, for example `ACTIVE`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// AWS `Hsm`: one HSM of the cluster, and what a client needs to reach it and to know that it is the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hsm {
    /// AWS `HsmId`: `hsm-` and 11 to 16 characters of `[2-7a-z]`. Belongs to the volume: a new volume is a new HSM.
    #[schemars(length(max = 24), regex(pattern = r"^hsm-[2-7a-z]{11,16}$"))]
    pub hsm_id: String,
    /// AWS `AvailabilityZone`.
    #[schemars(length(max = 63))]
    pub availability_zone: String,
    /// Pod that runs the HSM.
    #[schemars(length(max = 63))]
    pub pod_name: String,
    /// AWS `EniIp`: the pod's address, absent while it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub eni_ip: Option<String>,
    /// AWS `State`.
    pub state: HsmState,
    /// AWS `StateMessage`, at most 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub state_message: Option<String>,
    /// Hex SHA-256 of the identity key's SubjectPublicKeyInfo; sessions are pinned to it (INV-01).
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub identity_fingerprint: String,
    /// Hex SHA-256 of the self-signed host certificate (DER) that the outer TLS layer presents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub host_certificate_fingerprint: Option<String>,
    /// TCP port for clients.
    #[serde(default = "client_port")]
    #[schemars(range(min = 1))]
    pub client_port: u16,
    /// TCP port for provisioning and for the other HSMs.
    #[serde(default = "peer_port")]
    #[schemars(range(min = 1))]
    pub peer_port: u16,
}

fn client_port() -> u16 {
    Hsm::CLIENT_PORT
}

fn peer_port() -> u16 {
    Hsm::PEER_PORT
}

impl Hsm {
    /// Where HSMs listen for clients unless their entry says otherwise (seed 004).
    pub const CLIENT_PORT: u16 = 2223;
    /// Where HSMs listen for provisioning and peers unless their entry says otherwise.
    pub const PEER_PORT: u16 = 2224;
}

/// AWS `Certificates`, each PEM. `clusterCsr` is present only before, `clusterCertificate` only after initialisation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ClusterCertificates {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20000))]
    pub cluster_csr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20000))]
    pub hsm_certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20000))]
    pub aws_hardware_certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20000))]
    pub manufacturer_hardware_certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20000))]
    pub cluster_certificate: Option<String>,
}

/// Type of the condition of a cluster that is True when `status.hsms` has every HSM that there may be. Absent is as good as False: an object that
/// came back without its status does not know an HSM that has been away since, and nothing that concerns all HSMs is done then.
pub const HSMS_LISTED: &str = "HsmsListed";

/// Observed state of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudHsmClusterStatus {
    /// AWS `State`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ClusterState>,
    /// AWS `StateMessage`, at most 300 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub state_message: Option<String>,
    /// AWS `Hsms`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 28))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["hsmId".into()]))]
    pub hsms: Vec<Hsm>,
    /// Number of HSMs whose state is ACTIVE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub active_hsms: Option<i32>,
    /// AWS `Certificates`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<ClusterCertificates>,
    /// PEM of the customer CA that issued the cluster certificate (`customerCA.crt`), at most 5,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5000))]
    pub trust_anchor: Option<String>,
    /// AWS `SecurityGroup`, in the name form `cloudhsm-cluster-<clusterId>-sg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub security_group: Option<String>,
    /// First 40 hex digits of the SHA-256 of the cluster certificate (DER): equal for all clusters of one lineage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub lineage: Option<String>,
    /// Acknowledged keys that are on fewer HSMs than durability asks for; voluntary disruption waits for 0 (INV-05).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub under_replicated_keys: Option<i64>,
    /// When the last backup became READY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_time: Option<Time>,
    /// AWS `CreateTimestamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Time>,
    /// `metadata.generation` that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`: the spec can be built. `Ready`: the state is ACTIVE with an HSM in every zone listed. `Stalled`: nothing
    /// more happens without a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
