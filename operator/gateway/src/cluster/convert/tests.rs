//! Objects as a user or controller writes them, and what the index then knows.

use operator_api::reason::ID_IN_USE;
use serde_json::{Value, json};

use super::*;

const ID: &str = "1234abcd-12ab-44cd-96ef-1234567890ab";
const ARN: &str = "arn:aws:kms:local-1:111122223333:key/1234abcd-12ab-44cd-96ef-1234567890ab";

fn object<T: serde::de::DeserializeOwned>(kind: &str, spec: Value, status: Value) -> T {
    let mut object = json!({
        "apiVersion": "keystores.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "quickstart", "namespace": "team-a", "uid": "u-1", "resourceVersion": "7"},
    });
    object["spec"] = spec;
    object["status"] = status;
    serde_json::from_value(object).unwrap()
}

fn key_of(mut spec: Value, status: Value) -> KeyEntry {
    spec["customKeyStoreRef"] = json!({"name": "payments"});
    key(&object("KmsKey", spec, status))
}

#[test]
fn a_key_is_published_only_with_an_id_an_arn_and_a_state() {
    let complete = json!({"keyState": "Enabled", "arn": ARN, "customKeyStoreId": "cks-1"});
    assert!(key_of(json!({"keyId": ID}), complete.clone()).published.is_some());
    let lacking = [
        (json!({}), complete.clone()),
        (json!({"keyId": ID}), json!({"arn": ARN})),
        (json!({"keyId": ID}), json!({"keyState": "Enabled"})),
        (json!({"keyId": "not-an-id"}), complete),
        (json!({"keyId": ID}), Value::Null),
    ];
    for (spec, status) in lacking {
        assert!(key_of(spec.clone(), status.clone()).published.is_none(), "{spec} {status}");
    }
}

#[test]
fn an_owners_disable_counts_at_once_and_nothing_else_is_overruled() {
    let hold = json!({"keyId": ID, "hold": {"requestedBy": "x", "requestedAt": "2026-11-22T12:00:00Z"}});
    let table = [
        (json!({"keyId": ID}), "Enabled", KeyState::Enabled),
        (json!({"keyId": ID, "enabled": true}), "Disabled", KeyState::Disabled),
        (json!({"keyId": ID, "enabled": false}), "Enabled", KeyState::Disabled),
        (hold.clone(), "Enabled", KeyState::Disabled),
        (hold.clone(), "PendingDeletion", KeyState::PendingDeletion),
        (hold, "Unavailable", KeyState::Unavailable),
    ];
    for (spec, state, expected) in table {
        let entry = key_of(spec, json!({"keyState": state, "arn": ARN}));
        assert_eq!(entry.published.unwrap().state, expected);
    }
}

#[test]
fn material_counts_as_ordered_from_the_intent_on() {
    assert!(!key_of(json!({}), Value::Null).ordered);
    assert!(key_of(json!({"keyId": ID, "materialIntent": {"uid": "u-1", "opId": "o"}}), Value::Null).ordered);
    assert!(key_of(json!({"keyId": ID}), Value::Null).ordered, "an adopted key");
}

#[test]
fn only_an_accepted_false_is_a_rejection() {
    let condition = |status: &str| {
        json!({"conditions": [{"type": "Accepted", "status": status, "reason": "R", "message": "m",
                               "lastTransitionTime": "2026-11-22T12:00:00Z"}]})
    };
    assert_eq!(
        key_of(json!({}), condition("False")).rejection,
        Some(Rejection { reason: "R".into(), message: "m".into() })
    );
    assert_eq!(key_of(json!({}), condition("True")).rejection, None);
    assert_eq!(key_of(json!({}), condition("Unknown")).rejection, None);
}

#[test]
fn an_alias_counts_when_the_controllers_have_accepted_it() {
    let spec = json!({"aliasName": "alias/a", "targetKeyRef": {"name": "quickstart"}});
    let status = |status: &str| {
        json!({"conditions": [{"type": "Accepted", "status": status, "reason": "R", "message": "",
                               "lastTransitionTime": "2026-11-22T12:00:00Z"}]})
    };
    assert!(alias(&object("KmsAlias", spec.clone(), status("True"))).is_some());
    assert!(alias(&object("KmsAlias", spec.clone(), status("False"))).is_none());
    assert!(alias(&object("KmsAlias", spec, Value::Null)).is_none());
}

