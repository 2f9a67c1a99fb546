//! Every change and a copy of its request: at each moment of the signature's life and after it, at the same replica, at another one, and
//! at one that has restarted.

use std::sync::Arc;

use audit::LineWriter;
use jiff::{SignedDuration, Timestamp};
use operator_api::ConnectionState;
use prometheus::Registry;
use serde_json::{Value, json};

use super::{bench, copy, create_key, signed, signed_at};
use crate::replay::Replays;
use crate::router::tests::bench::{Bench, Client, STORE_A};
use crate::sigv4::WINDOW;
use crate::target::Operation;
use crate::{Gateway, Metrics, Parts, WholeRequest};

/// Seconds from the arrival of a request to that of its copy; the last is after the signature's life.
const MOMENTS: [i64; 10] = [0, 1, 5, 30, 60, 120, 200, 290, 299, 302];
/// Copies that reliability §4.8 asks for.
const FEWEST_CASES: usize = 30;
/// What a signature that may have been used is answered with.
const USED: &str = "ThrottlingException";

/// A copy that arrives so many seconds after the request.
fn delivered(request: &WholeRequest, later: i64) -> WholeRequest {
    let mut copied = copy(request);
    copied.received_at += SignedDuration::from_secs(later);
    copied
}

/// Every operation that changes something, with a body that it takes.
fn changes() -> Vec<(&'static str, Value)> {
    let changing = Operation::ALL.iter().filter(|operation| !operation.read_only());
    let with_body = changing.map(|operation| match operation {
        Operation::CreateKey => (operation.name(), create_key()),
        _ => (operation.name(), json!({"CustomKeyStoreId": STORE_A})),
    });
    with_body.collect()
}

/// A bench whose store is in a state in which `operation` changes something.
fn ready_for(operation: &str) -> Bench {
    let bench = bench();
    if operation == "ConnectCustomKeyStore" {
        bench.set_store(|store| (store.state, store.wants_connection) = (ConnectionState::Disconnected, false));
    }
    bench
}

/// The store as every replica sees it once `operation` has been done.
fn take_effect(bench: &Bench, operation: &str) {
    bench.set_store(|store| match operation {
        "ConnectCustomKeyStore" => (store.state, store.wants_connection) = (ConnectionState::Connecting, true),
        "DisconnectCustomKeyStore" => store.wants_connection = false,
        _ => {}
    });
}

/// What a copy comes to at a process that does not know of the first one, after [`take_effect`]. None of them changes anything.
fn where_nobody_knows(operation: &str) -> &'static str {
    match operation {
        // The signature names the object, and the API server makes a name once.
        "CreateKey" => USED,
        // The store is being connected already, which is a success.
        "ConnectCustomKeyStore" => "no error",
        // It is not connected any more.
        _ => "CustomKeyStoreInvalidStateException",
    }
}

/// Another gateway process before the same API server and HSMs.
struct Replica {
    /// The client does not keep it alive.
    _gateway: Arc<Gateway>,
    client: Client,
}

/// One that began at `began` and knows nothing of what others have been asked.
fn replica(bench: &Bench, began: Timestamp) -> Replica {
    let mut gateway = Gateway::new(Parts {
        index: Arc::clone(&bench.index),
        stores: Arc::clone(&bench.hsms) as _,
        control: Arc::clone(&bench.kube) as _,
        authorizer: Arc::clone(&bench.rbac) as _,
        audit: Arc::new(LineWriter::start(bench.output.clone()).unwrap()),
        metrics: Metrics::register(&Registry::new()).unwrap(),
        place: bench.gateway.place.clone(),
    });
    gateway.replays = Arc::new(Replays::since(began));
    let gateway = Arc::new(gateway);
    let client = Client::new(&gateway, bench.a.access_key_id, bench.a.secret);
    Replica { _gateway: gateway, client }
}

