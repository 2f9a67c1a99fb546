//! The HSMs of a store's cluster, as the cluster's status lists them: what to dial and what to expect there. Pure.

use std::net::{IpAddr, SocketAddr};

use hsm_client::HsmEndpoint;
use operator_api::{
    CloudHsmCluster, CustomKeyStore,
    cloud_hsm_cluster::{HSMS_LISTED, Hsm, HsmState},
};

use crate::conditions::holds;

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

/// Whether the list has every HSM that there may be; the cluster's controller knows ([`operator_domain::cluster::Listing`]). Not by the age of
/// anything: an HSM that was never listed since the cluster's object came back may hold any connection from before, whenever the next one began.
pub(crate) fn are_all_listed(cluster: &CloudHsmCluster) -> bool {
    cluster.status.as_ref().is_some_and(|status| holds(&status.conditions, HSMS_LISTED))
}

/// How many HSMs the cluster is to have, whether they are listed or not. Its spec says that; if it was refused, the cluster has others than those, and
/// only its own controller knows how many: more than can be counted here.
pub(crate) fn places(cluster: &CloudHsmCluster) -> usize {
    // What was accepted is the spec that was looked at, and that may be an older one.
    let looked_at = cluster.status.as_ref().filter(|status| status.observed_generation == cluster.metadata.generation);
    if looked_at.is_some_and(|status| holds(&status.conditions, "Accepted")) {
        cluster.spec.availability_zones.len().max(members(cluster).len())
    } else {
        usize::MAX
    }
}

/// Stands for the HSMs that nobody can name, let alone tell: their cluster's object is gone, or came back and does not list all of them yet.
pub(super) fn unlisted(store: &CustomKeyStore, cluster: Option<&CloudHsmCluster>) -> Option<String> {
    if cluster.is_some_and(are_all_listed) {
        return None;
    }
    let known = store.status.as_ref().and_then(|status| status.cloud_hsm_cluster_id.as_deref());
    let cluster_id = known.unwrap_or("the store's cluster");
    let next = "if it is gone: `kubectl keystore recover`; if not, see its condition HsmsListed";
    Some(format!("those of {cluster_id} that no CloudHsmCluster lists ({next})"))
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
    use crate::conditions::{Finding, merge};
    use jiff::Timestamp;
    use operator_api::{CloudHsmClusterSpec, CloudHsmClusterStatus, CustomKeyStoreSpec, CustomKeyStoreStatus};

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

    /// D12: neither a connection is complete nor the end of one while the cluster's controller does not say that all HSMs are listed.
    #[test]
    fn hsms_that_may_be_missing_from_the_list_are_spoken_of_and_so_are_those_of_a_lost_cluster() {
        let mut store = CustomKeyStore::new("s", CustomKeyStoreSpec::default());
        let accepted = Some("cluster-abcdefghijkabcde".into());
        store.status = Some(CustomKeyStoreStatus { cloud_hsm_cluster_id: accepted, ..CustomKeyStoreStatus::default() });
        for (said, all) in [(None, false), (Some(false), false), (Some(true), true)] {
            let mut cluster = cluster(vec![hsm("hsm-a", "1a", HsmState::Active, None)]);
            let finding = said.map(|said| Finding::new(HSMS_LISTED, said, "R", ""));
            let conditions = merge(&[], finding.into_iter().collect(), None, Timestamp::UNIX_EPOCH);
            cluster.status.as_mut().unwrap().conditions = conditions;
            assert_eq!(are_all_listed(&cluster), all, "{said:?}");
            assert_eq!(unlisted(&store, Some(&cluster)).is_none(), all, "{said:?}");
        }
        let told = unlisted(&store, None).unwrap();
        assert!(told.contains("cluster-abcdefghijkabcde") && told.contains("kubectl keystore recover"), "{told}");
    }

    /// INV-24: a password that an HSM nobody counts may have is not forgotten.
    #[test]
    fn a_cluster_has_as_many_places_as_its_spec_says_unless_that_was_refused() {
        for (accepted, zones, listed, want) in
            [(Some(true), 3, 2, 3), (Some(true), 2, 3, 3), (Some(false), 2, 2, usize::MAX), (None, 3, 0, usize::MAX)]
        {
            let ids = ["hsm-a", "hsm-b", "hsm-c"].into_iter().take(listed);
            let mut cluster = cluster(ids.map(|id| hsm(id, "1a", HsmState::Active, None)).collect());
            cluster.spec.availability_zones = (0..zones).map(|zone| format!("zone-{zone}")).collect();
            let finding = accepted.map(|accepted| Finding::new("Accepted", accepted, "R", ""));
            let conditions = merge(&[], finding.into_iter().collect(), None, Timestamp::UNIX_EPOCH);
            cluster.status.as_mut().unwrap().conditions = conditions;
            assert_eq!(places(&cluster), want, "{accepted:?} {zones} {listed}");
            cluster.metadata.generation = Some(2);
            assert_eq!(places(&cluster), usize::MAX, "an older spec was looked at");
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
