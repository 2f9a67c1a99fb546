//! Describe, Connect and Disconnect of custom key stores (spec 2.2, 2.4, 2.6, 2.8, D17).

use operator_api::{ConnectionErrorCode, ConnectionState};
use serde_json::json;

use super::bench::*;
use crate::control::ControlError;

#[tokio::test]
async fn connect_and_disconnect_are_accepted_by_state_as_the_table_of_2_2_says() {
    use ConnectionState::{Connected, Connecting, Disconnected, Disconnecting, Failed};
    let (refused, ok) = ("CustomKeyStoreInvalidStateException", "no error");
    // State, whether the spec wants a connection; answers of Connect and Disconnect; what each writes.
    let table = [
        (Disconnected, false, ok, true, refused, false),
        (Connecting, true, ok, false, ok, true),
        (Connected, true, ok, false, ok, true),
        (Failed, true, refused, false, ok, true),
        (Disconnecting, false, refused, false, refused, false),
        // A disconnect that was asked for and that the controllers have not begun yet.
        (Connected, false, refused, false, refused, false),
        (Failed, false, refused, false, refused, false),
    ];
    for (state, wanted, connect, connect_writes, disconnect, disconnect_writes) in table {
        let bench = Bench::new();
        bench.set_store(|store| (store.state, store.wants_connection) = (state, wanted));
        let body = json!({"CustomKeyStoreId": STORE_A});
        let answer = bench.a.call("ConnectCustomKeyStore", &body).await;
        assert_eq!(answer.error(), connect, "connect in {state:?}");
        let writes = if connect_writes { vec!["connect team-a/payments-store".to_owned()] } else { vec![] };
        assert_eq!(bench.kube.written(), writes);
        bench.kube.log.lock().unwrap().clear();
        let answer = bench.a.call("DisconnectCustomKeyStore", &body).await;
        assert_eq!(answer.error(), disconnect, "disconnect in {state:?}");
        let by = "disconnect team-a/payments-store by arn:aws:iam::111122223333:user/app".to_owned();
        assert_eq!(bench.kube.written(), if disconnect_writes { vec![by] } else { vec![] });
    }
}

#[tokio::test]
async fn connect_fails_fast_when_the_cluster_cannot_take_it_scn_8() {
    let bench = Bench::new();
    bench.set_store(|store| (store.state, store.wants_connection) = (ConnectionState::Disconnected, false));
    let body = json!({"CustomKeyStoreId": STORE_A});
    bench.set_cluster(false, &["local-1a"]);
    assert_eq!(bench.a.call("ConnectCustomKeyStore", &body).await.error(), "CloudHsmClusterNotActiveException");
    bench.set_cluster(true, &[]);
    assert_eq!(
        bench.a.call("ConnectCustomKeyStore", &body).await.error(),
        "CloudHsmClusterInvalidConfigurationException"
    );
    assert_eq!(bench.kube.written(), [""; 0]);
    bench.set_cluster(true, &["local-1a"]);
    let answer = bench.a.call("ConnectCustomKeyStore", &body).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({})));
}

#[tokio::test]
async fn a_connection_pinned_by_a_manifest_is_refused_by_name_d17() {
    let bench = Bench::new();
    bench.set_store(|store| (store.state, store.wants_connection) = (ConnectionState::Disconnected, false));
    *bench.kube.failure.lock().unwrap() = Some(ControlError::Pinned { manager: "flux".to_owned() });
    let answer = bench.a.call("ConnectCustomKeyStore", &json!({"CustomKeyStoreId": STORE_A})).await;
    assert_eq!(answer.error(), "CustomKeyStoreInvalidStateException");
    assert!(answer.message().contains("pinned by manifest (field manager flux)"), "{}", answer.message());
}

#[tokio::test]
async fn describe_shows_the_error_code_exactly_while_failed() {
    let bench = Bench::new();
    for filter in [json!({}), json!({"CustomKeyStoreId": STORE_A}), json!({"CustomKeyStoreName": "Payments"})] {
        let stores = bench.a.call("DescribeCustomKeyStores", &filter).await.json();
        let store = &stores["CustomKeyStores"][0];
        assert_eq!(stores["Truncated"], false);
        assert_eq!(store["CustomKeyStoreId"], STORE_A);
        assert_eq!(store["CustomKeyStoreName"], "Payments");
        assert_eq!(store["CustomKeyStoreType"], "AWS_CLOUDHSM");
        assert_eq!(store["ConnectionState"], "CONNECTED");
        assert_eq!(store["CloudHsmClusterId"], "cluster-abcdefghijk");
        assert!(store.get("ConnectionErrorCode").is_none() && store["CreationDate"].is_number());
    }
    bench.set_store(|store| {
        store.state = ConnectionState::Failed;
        store.error_code = Some(ConnectionErrorCode::InvalidCredentials);
    });
    let store = bench.a.call("DescribeCustomKeyStores", &json!({})).await.json()["CustomKeyStores"][0].clone();
    assert_eq!(
        (&store["ConnectionState"], &store["ConnectionErrorCode"]),
        (&json!("FAILED"), &json!("INVALID_CREDENTIALS"))
    );
}

#[tokio::test]
async fn a_store_operation_is_recorded_with_the_stores_name_and_cluster() {
    let bench = Bench::new();
    bench.a.call("DisconnectCustomKeyStore", &json!({"CustomKeyStoreId": STORE_A})).await;
    let record = bench.records().remove(0);
    assert_eq!(record["requestParameters"], json!({"customKeyStoreId": STORE_A}));
    assert_eq!(
        record["additionalEventData"],
        json!({"customKeyStoreName": "Payments", "clusterId": "cluster-abcdefghijk"})
    );
    assert_eq!(record["readOnly"], false);
    assert!(record.get("resources").is_none(), "spec 5.2");
}