/// Makes every change once and sends a copy of its request at every moment, to the process that `other` begins before the request is
/// sent, or else to the same one. `expected` tells what the copy is answered with while the signature lives; it never changes anything.
async fn copies(
    other: impl Fn(&Bench, &WholeRequest) -> Option<Replica>,
    expected: impl Fn(&str, i64) -> &'static str,
) {
    let mut cases = 0;
    for (operation, body) in changes() {
        for later in MOMENTS {
            let bench = ready_for(operation);
            let request = signed(&bench.a, operation, &body);
            let copied = delivered(&request, later);
            let other = other(&bench, &copied);
            assert_eq!(bench.a.send(request).await.status, 200, "{operation}");
            let written = bench.kube.written();
            assert_eq!(written.len(), 1, "{operation}");
            take_effect(&bench, operation);
            let answer = other.as_ref().map_or(&bench.a, |other| &other.client).send(copied).await;
            let is_alive = SignedDuration::from_secs(later) < WINDOW;
            let expected = if is_alive { expected(operation, later) } else { "InvalidSignatureException" };
            assert_eq!(answer.error(), expected, "{operation} after {later} s");
            assert_eq!(bench.kube.written(), written, "{operation} after {later} s");
            cases += 1;
        }
    }
    assert!(cases >= FEWEST_CASES, "{cases}");
}

#[tokio::test]
async fn a_copy_at_the_same_replica_is_told_that_its_signature_was_used() {
    copies(|_, _| None, |_, _| USED).await;
}

/// The other replica began before the request was signed, so it takes the copy for a request of its own.
#[tokio::test]
async fn a_copy_at_another_replica_changes_nothing_once_the_first_has_had_its_effect() {
    let before = |bench: &Bench, copied: &WholeRequest| Some(replica(bench, copied.received_at - WINDOW));
    copies(before, |operation, _| where_nobody_knows(operation)).await;
}

/// It begins when the copy arrives. Dates have whole seconds: within the first it cannot tell whether the request was meant for it.
#[tokio::test]
async fn a_copy_at_a_replica_that_has_restarted_is_to_be_signed_again() {
    let now = |bench: &Bench, copied: &WholeRequest| Some(replica(bench, copied.received_at));
    copies(now, |operation, later| if later == 0 { where_nobody_knows(operation) } else { USED }).await;
}

/// The limit that docs/hostile-input.md names: replicas do not tell each other which commands they have had.
#[tokio::test]
async fn a_connect_that_is_copied_to_another_replica_after_a_disconnect_connects_once_more() {
    let bench = ready_for("ConnectCustomKeyStore");
    let connect = signed(&bench.a, "ConnectCustomKeyStore", &json!({"CustomKeyStoreId": STORE_A}));
    let other = replica(&bench, connect.received_at - WINDOW);
    let restarted = replica(&bench, connect.received_at + SignedDuration::from_secs(1));
    // The store stays DISCONNECTED, as if it were disconnected again after each of them.
    for (process, expected, writes) in [
        (&bench.a, "no error", 1),
        (&bench.a, USED, 1),
        (&restarted.client, USED, 1),
        (&other.client, "no error", 2),
        (&other.client, USED, 2),
    ] {
        assert_eq!(process.send(delivered(&connect, 2)).await.error(), expected);
        assert_eq!(bench.kube.written().len(), writes);
    }
}

/// A caller's clock may be ahead: what it signs is dated after the start of a process that begins a moment later.
#[tokio::test]
async fn a_copy_from_a_clock_that_is_ahead_changes_nothing_at_a_replica_that_has_restarted() {
    for (operation, body) in changes() {
        let (bench, now) = (ready_for(operation), Timestamp::now());
        let mut request = signed_at(&bench.a, now + SignedDuration::from_secs(240), operation, &body);
        request.received_at = now;
        let copied = delivered(&request, 61);
        let restarted = replica(&bench, now + SignedDuration::from_secs(60));
        assert_eq!(bench.a.send(request).await.status, 200, "{operation}");
        let written = bench.kube.written();
        take_effect(&bench, operation);
        assert_eq!(restarted.client.send(copied).await.error(), where_nobody_knows(operation), "{operation}");
        assert_eq!(bench.kube.written(), written, "{operation}");
    }
}
