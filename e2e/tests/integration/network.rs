//! The flow matrix of docs/network.md (T-11), worked out from the NetworkPolicies that are on the API server once the chart is installed and
//! a cluster was declared, for pods with the labels of the real templates. Whether a network plugin enforces them is not this test's
//! business: many, like kind's when it is built without a registry, do not.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, Installation, SYSTEM_NAMESPACE};
use e2e::network_policy::{Flow, Peer, allowed};
use e2e::quickstart;
use e2e::wait::{Look, until};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

/// Ports of everything that listens in an installation, the API server and DNS included.
const PORTS: [(&str, i32); 10] = [
    ("TCP", 53),
    ("UDP", 53),
    ("TCP", 443),
    ("TCP", 2223),
    ("TCP", 2224),
    ("TCP", 2225),
    ("TCP", 6443),
    ("TCP", 8080),
    ("TCP", 8443),
    ("TCP", 9090),
];
const APPLICATIONS: [&str; 4] = [
    "application",
    "application that calls itself controllers",
    "application that calls itself gateway",
    "application that calls itself HSM",
];
const OURS: [&str; 3] = [SYSTEM_NAMESPACE, GATEWAY_NAMESPACE, HSM_NAMESPACE];

/// What docs/network.md lists.
fn required() -> Vec<Flow> {
    let mut flows = vec![
        ("controllers", "hsm", "TCP", 2223),
        ("controllers", "hsm", "TCP", 2224),
        ("gateway", "hsm", "TCP", 2223),
        ("hsm", "hsm", "TCP", 2224),
        ("outside", "gateway", "TCP", 8443),
        ("dns", "gateway", "TCP", 8443),
    ];
    flows.extend(APPLICATIONS.map(|from| (from, "gateway", "TCP", 8443)));
    for from in ["controllers", "gateway"] {
        flows.extend([(from, "dns", "TCP", 53), (from, "dns", "UDP", 53)]);
        // The API server cannot be selected: its ports are open to every address that nothing protects (`networkPolicies.apiServer.cidrs`).
        for to in APPLICATIONS.iter().chain(&["dns", "outside"]) {
            flows.extend([(from, *to, "TCP", 443), (from, *to, "TCP", 6443)]);
        }
    }
    flows.sort_unstable();
    flows
}

/// What the API server holds once a cluster is declared.
struct Installed {
    policies: Vec<NetworkPolicy>,
    peers: Vec<Peer>,
}

impl Installed {
    fn matrix(&self) -> Result<Vec<Flow>> {
        let ours = |peer: &Peer| peer.namespace.is_some_and(|namespace| OURS.contains(&namespace));
        allowed(&self.policies, &self.peers, &PORTS, |from, to| ours(from) || ours(to))
    }

    /// The matrix after a change of one policy.
    fn with(&self, policy: &str, change: impl FnOnce(&mut NetworkPolicySpec)) -> Result<Vec<Flow>> {
        let mut changed = Self { policies: self.policies.clone(), peers: self.peers.clone() };
        let found = changed.policies.iter_mut().find(|found| found.name_any().starts_with(policy));
        change(found.and_then(|found| found.spec.as_mut()).with_context(|| format!("no policy {policy}"))?);
        changed.matrix()
    }

    fn without(&self, policy: &str, namespace: &str) -> Result<Vec<Flow>> {
        let goes = |found: &NetworkPolicy| {
            found.name_any().starts_with(policy) && found.namespace().as_deref() == Some(namespace)
        };
        assert!(self.policies.iter().any(goes), "no policy {policy}");
        let policies = self.policies.iter().filter(|found| !goes(found)).cloned().collect();
        Self { policies, peers: self.peers.clone() }.matrix()
    }
}

