//! From the raw object to what is to be built, or to a reason why it cannot be. Pure; the steps after this one never read the raw spec.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use operator_api::CloudHsmCluster;

/// Size of a volume unless the owner says otherwise.
const DEFAULT_SIZE: &str = "1Gi";
/// Spec 1.1: at most this many subnets, one per zone.
const MOST_ZONES: usize = 10;

/// A cluster that can be built.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Desired {
    /// Tenant's namespace and object name, for labels.
    pub(super) namespace: String,
    pub(super) name: String,
    /// Set-once identity; names every child.
    pub(super) cluster_id: String,
    /// One HSM in each; unique.
    pub(super) zones: Vec<String>,
    pub(super) storage_size: String,
    pub(super) storage_class: Option<String>,
    pub(super) image: String,
    pub(super) pull_policy: String,
    pub(super) resources: Option<ResourceRequirements>,
    pub(super) tolerations: Vec<Toleration>,
    pub(super) node_selector: BTreeMap<String, String>,
}

/// Why a cluster cannot be built as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// The CRD's own rule refuses this; said again here for an API server whose CRD is older than this program.
    #[error("availability zone {0} is listed twice: a cluster has one HSM per zone")]
    DuplicateZone(String),
    /// Spec 1.1.
    #[error("{0} availability zones are listed: at most 10 are possible")]
    TooManyZones(usize),
    /// The place of a removed HSM would have to be wiped, and keys may live nowhere else.
    #[error("availability zone {0} has an HSM and is not listed any more: removing HSMs is not supported yet")]
    ZoneRemoved(String),
    /// Names the children; nothing is built without it.
    #[error("spec.clusterId is not set yet")]
    Unnamed,
}

impl Invalid {
    /// Reason of the condition `Accepted`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::DuplicateZone(_) => "DuplicateZone",
            Self::TooManyZones(_) => "TooManyZones",
            Self::ZoneRemoved(_) => "ZoneRemoved",
            Self::Unnamed => "Unnamed",
        }
    }
}

/// Checks the spec against itself and against the HSMs that exist already.
pub(super) fn validate(cluster: &CloudHsmCluster, image: &str, pull_policy: &str) -> Result<Desired, Invalid> {
    let spec = &cluster.spec;
    let zones = zones(cluster)?;
    let template = spec.template.clone().unwrap_or_default();
    let storage = spec.storage.clone().unwrap_or_default();
    Ok(Desired {
        namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        name: cluster.metadata.name.clone().unwrap_or_default(),
        cluster_id: spec.cluster_id.clone().ok_or(Invalid::Unnamed)?,
        zones,
        storage_size: storage.size.unwrap_or_else(|| DEFAULT_SIZE.into()),
        storage_class: storage.storage_class_name,
        image: template.image.unwrap_or_else(|| image.to_owned()),
        pull_policy: pull_policy.to_owned(),
        resources: template.resources,
        tolerations: template.tolerations,
        node_selector: template.node_selector,
    })
}

fn zones(cluster: &CloudHsmCluster) -> Result<Vec<String>, Invalid> {
    let zones = &cluster.spec.availability_zones;
    if zones.len() > MOST_ZONES {
        return Err(Invalid::TooManyZones(zones.len()));
    }
    for (index, zone) in zones.iter().enumerate() {
        if zones[..index].contains(zone) {
            return Err(Invalid::DuplicateZone(zone.clone()));
        }
    }
    let built = cluster.status.iter().flat_map(|status| &status.hsms);
    for hsm in built {
        if !zones.contains(&hsm.availability_zone) {
            return Err(Invalid::ZoneRemoved(hsm.availability_zone.clone()));
        }
    }
    Ok(zones.clone())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use operator_api::cloud_hsm_cluster::{CloudHsmClusterSpec, CloudHsmClusterStatus, Hsm, HsmState};

    pub(in super::super) fn cluster(zones: &[&str]) -> CloudHsmCluster {
        let spec = CloudHsmClusterSpec {
            availability_zones: zones.iter().map(ToString::to_string).collect(),
            cluster_id: Some("cluster-abcdefgh2345abcd".into()),
            ..CloudHsmClusterSpec::default()
        };
        let mut cluster = CloudHsmCluster::new("payments", spec);
        cluster.metadata.namespace = Some("team-a".into());
        cluster
    }

    pub(in super::super) fn desired(zones: &[&str]) -> Desired {
        validate(&cluster(zones), "hsm-sim:test", "IfNotPresent").unwrap()
    }

    #[test]
    fn a_cluster_over_three_zones_is_accepted_with_the_installations_image() {
        let desired = desired(&["local-1a", "local-1b", "local-1c"]);
        assert_eq!(desired.zones.len(), 3);
        assert_eq!((desired.image.as_str(), desired.storage_size.as_str()), ("hsm-sim:test", "1Gi"));
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        let eleven: Vec<_> = (0..11).map(|n| format!("z{n}")).collect();
        let eleven: Vec<_> = eleven.iter().map(String::as_str).collect();
        let refused = |cluster: &CloudHsmCluster| validate(cluster, "i", "Never").unwrap_err().reason();
        assert_eq!(refused(&cluster(&["a", "b", "a"])), "DuplicateZone");
        assert_eq!(refused(&cluster(&eleven)), "TooManyZones");
        let mut unnamed = cluster(&["a"]);
        unnamed.spec.cluster_id = None;
        assert_eq!(refused(&unnamed), "Unnamed");
    }

    /// INV-03: an HSM goes only when somebody has seen to its keys.
    #[test]
    fn a_zone_that_has_an_hsm_cannot_be_dropped_from_the_list() {
        let mut cluster = cluster(&["a", "b"]);
        let hsm = Hsm {
            hsm_id: "hsm-abcdefgh2345".into(),
            availability_zone: "c".into(),
            pod_name: "p".into(),
            eni_ip: None,
            state: HsmState::Degraded,
            state_message: None,
            identity_fingerprint: String::new(),
            host_certificate_fingerprint: None,
            client_port: Hsm::CLIENT_PORT,
            peer_port: Hsm::PEER_PORT,
        };
        cluster.status = Some(CloudHsmClusterStatus { hsms: vec![hsm], ..CloudHsmClusterStatus::default() });
        assert_eq!(validate(&cluster, "i", "Never"), Err(Invalid::ZoneRemoved("c".into())));
    }
}
