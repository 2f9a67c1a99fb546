//! The flow matrix of docs/network.md (T-11), worked out from the NetworkPolicies that are on the API server once the chart is installed and
//! a cluster was declared. Whether a network plugin enforces them is not this test's business: many, like kind's when it is built without a
//! registry, do not.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, Installation, SYSTEM_NAMESPACE};
use e2e::quickstart;
use e2e::wait::{Look, until};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Api, ResourceExt};

/// Ports of everything that listens in an installation.
const PORTS: [i32; 6] = [2223, 2224, 2225, 8080, 8443, 9090];

#[derive(Clone)]
struct Peer {
    name: &'static str,
    namespace: &'static str,
    labels: BTreeMap<String, String>,
}

fn peer(name: &'static str, namespace: &'static str, labels: &[(&str, &str)]) -> Peer {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Peer { name, namespace, labels }
}

/// Everybody, strangers who copy labels included.
fn everybody(cluster: &str) -> Vec<Peer> {
    let app = "app.kubernetes.io/name";
    let id = "keystores.dev/cluster-id";
    vec![
        peer("controllers", SYSTEM_NAMESPACE, &[(app, "keystore-operator")]),
        peer("gateway", GATEWAY_NAMESPACE, &[(app, "keystore-gateway")]),
        peer("hsm", HSM_NAMESPACE, &[(app, "hsm-sim"), (id, cluster)]),
        peer("hsm of another cluster", HSM_NAMESPACE, &[(app, "hsm-sim"), (id, "cluster-another234567abc")]),
        peer("stranger beside the controllers", SYSTEM_NAMESPACE, &[]),
        peer("stranger beside the gateway", GATEWAY_NAMESPACE, &[]),
        peer("stranger beside the HSMs", HSM_NAMESPACE, &[]),
        peer("application", "team-a", &[]),
        peer("application that calls itself controllers", "team-a", &[(app, "keystore-operator")]),
        peer("application that calls itself gateway", "team-a", &[(app, "keystore-gateway")]),
        peer("application that calls itself HSM", "team-a", &[(app, "hsm-sim"), (id, cluster)]),
    ]
}

/// What docs/network.md lists between pods.
fn required() -> Vec<(&'static str, &'static str, i32)> {
    let mut flows = vec![
        ("controllers", "hsm", 2223),
        ("controllers", "hsm", 2224),
        ("gateway", "hsm", 2223),
        ("hsm", "hsm", 2224),
        ("application", "gateway", 8443),
        ("application that calls itself controllers", "gateway", 8443),
        ("application that calls itself gateway", "gateway", 8443),
        ("application that calls itself HSM", "gateway", 8443),
    ];
    flows.sort_unstable();
    flows
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    assert!(selector.match_expressions.is_none(), "this test reads matchLabels only");
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

fn names(rule: &NetworkPolicyPeer, home: &str, peer: &Peer) -> bool {
    // A block of addresses may hold any pod.
    if rule.ip_block.is_some() {
        return true;
    }
    let of_namespace = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), peer.namespace.to_owned())]);
    let namespace = match &rule.namespace_selector {
        Some(selector) => selects(selector, &of_namespace),
        None => peer.namespace == home,
    };
    namespace && rule.pod_selector.as_ref().is_none_or(|selector| selects(selector, &peer.labels))
}

fn covers(ports: Option<&Vec<NetworkPolicyPort>>, port: i32) -> bool {
    ports.is_none_or(|ports| {
        ports.iter().any(|entry| match &entry.port {
            None => true,
            Some(IntOrString::Int(first)) => (*first..=entry.end_port.unwrap_or(*first)).contains(&port),
            Some(IntOrString::String(name)) => panic!("a port by name, {name}: this test reads numbers only"),
        })
    })
}

/// Whether the policies of `own`'s side let it talk with `other` on `port`: no policy for the direction means yes.
fn one_side(policies: &[NetworkPolicy], direction: &str, own: &Peer, other: &Peer, port: i32) -> bool {
    let mine: Vec<_> = policies
        .iter()
        .filter(|policy| policy.namespace().as_deref() == Some(own.namespace))
        .filter_map(|policy| policy.spec.as_ref())
        .filter(|spec| spec.pod_selector.as_ref().is_none_or(|selector| selects(selector, &own.labels)))
        .filter(|spec| spec.policy_types.iter().flatten().any(|kind| kind == direction))
        .collect();
    let reaches = |peers: Option<&Vec<NetworkPolicyPeer>>, ports| {
        peers.is_none_or(|peers| peers.iter().any(|rule| names(rule, own.namespace, other))) && covers(ports, port)
    };
    mine.is_empty()
        || mine.iter().any(|spec| match direction {
            "Ingress" => spec.ingress.iter().flatten().any(|rule| reaches(rule.from.as_ref(), rule.ports.as_ref())),
            _ => spec.egress.iter().flatten().any(|rule| reaches(rule.to.as_ref(), rule.ports.as_ref())),
        })
}

fn allowed(policies: &[NetworkPolicy], cluster: &str) -> Vec<(&'static str, &'static str, i32)> {
    let peers = everybody(cluster);
    let targets = peers.iter().filter(|peer| ["controllers", "gateway", "hsm"].contains(&peer.name));
    let mut flows = Vec::new();
    for (to, from) in targets.flat_map(|to| peers.iter().map(move |from| (to, from))) {
        let open = |port: &i32| {
            one_side(policies, "Egress", from, to, *port) && one_side(policies, "Ingress", to, from, *port)
        };
        flows.extend(PORTS.into_iter().filter(open).map(|port| (from.name, to.name, port)));
    }
    flows.sort_unstable();
    flows
}

/// T-11: the required flows, and not one more; without policies everything would be open, so the matrix can fail.
#[tokio::test]
async fn exactly_the_required_flows_are_allowed() -> Result<()> {
    let installation = Installation::start().await?;
    installation.apply(&quickstart::manifests()?)?;
    let api: Api<NetworkPolicy> = Api::all(installation.admin().await?);
    let (policies, cluster) = until("the cluster's security group", Duration::from_secs(60), || async {
        let policies = api.list(&kube::api::ListParams::default()).await?.items;
        let group = policies.iter().find(|policy| policy.name_any().starts_with("cloudhsm-cluster-"));
        let cluster = group.and_then(|policy| policy.labels().get("keystores.dev/cluster-id").cloned());
        Ok(match cluster {
            Some(cluster) => Look::Done((policies, cluster)),
            None => Look::NotYet(format!("{} policies", policies.len())),
        })
    })
    .await?;
    assert_eq!(allowed(&policies, &cluster), required());
    assert!(allowed(&[], &cluster).len() > 100, "the matrix does not see open ports");
    Ok(())
}
