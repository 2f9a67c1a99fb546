//! The same signature twice (T-06, reliability §4.8): once for each change, as often as one likes for a read.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::bench::*;
use crate::control::ControlError;
use crate::{WholeRequest, Wiped};

mod copies;

fn copy(request: &WholeRequest) -> WholeRequest {
    let WholeRequest { parts, body, peer, received_at } = request;
    WholeRequest { parts: parts.clone(), body: Wiped::from(body.to_vec()), peer: *peer, received_at: *received_at }
}

fn signed(client: &Client, operation: &str, body: &Value) -> WholeRequest {
    signed_at(client, Timestamp::now(), operation, body)
}

fn signed_at(client: &Client, at: Timestamp, operation: &str, body: &Value) -> WholeRequest {
    let target = format!("TrentService.{operation}");
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
    client.signed_at(at, "kms", &headers, body.to_string().as_bytes())
}

fn create_key() -> Value {
    json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": STORE_A})
}

/// A bench whose controller publishes each key at once.
fn bench() -> Bench {
    let bench = Bench::new();
    *bench.kube.controller.lock().unwrap() = Some(Box::new(|index, namespace, entry| {
        let published = key("key-new", ACCOUNT_A, uuid::Uuid::new_v4(), STORE_A);
        index.put_key(namespace, crate::index::KeyEntry { name: entry.name, uid: entry.uid, ..published });
    }));
    bench
}

#[tokio::test]
async fn a_change_is_made_once_for_each_signature() {
    let store = json!({"CustomKeyStoreId": STORE_A});
    for (operation, body) in [("CreateKey", &create_key()), ("DisconnectCustomKeyStore", &store)] {
        let bench = bench();
        let request = signed(&bench.a, operation, body);
        assert_eq!(bench.a.send(copy(&request)).await.status, 200, "{operation}");
        let written = bench.kube.written();
        assert!(!written.is_empty(), "{operation}");
        for later in [0, 1, 60, 290] {
            let mut replay = copy(&request);
            replay.received_at += SignedDuration::from_secs(later);
            assert_eq!(bench.a.send(replay).await.error(), "ThrottlingException", "{operation} after {later} s");
        }
        let mut late = copy(&request);
        late.received_at += SignedDuration::from_secs(302);
        assert_eq!(bench.a.send(late).await.error(), "InvalidSignatureException", "{operation}");
        assert_eq!(bench.kube.written(), written, "{operation}");
        assert_eq!(bench.a.send(signed(&bench.a, operation, body)).await.status, 200, "{operation} signed anew");
    }
}

#[tokio::test]
async fn a_connect_that_is_replayed_after_a_disconnect_does_not_connect_again() {
    let bench = bench();
    let store = json!({"CustomKeyStoreId": STORE_A});
    bench.set_store(|store| store.state = operator_api::ConnectionState::Disconnected);
    let connect = signed(&bench.a, "ConnectCustomKeyStore", &store);
    assert_eq!(bench.a.send(copy(&connect)).await.status, 200);
    assert_eq!(bench.kube.written().len(), 1);
    assert_eq!(bench.a.send(connect).await.error(), "ThrottlingException");
    assert_eq!(bench.kube.written().len(), 1);
}

#[tokio::test]
async fn reads_and_cryptography_may_be_repeated() {
    let bench = Bench::new();
    for (operation, body) in [
        ("ListKeys", json!({})),
        ("DescribeKey", json!({"KeyId": "alias/quickstart"})),
        ("Encrypt", json!({"KeyId": "alias/quickstart", "Plaintext": "aGk="})),
        ("GenerateRandom", json!({"NumberOfBytes": 16, "CustomKeyStoreId": STORE_A})),
    ] {
        let request = signed(&bench.a, operation, &body);
        for _ in 0..3 {
            assert_eq!(bench.a.send(copy(&request)).await.status, 200, "{operation}");
        }
    }
}

#[tokio::test]
async fn a_change_that_was_signed_before_the_process_began_is_to_be_signed_again() {
    let bench = bench();
    let now = Timestamp::now();
    for (operation, body, expected) in [("CreateKey", create_key(), 400), ("ListKeys", json!({}), 200)] {
        let mut early = signed_at(&bench.a, now - SignedDuration::from_secs(60), operation, &body);
        early.received_at = now;
        let answer = bench.a.send(early).await;
        assert_eq!(answer.status, expected, "{operation}");
        assert_eq!(answer.json()["__type"] == "ThrottlingException", expected == 400);
    }
    assert!(bench.kube.written().is_empty());
    assert_eq!(bench.a.send(signed(&bench.a, "CreateKey", &create_key())).await.status, 200, "signed again");
}

/// Two replicas that know nothing of each other order the same object, which the API server makes once.
#[tokio::test]
async fn a_replay_at_another_replica_orders_the_same_object_and_gets_no_second_key() {
    // All of them before the signature: a replica that began later would not know whether it was used (T-06).
    let (one, two, third) = (bench(), bench(), bench());
    let request = signed(&one.a, "CreateKey", &create_key());
    assert_eq!(one.a.send(copy(&request)).await.status, 200);
    *two.kube.failure.lock().unwrap() = Some(ControlError::Exists);
    assert_eq!(two.a.send(copy(&request)).await.error(), "ThrottlingException");
    *two.kube.failure.lock().unwrap() = None;
    assert_eq!(third.a.send(request).await.status, 200);
    let names = [&one, &third].map(|replica| replica.kube.orders.lock().unwrap()[0].name.clone());
    assert_eq!(names[0], names[1]);
    let another = signed(&one.a, "CreateKey", &create_key());
    one.a.send(another).await;
    assert_ne!(one.kube.orders.lock().unwrap()[1].name, names[0]);
}

#[tokio::test]
async fn another_tenant_cannot_use_up_what_is_remembered_for_us() {
    let bench = bench();
    let request = signed(&bench.a, "CreateKey", &create_key());
    let refused = signed(&bench.b, "CreateKey", &json!({}));
    for _ in 0..3 {
        bench.b.send(copy(&refused)).await;
    }
    assert_eq!(bench.a.send(request).await.status, 200);
}
