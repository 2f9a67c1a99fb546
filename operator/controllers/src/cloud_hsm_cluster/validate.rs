//! From the raw object to what is to be built, or to a reason why it cannot be. Pure; the steps after this one never read the raw spec.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use operator_api::CloudHsmCluster;
use operator_domain::cluster::{BuiltZones, ZonesRemoved, zones_to_build};
use operator_domain::identifier::ZoneName;

use super::build::statefulset;
use crate::custom_key_store::are_all_listed;

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
    pub(super) zones: Vec<ZoneName>,
    /// Why these are not the zones that the spec lists.
    pub(super) refused: Option<ZonesRemoved>,
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
    /// Likewise.
    #[error("{0:?} is no name of an availability zone: up to 63 lower-case letters, digits and inner hyphens")]
    NoZone(String),
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
            Self::NoZone(_) => "NoZone",
            Self::Unnamed => "Unnamed",
        }
    }
}

/// Checks the spec against itself and against what exists already.
pub(super) fn validate(
    cluster: &CloudHsmCluster,
    existing: Option<&StatefulSet>,
    image: &str,
    pull_policy: &str,
) -> Result<Desired, Invalid> {
    let spec = &cluster.spec;
    let (zones, refused) = match zones_to_build(&listed(cluster)?, &built(cluster, existing)) {
        Ok(zones) => (zones, None),
        Err(refused) => (refused.kept.clone(), Some(refused)),
    };
    let template = spec.template.clone().unwrap_or_default();
    let storage = spec.storage.clone().unwrap_or_default();
    Ok(Desired {
        namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        name: cluster.metadata.name.clone().unwrap_or_default(),
        cluster_id: spec.cluster_id.clone().ok_or(Invalid::Unnamed)?,
        zones,
        refused,
        storage_size: storage.size.unwrap_or_else(|| DEFAULT_SIZE.into()),
        storage_class: storage.storage_class_name,
        image: template.image.unwrap_or_else(|| image.to_owned()),
        pull_policy: pull_policy.to_owned(),
        resources: template.resources,
        tolerations: template.tolerations,
        node_selector: template.node_selector,
    })
}

/// The zones of the spec.
fn listed(cluster: &CloudHsmCluster) -> Result<Vec<ZoneName>, Invalid> {
    let zones = &cluster.spec.availability_zones;
    if zones.len() > MOST_ZONES {
        return Err(Invalid::TooManyZones(zones.len()));
    }
    for (index, zone) in zones.iter().enumerate() {
        if zones[..index].contains(zone) {
            return Err(Invalid::DuplicateZone(zone.clone()));
        }
    }
    zones.iter().map(|zone| zone.parse().map_err(|_| Invalid::NoZone(zone.clone()))).collect()
}

/// What exists of the cluster: an object that came back has no status yet, but its StatefulSet was never away.
fn built(cluster: &CloudHsmCluster, existing: Option<&StatefulSet>) -> BuiltZones {
    let hsms = cluster.status.iter().flat_map(|status| &status.hsms);
    BuiltZones {
        pods: existing.map(statefulset::zones).unwrap_or_default(),
        hsms: hsms.filter_map(|hsm| hsm.availability_zone.parse().ok()).collect(),
        all_listed: are_all_listed(cluster),
    }
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
        validate(&cluster(zones), None, "hsm-sim:test", "IfNotPresent").unwrap()
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
        let refused = |cluster: &CloudHsmCluster| validate(cluster, None, "i", "Never").unwrap_err().reason();
        assert_eq!(refused(&cluster(&["a", "b", "a"])), "DuplicateZone");
        assert_eq!(refused(&cluster(&eleven)), "TooManyZones");
        assert_eq!(refused(&cluster(&["a", "B c"])), "NoZone");
        let mut unnamed = cluster(&["a"]);
        unnamed.spec.cluster_id = None;
        assert_eq!(refused(&unnamed), "Unnamed");
    }

    fn names(zones: &[ZoneName]) -> Vec<&str> {
        zones.iter().map(ZoneName::as_str).collect()
    }

    fn hsm(zone: &str) -> Hsm {
        Hsm {
            hsm_id: "hsm-abcdefgh2345".into(),
            availability_zone: zone.into(),
            pod_name: "p".into(),
            eni_ip: None,
            state: HsmState::Degraded,
            state_message: None,
            identity_fingerprint: String::new(),
            host_certificate_fingerprint: None,
            client_port: Hsm::CLIENT_PORT,
            peer_port: Hsm::PEER_PORT,
        }
    }

    /// INV-03: what the StatefulSet was built for counts as much as what the status lists.
    #[test]
    fn a_zone_that_has_an_hsm_stays_whether_the_object_knows_of_it_or_came_back_without_it() {
        let existing = statefulset::stateful_set(&desired(&["a", "b", "c"]), "keystore-hsm", None);
        let came_back = cluster(&["a", "b"]);
        let mut edited = came_back.clone();
        edited.status = Some(CloudHsmClusterStatus { hsms: vec![hsm("c")], ..CloudHsmClusterStatus::default() });
        for (cluster, existing) in [(&came_back, Some(&existing)), (&edited, Some(&existing)), (&edited, None)] {
            let desired = validate(cluster, existing, "i", "Never").unwrap();
            let removed = desired.refused.unwrap().removed;
            assert_eq!((names(&desired.zones), names(&removed)), (vec!["a", "b", "c"], vec!["c"]));
        }
        let desired = validate(&cluster(&["c", "a", "b"]), Some(&existing), "i", "Never").unwrap();
        assert_eq!((names(&desired.zones), desired.refused), (vec!["a", "b", "c"], None), "the order means nothing");
    }
}
