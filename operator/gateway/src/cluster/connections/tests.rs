//! A connection exists exactly while its store is CONNECTED, and what has stopped never comes back (D12).

use std::time::SystemTime;

use hsm_client::pki::CertificateAuthority;
use hsm_client::{ClientIdentity, ClientRole};
use operator_api::cloud_hsm_cluster::{Hsm, HsmState};
use serde_json::json;

use super::*;

const STORE: &str = "cks-1234567890abcdef0";
const CLUSTER: &str = "cluster-abcdefghijkabcde";

fn object() -> ObjectName {
    ("team-a".to_owned(), "payments-store".to_owned())
}

fn store(state: ConnectionState, generation: i64) -> StoreEntry {
    StoreEntry {
        name: "payments-store".into(),
        custom_key_store_id: STORE.into(),
        friendly_name: "Payments".to_owned(),
        state,
        error_code: None,
        wants_connection: true,
        generation,
        cluster_name: "payments".into(),
        cloud_hsm_cluster_id: None,
        trust_anchor_certificate: None,
        creation_date: None,
    }
}

fn customer_ca() -> (CertificateAuthority, TrustAnchor) {
    let made = CertificateAuthority::generate_customer("test", SystemTime::now()).unwrap();
    let authority = CertificateAuthority::load(&made.certificate, &made.key).unwrap();
    (authority, TrustAnchor::parse(&made.certificate).unwrap())
}

fn issued_by((authority, anchor): &(CertificateAuthority, TrustAnchor)) -> ClusterIdentity {
    let client = authority.issue_client(ClientRole::Gateway, "gateway", SystemTime::now()).unwrap();
    let identity = Arc::new(ClientIdentity::from_pem(&client.certificate, &client.key).unwrap());
    ClusterIdentity { identity, anchor: anchor.clone() }
}

fn identity() -> ClusterIdentity {
    issued_by(&customer_ca())
}

fn cluster() -> CloudHsmCluster {
    serde_json::from_value(json!({
        "apiVersion": "keystores.dev/v1alpha1", "kind": "CloudHsmCluster",
        "metadata": {"name": "payments", "namespace": "team-a"},
        "spec": {"clusterId": CLUSTER},
        "status": {"state": "ACTIVE", "hsms": [
            {"hsmId": "hsm-aaaaaaaaaaa", "availabilityZone": "a", "podName": "p-0", "eniIp": "127.0.0.1", "state": "ACTIVE",
             "identityFingerprint": "0".repeat(64), "hostCertificateFingerprint": "0".repeat(64), "clientPort": 1}]}
    }))
    .unwrap()
}

/// Connections that lack nothing but a connected store.
fn connections() -> Connections {
    let connections = Connections::new(String::new(), &[Handle::current(), Handle::current()]);
    connections.put_cluster(("team-a".to_owned(), "payments".to_owned()), &cluster());
    connections.put_identity(CLUSTER, &identity());
    connections
}

fn is_live(connections: &Connections, generation: i64) -> bool {
    connections.on_core(0, "team-a", STORE, generation).is_some()
}

#[tokio::test]
async fn a_store_is_in_reach_only_while_connected_under_its_generation_and_in_its_namespace() {
    let connections = connections();
    for state in [
        ConnectionState::Disconnected,
        ConnectionState::Connecting,
        ConnectionState::Failed,
        ConnectionState::Disconnecting,
    ] {
        connections.put_store(object(), store(state, 3));
        assert!(!is_live(&connections, 3), "{state:?}");
    }
    connections.put_store(object(), store(ConnectionState::Connected, 4));
    assert!(is_live(&connections, 4) && !is_live(&connections, 3) && !is_live(&connections, 5));
    assert!(connections.on_core(0, "team-b", STORE, 4).is_none(), "INV-67");
    connections.put_store(object(), store(ConnectionState::Disconnecting, 4));
    assert!(!is_live(&connections, 4), "at once");
}

#[tokio::test]
async fn everything_that_a_connection_needs_must_be_there_and_may_come_in_any_order() {
    let connections = Connections::new(String::new(), &[Handle::current(), Handle::current()]);
    connections.put_store(object(), store(ConnectionState::Connected, 4));
    connections.put_identity(CLUSTER, &identity());
    assert!(!is_live(&connections, 4));
    connections.put_cluster(("team-a".to_owned(), "payments".to_owned()), &cluster());
    assert!(is_live(&connections, 4));
    connections.remove_identity(CLUSTER);
    assert!(!is_live(&connections, 4));
}

#[tokio::test]
async fn a_connection_counts_as_stopped_when_its_last_request_has_ended() {
    let connections = connections();
    connections.put_store(object(), store(ConnectionState::Connected, 4));
    let under_way = [0, 1].map(|core| connections.on_core(core, "team-a", STORE, 4).unwrap());
    assert_eq!(connections.stopped().get(STORE), None);
    connections.put_store(object(), store(ConnectionState::Disconnecting, 4));
    for request in under_way {
        assert_eq!(connections.stopped().get(STORE), None, "a request is still under way on one of the cores");
        drop(request);
    }
    assert_eq!(connections.stopped().get(STORE), Some(&4));
}

