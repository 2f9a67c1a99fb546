//! From the resource and its pods to what the initialisation procedure asks for. Pure.

use hsm_initialization::{ClusterPlan, InitializationIntent, PlannedPod, PodAddresses, Recorded, RecordedHsm};
use operator_api::CloudHsmCluster;
use operator_api::cloud_hsm_cluster::Hsm;
use operator_domain::cluster::{PlacementProblem, PodFacts, assign};

use super::observe::Place;
use super::validate::Desired;

/// The plan, and what is wrong with the placement of pods, if anything: then no further HSM is assigned, those that are go on.
pub(super) fn plan(
    cluster: &CloudHsmCluster,
    desired: &Desired,
    places: &[Place],
) -> (ClusterPlan, Option<PlacementProblem>) {
    let hsms = cluster.status.as_ref().map_or(&[][..], |status| &status.hsms);
    let problem = placement_problem(desired, places, hsms);
    let pods = places.iter().map(|place| planned(place, hsms, problem.is_some())).collect();
    let recorded = Recorded {
        initialization_intent: cluster.spec.initialization_intent.as_ref().and_then(|intent| {
            let identity_fingerprint = fingerprint(&intent.identity_fingerprint)?;
            Some(InitializationIntent { hsm_id: intent.hsm_id.clone(), identity_fingerprint })
        }),
        cluster_certificate_fingerprint: cluster.spec.cluster_certificate_fingerprint.as_deref().and_then(fingerprint),
        hsms: hsms.iter().filter_map(recorded).collect(),
    };
    (ClusterPlan { cluster_id: desired.cluster_id.clone(), pods, recorded }, problem)
}

fn placement_problem(desired: &Desired, places: &[Place], hsms: &[Hsm]) -> Option<PlacementProblem> {
    let facts: Vec<_> = places
        .iter()
        .map(|place| PodFacts {
            pod: place.pod_name.clone(),
            node_zone: place.pod.as_ref().ok().and_then(|pod| pod.zone.parse().ok()),
            assigned_zone: hsm_of(hsms, &place.pod_name).and_then(|hsm| hsm.availability_zone.parse().ok()),
        })
        .collect();
    assign(&desired.zones, &facts).err()
}

fn planned(place: &Place, hsms: &[Hsm], held: bool) -> PlannedPod {
    let pod = place.pod.as_ref().ok();
    let may_be_assigned = !held || hsm_of(hsms, &place.pod_name).is_some();
    PlannedPod {
        pod_name: place.pod_name.clone(),
        availability_zone: pod.filter(|_| may_be_assigned).map(|pod| pod.zone.clone()),
        addresses: pod.map(|pod| PodAddresses {
            client: pod.client_address(),
            provisioning: pod.peer_address(),
            // The address, not the Service's name: peers need no resolver, and a new address is a new roster at once.
            peer: pod.peer_address().to_string(),
        }),
    }
}

/// An HSM whose address or identity cannot be read is left out: nothing could be checked against it.
fn recorded(hsm: &Hsm) -> Option<RecordedHsm> {
    let ip: std::net::IpAddr = hsm.eni_ip.as_deref()?.parse().ok()?;
    Some(RecordedHsm {
        pod_name: hsm.pod_name.clone(),
        hsm_id: hsm.hsm_id.clone(),
        availability_zone: hsm.availability_zone.clone(),
        identity_fingerprint: fingerprint(&hsm.identity_fingerprint)?,
        peer_address: std::net::SocketAddr::new(ip, hsm.peer_port).to_string(),
    })
}

fn hsm_of<'a>(hsms: &'a [Hsm], pod_name: &str) -> Option<&'a Hsm> {
    hsms.iter().find(|hsm| hsm.pod_name == pod_name)
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::observe::Pod;
    use super::super::validate::tests::{cluster, desired};
    use super::*;

    fn place(ordinal: u8, zone: &str) -> Place {
        let ip = std::net::Ipv4Addr::new(127, 0, 0, 11 + ordinal).into();
        let pod = Ok(Pod { ip, zone: zone.into() });
        Place { pod_name: format!("cluster-abcdefgh2345abcd-{ordinal}"), pod }
    }

    #[test]
    fn each_pod_gets_the_zone_of_its_node_and_is_dialled_by_its_address() {
        let zones = ["a", "b"];
        let (plan, problem) = plan(&cluster(&zones), &desired(&zones), &[place(0, "b"), place(1, "a")]);
        assert_eq!(problem, None);
        let zones: Vec<_> = plan.pods.iter().map(|pod| pod.availability_zone.as_deref()).collect();
        assert_eq!(zones, [Some("b"), Some("a")]);
        let addresses = plan.pods[1].addresses.as_ref().unwrap();
        assert_eq!(
            (addresses.client.to_string().as_str(), addresses.peer.as_str()),
            ("127.0.0.12:2223", "127.0.0.12:2224")
        );
    }

    /// D18.
    #[test]
    fn two_pods_in_one_zone_are_a_problem_and_neither_is_assigned() {
        let zones = ["a", "b"];
        let (plan, problem) = plan(&cluster(&zones), &desired(&zones), &[place(0, "a"), place(1, "a")]);
        assert!(matches!(problem, Some(PlacementProblem::ZoneTaken { .. })));
        assert!(plan.pods.iter().all(|pod| pod.availability_zone.is_none()));
    }

    #[test]
    fn what_was_recorded_once_reaches_the_procedure() {
        let mut cluster = cluster(&["a"]);
        cluster.spec.cluster_certificate_fingerprint = Some("ab".repeat(32));
        let (plan, _) = plan(&cluster, &desired(&["a"]), &[place(0, "a")]);
        assert_eq!(plan.recorded.cluster_certificate_fingerprint, Some([0xab; 32]));
    }
}
