//! `CloudHsmCluster`: a cluster of HSMs, one per availability zone (spec section 1). What the owner declares.

mod status;

pub use status::{CloudHsmClusterStatus, ClusterCertificates, ClusterState, HSMS_LISTED, Hsm, HsmState};

use crate::set_once::{name_fits_a_label, not_yet, set_once};
use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// AWS `HsmType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[allow(missing_docs)]
pub enum HsmType {
    #[serde(rename = "hsm1.medium")]
    #[strum(serialize = "hsm1.medium")]
    Hsm1Medium,
    #[default]
    #[serde(rename = "hsm2m.medium")]
    #[strum(serialize = "hsm2m.medium")]
    Hsm2mMedium,
}

/// Who initialises the cluster (D6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Initialization {
    #[default]
    Managed,
    Manual,
}

/// Who can open backups when the sealing share is gone (D19).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.publicKey) != (has(self.waived) && self.waived)").message("recovery is either a publicKey or waived: true"))]
pub struct Recovery {
    /// PEM of an offline recovery public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5000))]
    pub public_key: Option<String>,
    /// True: the owner accepts that nobody can open a backup without the sealing share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<bool>,
}

/// Volume of each HSM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size as a Kubernetes quantity. Absent: 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"))]
    pub size: Option<String>,
    /// StorageClass. Absent: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
}

/// What the owner may say about the HSM pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HsmPodTemplate {
    /// Requests and limits of the hsm-sim container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Tolerations of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Node labels that the pods need besides the zone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,
    /// Image of hsm-sim instead of the installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
}

/// Which HSM was chosen to be initialised. Exactly one ever is; the others only join (D18, INV-08).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitializationIntent {
    /// AWS `HsmId` of the HSM.
    #[schemars(length(min = 1, max = 24))]
    pub hsm_id: String,
    /// Hex SHA-256 of its identity key (SubjectPublicKeyInfo): a replaced volume is another HSM.
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub identity_fingerprint: String,
}

/// What the owner declares about a cluster, and the identity that the operator wrote beside it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keystores.dev",
    version = "v1alpha1",
    kind = "CloudHsmCluster",
    plural = "cloudhsmclusters",
    namespaced,
    status = "CloudHsmClusterStatus",
    derive = "PartialEq",
    shortname = "chc",
    category = "keystores",
    doc = "A CloudHSM cluster: one (simulated) HSM, so one pod and one volume, in each availability zone listed.",
    validation = name_fits_a_label(),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Hsms", type_ = "integer", json_path = ".status.activeHsms"),
    printcolumn(name = "Cluster-Id", type_ = "string", json_path = ".spec.clusterId"),
    printcolumn(name = "Under-Replicated", type_ = "integer", json_path = ".status.underReplicatedKeys", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.stateMessage", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.availabilityZones) || self.availabilityZones.all(z, self.availabilityZones.exists_one(o, o == z))").message("an availability zone is listed twice: a cluster has one HSM per zone"),
    validation = set_once("subnets"),
    validation = set_once("initialization"),
    validation = set_once("sourceBackup"),
    validation = set_once("recovery"),
    validation = set_once("rehearsal"),
    validation = set_once("clusterId"),
    validation = set_once("initializationIntent"),
    validation = set_once("clusterCertificateFingerprint"),
    validation = Rule::new("!has(self.initializationIntent) || has(self.clusterId)").message("initializationIntent needs clusterId"),
    validation = Rule::new("!has(self.clusterCertificateFingerprint) || has(self.clusterId)").message("clusterCertificateFingerprint needs clusterId"),
    validation = not_yet("!has(self.subnets)", "subnets"),
    validation = not_yet("self.initialization == 'Managed'", "initialization Manual"),
    validation = not_yet("!self.allowDefaultClientCertificate", "allowDefaultClientCertificate"),
    validation = not_yet("!has(self.backupRetentionDays)", "backupRetentionDays"),
    validation = not_yet("!has(self.sourceBackup)", "sourceBackup"),
    validation = not_yet("!has(self.recovery) || !has(self.recovery.publicKey)", "recovery.publicKey (no backups are taken: set waived: true)"),
    validation = not_yet("!self.rehearsal", "rehearsal")
)]
pub struct CloudHsmClusterSpec {
    /// One HSM in each of these zones (AWS `SubnetMapping` keys, `CreateHsm`): 0 to 10, each listed once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 10),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub availability_zones: Vec<String>,
    /// AWS `SubnetIds`: Subnet objects, one per zone. Set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), inner(length(min = 1, max = 63)))]
    pub subnets: Option<Vec<String>>,
    /// AWS `HsmType`.
    #[serde(default)]
    pub hsm_type: HsmType,
    /// Who signs the CSR, initialises and activates the cluster. Set once.
    #[serde(default)]
    pub initialization: Initialization,
    /// Whether the client certificate that ships with every client opens the key port (D7).
    #[serde(default)]
    pub allow_default_client_certificate: bool,
    /// AWS `BackupRetentionPolicy` in days, 7 to 379. Absent: 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 7, max = 379))]
    pub backup_retention_days: Option<u32>,
    /// AWS `SourceBackupId`: name of the `CloudHsmBackup` to restore. Set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub source_backup: Option<String>,
    /// Who can open backups when the sealing share is gone. Set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// True allows injected faults and a virtual clock. Set once (D15).
    #[serde(default)]
    pub rehearsal: bool,
    /// Volume of each HSM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Overrides for the HSM pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<HsmPodTemplate>,
    /// AWS `ClusterId`: `cluster-` and 16 characters of `[2-7a-z]`; names the StatefulSet. Set once, by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24), regex(pattern = r"^cluster-[2-7a-z]{11,16}$"))]
    pub cluster_id: Option<String>,
    /// Which HSM is being, or was, initialised. Set once, by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization_intent: Option<InitializationIntent>,
    /// Hex SHA-256 of the cluster certificate (DER): the cluster is initialised and never will be again (INV-08). Set once,
    /// by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub cluster_certificate_fingerprint: Option<String>,
}
