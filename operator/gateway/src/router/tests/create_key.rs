//! CreateKey: what it asks for, what it answers, and that a failure leaves nothing behind (KEY-30).

use std::time::Duration;

use operator_api::ConnectionState;
use serde_json::{Value, json};
use uuid::Uuid;

use super::bench::*;
use crate::control::ControlError;
use crate::index::{Index, KeyEntry, Rejection};

const NEW: Uuid = Uuid::from_u128(0x5555_abcd_12ab_44cd_96ef_1234_5678_90ab);

fn wanted() -> Value {
    json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": STORE_A, "Description": "for invoices",
           "Tags": [{"TagKey": "team", "TagValue": "a"}]})
}

fn control(bench: &Bench, controller: impl Fn(&Index, &str, KeyEntry) + Send + Sync + 'static) {
    *bench.kube.controller.lock().unwrap() = Some(Box::new(controller));
}

#[tokio::test]
async fn the_answer_is_the_published_key_and_the_record_names_its_handle() {
    let bench = Bench::new();
    control(&bench, |index, namespace, entry| {
        index.put_key(namespace, KeyEntry { uid: entry.uid, ..key("key-new", ACCOUNT_A, NEW, STORE_A) });
    });
    let answer = bench.a.call("CreateKey", &wanted()).await;
    let metadata = answer.json()["KeyMetadata"].clone();
    assert_eq!(answer.status, 200, "{metadata}");
    let expected = [
        ("KeyId", json!(NEW)),
        ("Arn", json!(arn(ACCOUNT_A, NEW))),
        ("AWSAccountId", json!(ACCOUNT_A)),
        ("KeyState", json!("Enabled")),
        ("Enabled", json!(true)),
        ("Origin", json!("AWS_CLOUDHSM")),
        ("KeyManager", json!("CUSTOMER")),
        ("KeySpec", json!("SYMMETRIC_DEFAULT")),
        ("KeyUsage", json!("ENCRYPT_DECRYPT")),
        ("EncryptionAlgorithms", json!(["SYMMETRIC_DEFAULT"])),
        ("CustomKeyStoreId", json!(STORE_A)),
        ("CloudHsmClusterId", json!("cluster-abcdefghijk")),
        ("MultiRegion", json!(false)),
        ("CreationDate", json!(1_795_341_600.5)),
    ];
    for (member, value) in expected {
        assert_eq!(metadata[member], value, "{member}");
    }
    assert!(!answer.json().to_string().contains("262162"), "CKS-99: no handle in a response");
    let order = bench.kube.orders.lock().unwrap().remove(0);
    assert_eq!(
        (order.store_name.as_str(), order.description.as_deref(), order.tags["team"].as_str()),
        ("payments-store", Some("for invoices"), "a")
    );

    let record = bench.records().remove(0);
    assert_eq!(record["requestParameters"]["origin"], "AWS_CLOUDHSM");
    assert_eq!(record["responseElements"]["keyMetadata"]["keyId"], json!(NEW));
    assert_eq!(record["responseElements"]["keyMetadata"]["creationDate"], "Nov 22, 2026, 10:00:00 AM");
    let backing: Value = serde_json::from_str(record["additionalEventData"]["backingKey"].as_str().unwrap()).unwrap();
    assert_eq!(backing["keyHandle"], "262162");
    assert_eq!(record["resources"][0]["ARN"], arn(ACCOUNT_A, NEW));
}

#[tokio::test]
async fn preconditions_refuse_before_anything_is_written() {
    let table: [(ConnectionState, &[&str], &str); 4] = [
        (ConnectionState::Disconnected, &["a", "b"], "CustomKeyStoreInvalidStateException"),
        (ConnectionState::Failed, &["a", "b"], "CustomKeyStoreInvalidStateException"),
        (ConnectionState::Connected, &["a"], "CloudHsmClusterInvalidConfigurationException"),
        (ConnectionState::Connected, &[], "CloudHsmClusterInvalidConfigurationException"),
    ];
    for (state, zones, expected) in table {
        let bench = Bench::new();
        bench.set_store(|store| store.state = state);
        bench.set_cluster(true, zones);
        assert_eq!(bench.a.call("CreateKey", &wanted()).await.error(), expected, "{state:?} {zones:?}");
        assert_eq!(bench.kube.written(), [""; 0]);
    }
}