async fn install() -> Result<Installed> {
    let installation = Installation::start().await?;
    installation.apply(&quickstart::manifests()?)?;
    let admin = installation.admin().await?;
    let policies: Api<NetworkPolicy> = Api::all(admin.clone());
    let sets: Api<StatefulSet> = Api::namespaced(admin.clone(), HSM_NAMESPACE);
    let (policies, set) = until("the cluster's security group and StatefulSet", Duration::from_secs(180), || async {
        let policies = policies.list(&ListParams::default()).await?.items;
        let set = sets.list(&ListParams::default()).await?.items.pop();
        let group = policies.iter().any(|policy| policy.name_any().starts_with("cloudhsm-cluster-"));
        Ok(match set.filter(|_| group) {
            Some(set) => Look::Done((policies, set)),
            None => Look::NotYet(format!("{} policies", policies.len())),
        })
    })
    .await?;
    let deployment = |namespace: &'static str, name: &'static str| {
        let deployments: Api<Deployment> = Api::namespaced(admin.clone(), namespace);
        async move { labels(deployments.get(name).await?.spec.map(|spec| spec.template)) }
    };
    let controllers = deployment(SYSTEM_NAMESPACE, "keystore-operator").await?;
    let gateway = deployment(GATEWAY_NAMESPACE, "keystore-gateway").await?;
    let hsm = labels(set.spec.map(|spec| spec.template))?;
    Ok(Installed { policies, peers: everybody(&controllers, &gateway, &hsm) })
}

fn labels(template: Option<PodTemplateSpec>) -> Result<BTreeMap<String, String>> {
    let metadata = template.and_then(|template| template.metadata).context("a template without metadata")?;
    metadata.labels.context("a template without labels")
}

type Labels = BTreeMap<String, String>;

/// Everybody, strangers who copy labels included.
fn everybody(controllers: &Labels, gateway: &Labels, hsm: &Labels) -> Vec<Peer> {
    let peer = |name, namespace, labels: &Labels| Peer { name, namespace: Some(namespace), labels: labels.clone() };
    let (nobody, mut other) = (Labels::new(), hsm.clone());
    other.insert("keystores.dev/cluster-id".to_owned(), "cluster-another234567abc".to_owned());
    let dns = Labels::from([("k8s-app".to_owned(), "kube-dns".to_owned())]);
    vec![
        peer("hsm of another cluster", HSM_NAMESPACE, &other),
        peer("stranger beside the controllers", SYSTEM_NAMESPACE, &nobody),
        peer("stranger beside the gateway", GATEWAY_NAMESPACE, &nobody),
        peer("stranger beside the HSMs", HSM_NAMESPACE, &nobody),
        peer(APPLICATIONS[0], "team-a", &nobody),
        peer(APPLICATIONS[1], "team-a", controllers),
        peer(APPLICATIONS[2], "team-a", gateway),
        peer(APPLICATIONS[3], "team-a", hsm),
        peer("dns", "kube-system", &dns),
        peer("controllers", SYSTEM_NAMESPACE, controllers),
        peer("gateway", GATEWAY_NAMESPACE, gateway),
        peer("hsm", HSM_NAMESPACE, hsm),
        Peer { name: "outside", namespace: None, labels: nobody },
    ]
}

/// T-11: the required flows, and not one more. The changes after that are positive controls: each must turn the matrix red.
#[tokio::test]
async fn exactly_the_required_flows_are_allowed_and_every_mistake_shows() -> Result<()> {
    let installed = install().await?;
    assert_eq!(installed.matrix()?, required());

    let selector_typo = |spec: &mut NetworkPolicySpec| {
        let rules = spec.ingress.iter_mut().flatten().flat_map(|rule| rule.from.iter_mut().flatten());
        let selectors = rules.filter_map(|peer| peer.namespace_selector.as_mut());
        let names = selectors.flat_map(|selector| selector.match_labels.iter_mut().flatten());
        names.for_each(|(_, value)| value.push('x'));
    };
    let one_label_more = |spec: &mut NetworkPolicySpec| {
        let selector = spec.pod_selector.get_or_insert_default();
        selector.match_labels.get_or_insert_default().insert("tier".to_owned(), "front".to_owned());
    };
    let any_port = |spec: &mut NetworkPolicySpec| spec.ingress.iter_mut().flatten().for_each(|rule| rule.ports = None);
    let mistakes = [
        ("no default deny beside the HSMs", installed.without("default-deny", HSM_NAMESPACE)?),
        ("no default deny beside the gateway", installed.without("default-deny", GATEWAY_NAMESPACE)?),
        ("no security group", installed.without("cloudhsm-cluster-", HSM_NAMESPACE)?),
        ("a typo in a namespaceSelector", installed.with("cloudhsm-cluster-", selector_typo)?),
        ("a selector with one label more", installed.with("keystore-gateway-to-hsms", one_label_more)?),
        ("every port of the HSMs", installed.with("cloudhsm-cluster-", any_port)?),
    ];
    for (mistake, matrix) in mistakes {
        assert_ne!(matrix, required(), "{mistake} was not noticed");
    }
    Ok(())
}
