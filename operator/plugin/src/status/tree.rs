//! From objects to one tree: cluster, its HSMs, the stores on it, their keys, their aliases. Pure.
//!
//! Nothing is left out: what refers to something that is not there stands at the top of its namespace.

use std::collections::{BTreeMap, BTreeSet};

use kube::{Resource, ResourceExt};
use operator_api::cloud_hsm_cluster::{Hsm, HsmState};
use operator_api::{CloudHsmCluster, CustomKeyStore, KmsAlias, KmsKey};
use serde::Serialize;

use super::facts::{complaints, is_as_wanted, rests, unobserved};

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub(super) clusters: Vec<CloudHsmCluster>,
    pub(super) stores: Vec<CustomKeyStore>,
    pub(super) keys: Vec<KmsKey>,
    pub(super) aliases: Vec<KmsAlias>,
}

/// One line of the tree and what hangs on it. Also the form of `-o json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    /// AWS's word for the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
    /// AWS `ConnectionErrorCode` of a FAILED store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_code: Option<&'static str>,
    /// Cluster id, HSM id, store id, key id or alias name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) availability_zone: Option<String>,
    /// It is not as its owner wants it, or not yet.
    pub(super) wrong: bool,
    /// What is wrong and what to do next; on a line that is not wrong, what is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) messages: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) children: Vec<Node>,
}

/// Whether no line is wrong.
pub(super) fn is_well(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| !node.wrong && is_well(&node.children))
}

/// The trees of all namespaces, in order of namespace and name.
pub(super) fn tree(objects: &Objects) -> Vec<Node> {
    let index = Index::of(objects);
    let mut top: Vec<_> = objects.clusters.iter().map(|cluster| of_cluster(cluster, &index)).collect();
    let stores = homeless(&index.stores, &objects.clusters).into_iter().map(|store| of_store(store, &index));
    let keys = homeless(&index.keys, &objects.stores).into_iter().map(|key| of_key(key, None, &index));
    let aliases = homeless(&index.aliases, &objects.keys).into_iter().map(of_alias);
    top.extend(stores.chain(keys).chain(aliases));
    top.sort_by(|a, b| (&a.namespace, a.kind, &a.name).cmp(&(&b.namespace, b.kind, &b.name)));
    top
}

/// Namespace and name.
type Place = (String, String);
/// Objects by what they refer to.
type Under<'a, K> = BTreeMap<Place, Vec<&'a K>>;

struct Index<'a> {
    stores: Under<'a, CustomKeyStore>,
    keys: Under<'a, KmsKey>,
    aliases: Under<'a, KmsAlias>,
}

impl<'a> Index<'a> {
    fn of(objects: &'a Objects) -> Self {
        let store = |key: &KmsKey| key.spec.custom_key_store_ref.as_ref().map(|it| it.name.clone()).unwrap_or_default();
        Self {
            stores: under(&objects.stores, |store| store.spec.cloud_hsm_cluster_ref.name.clone()),
            keys: under(&objects.keys, store),
            aliases: under(&objects.aliases, |alias| alias.spec.target_key_ref.name.clone()),
        }
    }
}

fn under<K: Resource>(objects: &[K], parent: impl Fn(&K) -> String) -> Under<'_, K> {
    let mut groups = Under::new();
    for object in objects {
        groups.entry((object.namespace().unwrap_or_default(), parent(object))).or_default().push(object);
    }
    groups.values_mut().for_each(|group| group.sort_by_key(|object| object.name_any()));
    groups
}

fn on<'i, 'a, K>(groups: &'i Under<'a, K>, parent: &impl Resource) -> &'i [&'a K] {
    let place = (parent.namespace().unwrap_or_default(), parent.name_any());
    groups.get(&place).map_or(&[], Vec::as_slice)
}

/// Objects that refer to nothing that is there.
fn homeless<'a, K>(groups: &Under<'a, K>, parents: &[impl Resource]) -> Vec<&'a K> {
    let present: BTreeSet<Place> =
        parents.iter().map(|parent| (parent.namespace().unwrap_or_default(), parent.name_any())).collect();
    groups.iter().filter(|(place, _)| !present.contains(*place)).flat_map(|(_, group)| group.clone()).collect()
}

fn of_cluster(cluster: &CloudHsmCluster, index: &Index<'_>) -> Node {
    let status = cluster.status.clone().unwrap_or_default();
    let mut messages = complaints(&status.conditions);
    messages.extend(unobserved(cluster, status.observed_generation));
    let hsms = status.hsms.iter().map(|hsm| of_hsm(cluster, hsm));
    Node {
        state: status.state.map(operator_api::cloud_hsm_cluster::ClusterState::as_str),
        id: cluster.spec.cluster_id.clone(),
        wrong: !messages.is_empty(),
        messages,
        children: hsms.chain(on(&index.stores, cluster).iter().map(|store| of_store(store, index))).collect(),
        ..node("CloudHsmCluster", cluster)
    }
}

fn of_hsm(cluster: &CloudHsmCluster, hsm: &Hsm) -> Node {
    Node {
        kind: "Hsm",
        name: hsm.pod_name.clone(),
        namespace: cluster.namespace().unwrap_or_default(),
        state: Some(hsm.state.as_str()),
        id: Some(hsm.hsm_id.clone()),
        availability_zone: Some(hsm.availability_zone.clone()),
        wrong: hsm.state != HsmState::Active,
        messages: hsm.state_message.clone().into_iter().collect(),
        ..Node::default()
    }
}

fn of_store(store: &CustomKeyStore, index: &Index<'_>) -> Node {
    let status = store.status.clone().unwrap_or_default();
    let unseen = unobserved(store, status.observed_generation);
    let mut messages = complaints(&status.conditions);
    let accepted = !status.conditions.iter().any(|it| it.type_ == "Accepted" && it.status == "False");
    let wrong = unseen.is_some() || !(messages.is_empty() || rests(store) && accepted);
    messages.extend(unseen);
    Node {
        state: status.connection_state.map(operator_api::ConnectionState::as_str),
        error_code: status.connection_error_code.map(operator_api::ConnectionErrorCode::as_str),
        id: store.spec.custom_key_store_id.clone(),
        wrong,
        messages,
        children: on(&index.keys, store).iter().map(|key| of_key(key, Some(store), index)).collect(),
        ..node("CustomKeyStore", store)
    }
}

fn of_key(key: &KmsKey, store: Option<&CustomKeyStore>, index: &Index<'_>) -> Node {
    let status = key.status.clone().unwrap_or_default();
    let unseen = unobserved(key, status.observed_generation);
    let wrong = unseen.is_some() || !is_as_wanted(key, store);
    Node {
        state: status.key_state.map(operator_api::kms_key::KeyState::as_str),
        id: key.spec.key_id.clone(),
        wrong,
        messages: complaints(&status.conditions).into_iter().chain(unseen).collect(),
        children: on(&index.aliases, key).iter().copied().map(of_alias).collect(),
        ..node("KmsKey", key)
    }
}

fn of_alias(alias: &KmsAlias) -> Node {
    let status = alias.status.clone().unwrap_or_default();
    let mut messages = complaints(&status.conditions);
    messages.extend(unobserved(alias, status.observed_generation));
    let id = Some(alias.spec.alias_name.clone());
    Node { id, wrong: !messages.is_empty(), messages, ..node("KmsAlias", alias) }
}

fn node(kind: &'static str, object: &impl Resource) -> Node {
    let namespace = object.namespace().unwrap_or_default();
    Node { kind, namespace, name: object.name_any(), ..Node::default() }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