#[tokio::test]
async fn what_a_store_cannot_hold_is_refused() {
    let bench = Bench::new();
    let with = |member: &str, value: Value| {
        let mut body = wanted();
        body[member] = value;
        body
    };
    let table = [
        (json!({}), "UnsupportedOperationException"),
        (json!({"Origin": "AWS_CLOUDHSM"}), "ValidationException"),
        (json!({"CustomKeyStoreId": STORE_A}), "UnsupportedOperationException"),
        (with("Origin", json!("EXTERNAL")), "UnsupportedOperationException"),
        (with("Origin", json!("MOON")), "ValidationException"),
        (with("CustomKeyStoreId", json!("cks-0")), "CustomKeyStoreNotFoundException"),
        (with("CustomKeyStoreId", json!(STORE_B)), "CustomKeyStoreNotFoundException"),
        (with("KeySpec", json!("RSA_2048")), "UnsupportedOperationException"),
        (with("KeySpec", json!("DES")), "ValidationException"),
        (with("KeyUsage", json!("SIGN_VERIFY")), "UnsupportedOperationException"),
        (with("MultiRegion", json!(true)), "UnsupportedOperationException"),
        (with("XksKeyId", json!("k")), "UnsupportedOperationException"),
        (with("Policy", json!("{}")), "UnsupportedOperationException"),
        (with("Description", json!("x".repeat(8_193))), "ValidationException"),
        (with("Tags", json!([{"TagKey": "aws:x", "TagValue": ""}])), "TagException"),
        (with("Tags", json!([{"TagKey": "x", "TagValue": "1"}, {"TagKey": "x", "TagValue": "2"}])), "TagException"),
        (
            json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": STORE_A, "KeySpec": "SYMMETRIC_DEFAULT",
                "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}),
            "ValidationException",
        ),
    ];
    for (body, expected) in table {
        assert_eq!(bench.a.call("CreateKey", &body).await.error(), expected, "{body:.200}");
    }
    assert_eq!(bench.kube.written(), [""; 0]);
}

#[tokio::test]
async fn a_rejected_key_is_taken_away_by_uid_and_version_and_the_reason_is_the_answer() {
    let bench = Bench::new();
    control(&bench, |index, namespace, entry| {
        let rejection = Rejection {
            reason: "CloudHsmClusterInvalidConfigurationException".to_owned(),
            message: "only one zone has an active HSM".to_owned(),
        };
        index.put_key(namespace, KeyEntry { rejection: Some(rejection), resource_version: "9".to_owned(), ..entry });
    });
    let answer = bench.a.call("CreateKey", &wanted()).await;
    assert_eq!(answer.error(), "CloudHsmClusterInvalidConfigurationException");
    assert_eq!(answer.message(), "only one zone has an active HSM");
    assert_eq!(bench.kube.written(), ["create team-a", "delete team-a/key-new uid-new@9"]);
}

#[tokio::test]
async fn a_key_that_nobody_works_on_is_taken_away_when_patience_ends() {
    let bench = Bench::with_key_patience(Duration::from_millis(50));
    let answer = bench.a.call("CreateKey", &wanted()).await;
    assert_eq!((answer.error().as_str(), answer.status.as_u16()), ("DependencyTimeoutException", 500));
    assert_eq!(bench.kube.written(), ["create team-a", "delete team-a/key-new uid-new@5"]);
}

#[tokio::test]
async fn a_key_whose_material_was_ordered_is_never_taken_away() {
    let bench = Bench::with_key_patience(Duration::from_millis(50));
    control(&bench, |index, namespace, entry| index.put_key(namespace, KeyEntry { ordered: true, ..entry }));
    let answer = bench.a.call("CreateKey", &wanted()).await;
    assert_eq!((answer.error().as_str(), answer.status.as_u16()), ("KMSInternalException", 500));
    assert_eq!(bench.kube.written(), ["create team-a"], "the key may appear later");
}

#[tokio::test]
async fn a_key_that_cannot_be_written_is_no_success() {
    let bench = Bench::new();
    for (failure, expected) in
        [(ControlError::Unreachable, "DependencyTimeoutException"), (ControlError::Refused, "KMSInternalException")]
    {
        *bench.kube.failure.lock().unwrap() = Some(failure);
        assert_eq!(bench.a.call("CreateKey", &wanted()).await.error(), expected);
    }
}
