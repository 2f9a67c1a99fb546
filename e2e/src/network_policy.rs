//! Which flows a set of NetworkPolicies allows, worked out as Kubernetes defines it: no enforcer is needed, so every machine can check it.
//!
//! A flow is allowed when the sender's side and the receiver's side both allow it; a side without a policy for the direction allows
//! everything. What this does not understand (a port by name, an unknown operator) is an error, never a pass.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

/// Somebody who may send or receive.
#[derive(Clone, Debug)]
pub struct Peer {
    /// For people.
    pub name: &'static str,
    /// The pod's namespace; `None` for an address outside of the cluster.
    pub namespace: Option<&'static str>,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
}

/// From, to, protocol, port.
pub type Flow = (&'static str, &'static str, &'static str, i32);

type Labels = BTreeMap<String, String>;

/// Every flow between `peers` on `ports` that the policies allow, sorted; pairs that `relevant` leaves out are not looked at.
///
/// # Errors
/// When a policy uses what this does not understand.
pub fn allowed(
    policies: &[NetworkPolicy],
    peers: &[Peer],
    ports: &[(&'static str, i32)],
    relevant: impl Fn(&Peer, &Peer) -> bool,
) -> Result<Vec<Flow>> {
    let mut flows = Vec::new();
    let pairs = peers.iter().flat_map(|from| peers.iter().map(move |to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| relevant(from, to)) {
        for port in ports {
            if one_side(policies, "Egress", from, to, *port)? && one_side(policies, "Ingress", to, from, *port)? {
                flows.push((from.name, to.name, port.0, port.1));
            }
        }
    }
    flows.sort_unstable();
    Ok(flows)
}

fn one_side(policies: &[NetworkPolicy], direction: &str, own: &Peer, other: &Peer, port: (&str, i32)) -> Result<bool> {
    let mut restricted = false;
    for policy in policies.iter().filter(|policy| policy.namespace().as_deref() == own.namespace) {
        let Some(spec) = &policy.spec else { continue };
        let has_direction = spec.policy_types.iter().flatten().any(|kind| kind == direction);
        if own.namespace.is_none() || !has_direction || !selects(spec.pod_selector.as_ref(), &own.labels)? {
            continue;
        }
        restricted = true;
        let ingress = spec.ingress.iter().flatten().map(|rule| (rule.from.as_ref(), rule.ports.as_ref()));
        let egress = spec.egress.iter().flatten().map(|rule| (rule.to.as_ref(), rule.ports.as_ref()));
        let rules: Vec<_> = if direction == "Ingress" { ingress.collect() } else { egress.collect() };
        for (named, ports) in rules {
            if reaches(named, own, other)? && covers(ports, port)? {
                return Ok(true);
            }
        }
    }
    Ok(!restricted)
}

fn reaches(named: Option<&Vec<NetworkPolicyPeer>>, own: &Peer, other: &Peer) -> Result<bool> {
    // No list means everybody; so does an empty one.
    let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok(true) };
    for rule in named {
        if names(rule, own, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names(rule: &NetworkPolicyPeer, own: &Peer, other: &Peer) -> Result<bool> {
    // A block of addresses may hold any pod, and is taken to hold any address.
    if rule.ip_block.is_some() {
        return Ok(true);
    }
    let Some(namespace) = other.namespace else { return Ok(false) };
    let of_namespace = Labels::from([("kubernetes.io/metadata.name".to_owned(), namespace.to_owned())]);
    let namespace_fits = match &rule.namespace_selector {
        Some(selector) => selects(Some(selector), &of_namespace)?,
        None => other.namespace == own.namespace,
    };
    Ok(namespace_fits && selects(rule.pod_selector.as_ref(), &other.labels)?)
}

fn covers(ports: Option<&Vec<NetworkPolicyPort>>, (protocol, port): (&str, i32)) -> Result<bool> {
    let Some(ports) = ports.filter(|ports| !ports.is_empty()) else { return Ok(true) };
    for entry in ports {
        let same_protocol = entry.protocol.as_deref().unwrap_or("TCP") == protocol;
        let in_range = match &entry.port {
            None => true,
            Some(IntOrString::Int(first)) => (*first..=entry.end_port.unwrap_or(*first)).contains(&port),
            Some(IntOrString::String(name)) => bail!("a policy names the port {name}: write its number"),
        };
        if same_protocol && in_range {
            return Ok(true);
        }
    }
    Ok(false)
}

fn selects(selector: Option<&LabelSelector>, labels: &Labels) -> Result<bool> {
    let Some(selector) = selector else { return Ok(true) };
    for requirement in selector.match_expressions.iter().flatten() {
        if !meets(requirement, labels)? {
            return Ok(false);
        }
    }
    Ok(selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value)))
}

fn meets(requirement: &LabelSelectorRequirement, labels: &Labels) -> Result<bool> {
    let value = labels.get(&requirement.key);
    let listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|listed| listed == value));
    Ok(match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        other => bail!("a policy uses the operator {other}"),
    })
}
