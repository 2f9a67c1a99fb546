//! The cluster's security group `cloudhsm-cluster-<clusterId>-sg` as a NetworkPolicy: TCP 2223–2225 only among the members, the
//! controllers and the gateway (spec 1.3 step 1).

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{CLIENT_PORT, Desired, PEER_PORT, label_selector, metadata};
use crate::context::Namespaces;

const LAST_PORT: i32 = 2225;

/// Name of the security group of a cluster (spec 1.3 step 1).
pub(in super::super) fn security_group(cluster_id: &str) -> String {
    format!("cloudhsm-cluster-{}-sg", cluster_id.trim_start_matches("cluster-"))
}

/// Peers are named by namespace and label together: a pod elsewhere that copies the labels gets nothing.
pub(in super::super) fn network_policy(desired: &Desired, namespaces: &Namespaces) -> NetworkPolicy {
    let members =
        NetworkPolicyPeer { pod_selector: Some(label_selector(&desired.cluster_id)), ..NetworkPolicyPeer::default() };
    let controllers = program(&namespaces.system, "keystore-operator");
    let gateway = program(&namespaces.gateway, "keystore-gateway");
    let ingress = vec![
        from(vec![members.clone(), controllers], ports(CLIENT_PORT, LAST_PORT)),
        from(vec![gateway], ports(CLIENT_PORT, CLIENT_PORT)),
    ];
    let egress = NetworkPolicyEgressRule { to: Some(vec![members]), ports: Some(ports(PEER_PORT, PEER_PORT)) };
    let spec = NetworkPolicySpec {
        pod_selector: Some(label_selector(&desired.cluster_id)),
        policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
        ingress: Some(ingress),
        egress: Some(vec![egress]),
    };
    NetworkPolicy {
        metadata: metadata(desired, &namespaces.hsm, security_group(&desired.cluster_id)),
        spec: Some(spec),
    }
}

fn from(peers: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(peers), ports: Some(ports) }
}

fn ports(first: i32, last: i32) -> Vec<NetworkPolicyPort> {
    let end_port = (last > first).then_some(last);
    vec![NetworkPolicyPort { protocol: Some("TCP".into()), port: Some(IntOrString::Int(first)), end_port }]
}

fn program(namespace: &str, name: &str) -> NetworkPolicyPeer {
    let one = |key: &str, value: &str| LabelSelector {
        match_labels: Some([(key.to_owned(), value.to_owned())].into()),
        ..LabelSelector::default()
    };
    NetworkPolicyPeer {
        namespace_selector: Some(one("kubernetes.io/metadata.name", namespace)),
        pod_selector: Some(one("app.kubernetes.io/name", name)),
        ip_block: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::validate::tests::desired;
    use super::*;

    fn namespaces() -> Namespaces {
        let [system, gateway, hsm, vault] = ["s", "g", "h", "v"].map(str::to_owned);
        Namespaces { system, gateway, hsm, vault }
    }

    #[test]
    fn the_gateway_reaches_the_client_port_only_and_strangers_reach_nothing() {
        let spec = network_policy(&desired(&["a"]), &namespaces()).spec.unwrap();
        let ingress = spec.ingress.unwrap();
        for rule in &ingress {
            assert!(rule.from.as_ref().is_some_and(|peers| !peers.is_empty()), "a rule without peers admits everybody");
        }
        let gateway = &ingress[1];
        let port = &gateway.ports.as_ref().unwrap()[0];
        assert_eq!((port.port.clone(), port.end_port), (Some(IntOrString::Int(2223)), None));
        assert!(gateway.from.as_ref().unwrap()[0].namespace_selector.is_some());
    }

    #[test]
    fn the_policy_bears_the_name_of_the_security_group() {
        let policy = network_policy(&desired(&["a"]), &namespaces());
        assert_eq!(policy.metadata.name.as_deref(), Some("cloudhsm-cluster-abcdefgh2345abcd-sg"));
    }
}