#[tokio::test]
async fn a_generation_that_has_stopped_never_comes_back_and_the_next_one_works() {
    let connections = connections();
    connections.put_store(object(), store(ConnectionState::Disconnected, 4));
    assert_eq!(connections.stopped().get(STORE), Some(&4));
    connections.put_store(object(), store(ConnectionState::Connected, 4));
    assert!(!is_live(&connections, 4), "an old version of the store");
    connections.put_store(object(), store(ConnectionState::Connecting, 5));
    assert_eq!(connections.stopped().get(STORE), Some(&4), "5 is still to come");
    connections.put_store(object(), store(ConnectionState::Connected, 5));
    assert!(is_live(&connections, 5));
}

/// D2: whichever the gateway learns of first, and whatever state the copy is in, also one that it came with.
#[tokio::test]
async fn a_younger_store_of_the_same_id_takes_nothing_from_the_older() {
    let of = |state, generation, second| StoreEntry {
        creation_date: Some(jiff::Timestamp::from_second(second).unwrap()),
        ..store(state, generation)
    };
    let copies = [("team-a", "a-copy"), ("team-b", "payments-store")];
    for (namespace, name) in copies {
        for state in [ConnectionState::Connected, ConnectionState::Disconnected, ConnectionState::Failed] {
            for copy_first in [false, true] {
                let (connections, copy) = (connections(), (namespace.to_owned(), name.to_owned()));
                let put_copy = || connections.put_store(copy.clone(), of(state, 4, 200));
                if copy_first {
                    put_copy();
                }
                connections.put_store(object(), of(ConnectionState::Connected, 5, 100));
                let before = connections.on_core(0, "team-a", STORE, 5).unwrap();
                put_copy();
                let after = connections.on_core(0, "team-a", STORE, 5).unwrap();
                assert!(Arc::ptr_eq(&before, &after), "{namespace}/{name} {state:?}");
                assert!(connections.stopped().get(STORE).is_none_or(|stopped| *stopped < 5), "{state:?}");
                connections.remove_store(&copy);
                assert!(is_live(&connections, 5), "{namespace}/{name} {state:?}");
            }
        }
    }
}

/// A copy may come with the whole status of its original. That it has ended says nothing about its original's connection, which is still to come.
#[tokio::test]
async fn a_copy_that_has_ended_does_not_stop_its_originals_generation() {
    let connections = connections();
    let of = |state, second| StoreEntry {
        creation_date: Some(jiff::Timestamp::from_second(second).unwrap()),
        ..store(state, 4)
    };
    connections.put_store(object(), of(ConnectionState::Connecting, 100));
    connections.put_store(("team-b".to_owned(), "copy".to_owned()), of(ConnectionState::Disconnected, 200));
    assert_eq!(connections.stopped().get(STORE), None);
    connections.put_store(object(), of(ConnectionState::Connected, 100));
    assert!(is_live(&connections, 4));
}

/// D12: a renewed certificate is taken over by the connection there is; its requests go on.
#[tokio::test]
async fn a_renewed_client_certificate_keeps_the_connections_and_another_trust_anchor_replaces_them() {
    let (connections, ca) = (connections(), customer_ca());
    connections.put_identity(CLUSTER, &issued_by(&ca));
    connections.put_store(object(), store(ConnectionState::Connected, 4));
    let before = connections.on_core(0, "team-a", STORE, 4).unwrap();
    connections.put_identity(CLUSTER, &issued_by(&ca));
    let renewed = connections.on_core(0, "team-a", STORE, 4).unwrap();
    assert!(Arc::ptr_eq(&before, &renewed));
    connections.put_identity(CLUSTER, &identity());
    let replaced = connections.on_core(0, "team-a", STORE, 4).unwrap();
    assert!(!Arc::ptr_eq(&before, &replaced));
}

#[test]
fn an_hsm_without_an_address_or_pins_or_on_its_way_out_is_no_endpoint() {
    let whole = cluster().status.unwrap().hsms.remove(0);
    assert_eq!(endpoint(&whole).unwrap().address, "127.0.0.1:1".parse().unwrap());
    let lacking = [
        Hsm { eni_ip: None, ..whole.clone() },
        Hsm { host_certificate_fingerprint: None, ..whole.clone() },
        Hsm { identity_fingerprint: "00".to_owned(), ..whole.clone() },
        Hsm { state: HsmState::DeleteInProgress, ..whole.clone() },
        Hsm { state: HsmState::Vacant, ..whole },
    ];
    assert!(lacking.iter().all(|hsm| endpoint(hsm).is_none()));
}
