//! This replica's Lease: that it lives, and which connections it has stopped using (D12).
//!
//! While a store is being disconnected the controllers wait for every replica that lives to say here that it has
//! stopped. The annotation holds `<store id>=<generation>` for every store that is not connected, separated by commas:
//! this generation and all before it are not used any more and never will be again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::connections::Connections;

/// Annotation with the acknowledgements.
pub(super) const STOPPED: &str = "keystores.dev/stopped-connections";
/// A replica that has not renewed for this long is lost.
const DURATION_SECONDS: i32 = 30;
/// How often the Lease is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often a changed acknowledgement is looked for, so that a disconnect does not wait for the renewal.
const LOOK: Duration = Duration::from_millis(250);
/// Longest time for one request to the API server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Renews the Lease `gateway-<replica>` until `shutdown`.
pub(super) async fn keep(
    client: Client,
    namespace: String,
    replica: String,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
) {
    let api: Api<Lease> = Api::namespaced(client, &namespace);
    let mut said: Option<BTreeMap<String, i64>> = None;
    let mut due = Instant::now();
    loop {
        let stopped = connections.stopped();
        if Instant::now() >= due || said.as_ref() != Some(&stopped) {
            match timeout(PATIENCE, renew(&api, &replica, &stopped)).await {
                Ok(Ok(())) => {
                    said = Some(stopped);
                    due = Instant::now() + RENEWAL;
                }
                Ok(Err(error)) => tracing::warn!(%error, "the replica's lease was not renewed"),
                Err(_) => tracing::warn!("the replica's lease was not renewed in time"),
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
            () = connections.changed.notified() => {}
        }
    }
}

async fn renew(api: &Api<Lease>, replica: &str, stopped: &BTreeMap<String, i64>) -> Result<(), kube::Error> {
    let name = format!("gateway-{replica}");
    let present = api.get_opt(&name).await?;
    let mut lease = wanted(&name, replica, stopped);
    match present {
        None => api.create(&PostParams::default(), &lease).await.map(drop),
        Some(present) => {
            lease.metadata.resource_version = present.metadata.resource_version;
            api.replace(&name, &PostParams::default(), &lease).await.map(drop)
        }
    }
}

fn wanted(name: &str, replica: &str, stopped: &BTreeMap<String, i64>) -> Lease {
    let said: Vec<_> = stopped.iter().map(|(store, generation)| format!("{store}={generation}")).collect();
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some(BTreeMap::from([(STOPPED.to_owned(), said.join(","))])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(replica.to_owned()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    }
}