/// What the controllers record of a store when they accept it.
fn accepted() -> Value {
    json!({"cloudHsmClusterId": "cluster-abcdefghijkabcde", "trustAnchorCertificate": "PEM"})
}

/// D2, INV-39.
#[test]
fn a_store_counts_when_the_controllers_have_accepted_it_under_its_id() {
    let spec = json!({"cloudHsmClusterRef": {"name": "c"}, "customKeyStoreId": "cks-1234567890abcdef0"});
    let refused = |reason: &str| {
        let mut status = accepted();
        status["conditions"] = json!([{"type": "Accepted", "status": "False", "reason": reason, "message": "m",
                                       "lastTransitionTime": "2026-11-22T12:00:00Z"}]);
        status
    };
    let known = |status: Value| store(&object("CustomKeyStore", spec.clone(), status)).is_some();
    assert!(known(accepted()));
    assert!(known(refused("CustomKeyStoreNameInUseException")), "a rename that is refused takes no store away");
    assert!(!known(refused(ID_IN_USE)), "a copy that came with the status of its original");
    assert!(!known(Value::Null), "a copied manifest: its id is another store's");
    for lacking in ["cloudHsmClusterId", "trustAnchorCertificate"] {
        let mut status = accepted();
        status.as_object_mut().unwrap().remove(lacking);
        assert!(!known(status), "without {lacking}");
    }
    assert!(store(&object("CustomKeyStore", json!({"cloudHsmClusterRef": {"name": "c"}}), accepted())).is_none());
}

/// D2: of two stores of one id the older has it, so a status that was copied along must not make a copy as old as its original.
#[test]
fn a_store_is_as_old_as_the_api_server_says_whatever_its_status_says() {
    let spec = json!({"cloudHsmClusterRef": {"name": "c"}, "customKeyStoreId": "cks-1234567890abcdef0"});
    let mut status = accepted();
    status["creationDate"] = json!("2020-01-01T00:00:00Z");
    let made: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let mut copy: CustomKeyStore = object("CustomKeyStore", spec, status);
    copy.metadata.creation_timestamp = Some(Time(made));
    assert_eq!(store(&copy).unwrap().creation_date, Some(made));
}

#[test]
fn a_store_wants_a_connection_unless_a_hold_or_the_manifest_says_otherwise() {
    let hold = json!({"requestedBy": "x", "requestedAt": "2026-11-22T12:00:00Z"});
    let table = [
        (json!({"connection": "CONNECTED"}), true),
        (json!({"connection": "DISCONNECTED"}), false),
        (json!({}), false),
        (json!({"connection": "CONNECTED", "hold": hold}), false),
    ];
    for (extra, wants) in table {
        let mut spec = json!({"cloudHsmClusterRef": {"name": "c"}, "customKeyStoreId": "cks-1234567890abcdef0"});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let entry = store(&object("CustomKeyStore", spec, accepted())).unwrap();
        assert_eq!((entry.wants_connection, entry.state), (wants, ConnectionState::Disconnected), "{extra}");
        assert_eq!(entry.friendly_name, "quickstart");
    }
}

#[test]
fn zones_count_by_their_active_hsms() {
    let hsm = |id: &str, zone: &str, state: &str| json!({"hsmId": id, "availabilityZone": zone, "podName": "p", "state": state, "identityFingerprint": "0".repeat(64)});
    let status = json!({"state": "ACTIVE", "hsms": [
        hsm("hsm-a", "a", "ACTIVE"), hsm("hsm-b", "a", "ACTIVE"), hsm("hsm-c", "b", "DEGRADED"), hsm("hsm-d", "c", "vacant")]});
    let entry = cluster(&object("CloudHsmCluster", json!({}), status));
    assert_eq!((entry.active, entry.active_zones.into_iter().collect::<Vec<_>>()), (true, vec!["a".to_owned()]));
}
