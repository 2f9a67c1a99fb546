//! What the caller knows before it asks any HSM: the cluster, its pods, and what was recorded once and for ever.

use std::net::SocketAddr;

/// A cluster as its owner declared it and its caller recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlan {
    /// `cluster-…`
    pub cluster_id: String,
    /// Its pods, one per zone.
    pub pods: Vec<PlannedPod>,
    /// What has been recorded.
    pub recorded: Recorded,
}

/// One pod. Its name is fixed; zone and addresses are known once it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPod {
    /// Pod name: the subject of its provisioning certificate.
    pub pod_name: String,
    /// Zone of the node it runs on, read by the operator (D18).
    pub availability_zone: Option<String>,
    /// Where it listens; absent while it has no address.
    pub addresses: Option<PodAddresses>,
}

/// Where a pod listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodAddresses {
    /// Client listener (port 2223).
    pub client: SocketAddr,
    /// Provisioning listener (port 2224).
    pub provisioning: SocketAddr,
    /// The same listener as the other HSMs reach it, `host:port`: a name that survives the pod where there is one.
    pub peer: String,
}

/// What the caller wrote down, in fields that are set once, and its memory of members that may be down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Which HSM was chosen to be initialised (`spec.initializationIntent`).
    pub initialization_intent: Option<InitializationIntent>,
    /// SHA-256 of the cluster certificate (`spec.clusterCertificateFingerprint`): initialised, and never again (INV-08).
    pub cluster_certificate_fingerprint: Option<[u8; 32]>,
    /// HSMs seen before (`status.hsms`); those that are down stay members of the roster.
    pub hsms: Vec<RecordedHsm>,
}

/// The one HSM that is initialised; all others join (D18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitializationIntent {
    /// `hsm-…`
    pub hsm_id: String,
    /// SHA-256 of its identity key.
    pub identity_fingerprint: [u8; 32],
}

/// One HSM as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedHsm {
    /// Pod that runs it.
    pub pod_name: String,
    /// `hsm-…`
    pub hsm_id: String,
    /// Its zone.
    pub availability_zone: String,
    /// SHA-256 of its identity key.
    pub identity_fingerprint: [u8; 32],
    /// `host:port` of its peer listener.
    pub peer_address: String,
}
