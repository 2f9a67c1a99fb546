//! The tree of a healthy installation, and of broken ones.

use super::*;
use operator_api::{
    CloudHsmClusterSpec, CustomKeyStoreSpec, KmsAliasSpec, KmsKeySpec, custom_key_store::WantedConnection,
    reference::LocalReference,
};
use serde_json::json;

fn placed<K: Resource>(mut object: K, name: &str) -> K {
    let meta = object.meta_mut();
    (meta.namespace, meta.name, meta.generation) = (Some("team-a".into()), Some(name.into()), Some(1));
    object
}

fn hsm(zone: &str, state: &str) -> serde_json::Value {
    json!({ "hsmId": format!("hsm-{zone}"), "availabilityZone": zone, "podName": format!("pod-{zone}"), "state": state,
        "identityFingerprint": "ab" })
}

fn healthy() -> Objects {
    let good = json!([{ "type": "Ready", "status": "True", "reason": "Active", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
    let status = |more: serde_json::Value| {
        let mut status = json!({ "observedGeneration": 1, "conditions": good });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        status
    };
    let parse = "a status of the test";
    let mut cluster = placed(CloudHsmCluster::new("", CloudHsmClusterSpec::default()), "c");
    let hsms = json!({ "state": "ACTIVE", "hsms": [hsm("1a", "ACTIVE"), hsm("1b", "ACTIVE")] });
    cluster.status = serde_json::from_value(status(hsms)).expect(parse);
    let spec = CustomKeyStoreSpec {
        cloud_hsm_cluster_ref: LocalReference::to("c"),
        connection: Some(WantedConnection::Connected),
        ..CustomKeyStoreSpec::default()
    };
    let mut store = placed(CustomKeyStore::new("", spec), "s");
    store.status = serde_json::from_value(status(json!({ "connectionState": "CONNECTED" }))).expect(parse);
    let spec = KmsKeySpec { custom_key_store_ref: Some(LocalReference::to("s")), ..KmsKeySpec::default() };
    let mut key = placed(KmsKey::new("", spec), "k");
    key.status = serde_json::from_value(status(json!({ "keyState": "Enabled" }))).expect(parse);
    let spec = KmsAliasSpec { alias_name: "alias/x".into(), target_key_ref: LocalReference::to("k") };
    let mut alias = placed(KmsAlias::new("", spec), "x");
    alias.status = serde_json::from_value(status(json!({}))).expect(parse);
    Objects { clusters: vec![cluster], stores: vec![store], keys: vec![key], aliases: vec![alias] }
}

fn say(
    conditions: &mut Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    kind: &str,
    status: &str,
    message: &str,
) {
    conditions.retain(|condition| condition.type_ != kind);
    let condition = json!({ "type": kind, "status": status, "reason": "R", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z" });
    conditions.push(serde_json::from_value(condition).expect("a condition"));
}

fn kinds(nodes: &[Node]) -> Vec<&'static str> {
    nodes.iter().flat_map(|node| [vec![node.kind], kinds(&node.children)].concat()).collect()
}

/// The line of a kind.
fn line<'a>(nodes: &'a [Node], kind: &str) -> &'a Node {
    fn find<'a>(nodes: &'a [Node], kind: &str) -> Option<&'a Node> {
        nodes.iter().find_map(|node| if node.kind == kind { Some(node) } else { find(&node.children, kind) })
    }
    find(nodes, kind).expect("a line of this kind")
}

#[test]
fn a_healthy_installation_is_one_tree_with_nothing_wrong() {
    let nodes = tree(&healthy());
    assert_eq!(kinds(&nodes), ["CloudHsmCluster", "Hsm", "Hsm", "CustomKeyStore", "KmsKey", "KmsAlias"]);
    assert!(is_well(&nodes), "{nodes:?}");
}

