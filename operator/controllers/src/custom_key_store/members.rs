//! The HSMs of a store's cluster, as the cluster's status lists them: what to dial and what to expect there. Pure.

use std::net::{IpAddr, SocketAddr};

use hsm_client::HsmEndpoint;
use operator_api::{
    CloudHsmCluster,
    cloud_hsm_cluster::{Hsm, HsmState},
};

/// One HSM that the cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `hsm-…`
    pub hsm_id: String,
    /// Zone.
    pub availability_zone: String,
    /// Whether the cluster calls it ACTIVE.
    pub active: bool,
    /// Where it is; `None` while its pod has no address or its certificate is not known.
    pub endpoint: Option<HsmEndpoint>,
}

/// The cluster's HSMs in order of their id: logins go to the lowest first, so that failures gather on one HSM ("Passwords"). Places without
/// an HSM are left out.
#[must_use]
pub fn members(cluster: &CloudHsmCluster) -> Vec<Member> {
    let hsms = cluster.status.as_ref().map(|status| status.hsms.as_slice()).unwrap_or_default();
    let mut members: Vec<_> = hsms
        .iter()
        .filter(|hsm| !matches!(hsm.state, HsmState::Vacant | HsmState::Deleted))
        .map(|hsm| Member {
            hsm_id: hsm.hsm_id.clone(),
            availability_zone: hsm.availability_zone.clone(),
            active: hsm.state == HsmState::Active,
            endpoint: endpoint(hsm),
        })
        .collect();
    members.sort_by(|a, b| a.hsm_id.cmp(&b.hsm_id));
    members
}

/// Whether the list has every HSM that the connection `generation` may have met. Generations are the Unix second of their connect or later
/// ones, and a cluster object that is younger was made again from its record: its new status lists only HSMs that have answered since (D12).
pub(super) fn are_all_listed(cluster: &CloudHsmCluster, generation: u64) -> bool {
    let listed = members(cluster).len();
    let created = cluster.metadata.creation_timestamp.as_ref().map_or(0, |created| created.0.as_second());
    let older = u64::try_from(created).is_ok_and(|created| created <= generation);
    listed > 0 && (older || listed >= cluster.spec.availability_zones.len())
}

fn endpoint(hsm: &Hsm) -> Option<HsmEndpoint> {
    let address: IpAddr = hsm.eni_ip.as_ref()?.parse().ok()?;
    Some(HsmEndpoint {
        hsm_id: hsm.hsm_id.clone(),
        availability_zone: hsm.availability_zone.clone(),
        address: SocketAddr::new(address, hsm.client_port),
        identity_fingerprint: fingerprint(&hsm.identity_fingerprint)?,
        host_certificate_fingerprint: fingerprint(hsm.host_certificate_fingerprint.as_ref()?)?,
    })
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_api::{CloudHsmClusterSpec, CloudHsmClusterStatus};

    fn hsm(id: &str, zone: &str, state: HsmState, address: Option<&str>) -> Hsm {
        Hsm {
            hsm_id: id.into(),
            availability_zone: zone.into(),
            pod_name: "pod".into(),
            eni_ip: address.map(Into::into),
            state,
            state_message: None,
            identity_fingerprint: "ab".repeat(32),
            host_certificate_fingerprint: Some("cd".repeat(32)),
            client_port: 2223,
            peer_port: 2224,
        }
    }

    fn cluster(hsms: Vec<Hsm>) -> CloudHsmCluster {
        let mut cluster = CloudHsmCluster::new("c", CloudHsmClusterSpec::default());
        cluster.status = Some(CloudHsmClusterStatus { hsms, ..CloudHsmClusterStatus::default() });
        cluster
    }

    #[test]
    fn hsms_come_in_order_of_their_id_and_vacant_places_do_not_count() {
        let members = members(&cluster(vec![
            hsm("hsm-c", "1c", HsmState::Active, Some("10.0.0.3")),
            hsm("hsm-a", "1a", HsmState::Degraded, None),
            hsm("hsm-b", "1b", HsmState::Vacant, Some("10.0.0.2")),
        ]));
        let ids: Vec<_> = members.iter().map(|member| member.hsm_id.as_str()).collect();
        assert_eq!(ids, ["hsm-a", "hsm-c"]);
        assert_eq!(members[0].endpoint, None);
        assert_eq!(members[1].endpoint.as_ref().unwrap().address, "10.0.0.3:2223".parse().unwrap());
        assert_eq!(members[1].endpoint.as_ref().unwrap().identity_fingerprint, [0xab; 32]);
    }

    /// D12: (made at, HSMs in the list, generation) of a cluster with three zones, and whether a disconnect can tell all its HSMs by the list.
    #[test]
    fn a_cluster_made_again_after_the_connect_lists_every_hsm_only_when_no_place_is_empty() {
        for (made, listed, generation, all) in [
            (100, 3, 200, true),
            (100, 2, 200, true),
            (100, 0, 200, false),
            (200, 2, 200, true),
            (300, 0, 200, false),
            (300, 2, 200, false),
            (300, 3, 200, true),
        ] {
            let ids = ["hsm-a", "hsm-b", "hsm-c"].into_iter().take(listed);
            let mut cluster = cluster(ids.map(|id| hsm(id, "1a", HsmState::Degraded, None)).collect());
            cluster.spec.availability_zones = vec!["1a".into(), "1b".into(), "1c".into()];
            cluster.metadata.creation_timestamp = Some(Time(Timestamp::from_second(made).unwrap()));
            assert_eq!(are_all_listed(&cluster, generation), all, "{made} {listed} {generation}");
        }
    }

    #[test]
    fn an_hsm_with_an_unreadable_address_or_certificate_cannot_be_dialled() {
        let mut unknown = hsm("hsm-a", "1a", HsmState::Active, Some("10.0.0.1"));
        unknown.host_certificate_fingerprint = None;
        let odd = hsm("hsm-b", "1b", HsmState::Active, Some("not an address"));
        assert!(members(&cluster(vec![unknown, odd])).iter().all(|member| member.endpoint.is_none()));
    }
}