#[test]
fn nothing_is_left_out_when_what_it_refers_to_is_gone() {
    let mut objects = healthy();
    objects.clusters.clear();
    assert_eq!(kinds(&tree(&objects)), ["CustomKeyStore", "KmsKey", "KmsAlias"]);
    objects.stores.clear();
    assert_eq!(kinds(&tree(&objects)), ["KmsKey", "KmsAlias"]);
    objects.keys.clear();
    assert_eq!(kinds(&tree(&objects)), ["KmsAlias"]);
}

/// Every way to be broken, by table: what is changed, which line is wrong, what it says.
#[test]
fn each_breakage_shows_on_its_own_line_with_the_controllers_words() {
    type Breakage = fn(&mut Objects);
    let cases: [(&str, Breakage, &str); 6] = [
        (
            "CustomKeyStore",
            |objects| {
                let status = objects.stores[0].status.as_mut().expect("a status");
                status.connection_state = Some(operator_api::ConnectionState::Failed);
                status.connection_error_code = Some(operator_api::ConnectionErrorCode::UserLockedOut);
                say(&mut status.conditions, "Stalled", "True", "locked. Cure: have a CO set a new password");
            },
            "Cure: have a CO",
        ),
        (
            "Hsm",
            |objects| {
                let hsm = &mut objects.clusters[0].status.as_mut().expect("a status").hsms[0];
                (hsm.state, hsm.state_message) = (HsmState::Degraded, Some("the pod is not running".into()));
            },
            "the pod is not running",
        ),
        (
            "KmsKey",
            |objects| {
                let status = objects.keys[0].status.as_mut().expect("a status");
                status.key_state = Some(operator_api::kms_key::KeyState::Unavailable);
                say(&mut status.conditions, "Ready", "False", "connect it");
            },
            "connect it",
        ),
        ("KmsKey", |objects| objects.keys[0].status = None, "have not looked at it yet"),
        ("KmsKey", |objects| objects.keys[0].metadata.generation = Some(2), "have not acted on its last change"),
        (
            "KmsAlias",
            |objects| {
                let status = objects.aliases[0].status.as_mut().expect("a status");
                say(&mut status.conditions, "Ready", "False", "the target KmsKey does not exist");
            },
            "does not exist",
        ),
    ];
    for (kind, breakage, message) in cases {
        let mut objects = healthy();
        breakage(&mut objects);
        let nodes = tree(&objects);
        let line = line(&nodes, kind);
        assert!(!is_well(&nodes) && line.wrong, "{kind} {message}");
        assert!(line.messages.iter().any(|said| said.contains(message)), "{kind}: {:?}", line.messages);
    }
}

/// D17: an order of the owner is not a fault.
#[test]
fn a_store_disconnected_by_order_and_a_disabled_key_are_not_wrong() {
    let mut objects = healthy();
    objects.stores[0].spec.connection = Some(WantedConnection::Disconnected);
    let status = objects.stores[0].status.as_mut().expect("a status");
    status.connection_state = Some(operator_api::ConnectionState::Disconnected);
    say(&mut status.conditions, "Ready", "False", "connect it");
    let status = objects.keys[0].status.as_mut().expect("a status");
    status.key_state = Some(operator_api::kms_key::KeyState::Unavailable);
    say(&mut status.conditions, "Ready", "False", "the custom key store is not CONNECTED");
    assert!(is_well(&tree(&objects)));
    say(&mut objects.keys[0].status.as_mut().expect("a status").conditions, "Stalled", "True", "lost");
    assert!(!is_well(&tree(&objects)), "lost material is wrong whatever the store does");
}

#[test]
fn json_has_the_same_tree_in_aws_words() {
    let value = serde_json::to_value(tree(&healthy())).expect("a tree is plain data");
    assert_eq!(value[0]["children"][2]["children"][0]["state"], "Enabled");
    assert_eq!(value[0]["children"][0]["availabilityZone"], "1a");
    assert_eq!(value[0]["wrong"], false);
}
