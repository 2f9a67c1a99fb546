//! This replica's Lease: that it lives, and which connections it has stopped using (D12).
//!
//! While a store is being disconnected the controllers wait for every replica that lives to say here that it has
//! stopped. So no replica serves before its Lease is there, and one that has drained gives its Lease up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use operator_api::gateway_lease::{self, STOPPED_CONNECTIONS};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::readiness::Readiness;

/// What is waited for at the start.
pub(super) const WRITTEN: &str = "lease";
/// A replica that has not renewed for this long is lost.
const DURATION_SECONDS: i32 = 30;
/// How often the Lease is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often a changed acknowledgement is looked for, so that a disconnect does not wait for the renewal.
const LOOK: Duration = Duration::from_millis(250);
/// Longest time for one request to the API server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Renews the Lease `gateway-<replica>` until `shutdown`, which must come when nothing is served any more; then gives it up.
pub(super) async fn keep(
    api: Api<Lease>,
    replica: String,
    connections: Arc<Connections>,
    readiness: Arc<Readiness>,
    shutdown: CancellationToken,
) {
    let mut said: Option<BTreeMap<String, i64>> = None;
    let mut due = Instant::now();
    loop {
        let stopped = connections.stopped();
        let changed = said.as_ref() != Some(&stopped);
        if (changed || Instant::now() >= due) && write(&api, wanted(&replica, &stopped)).await {
            said = Some(stopped);
            due = Instant::now() + RENEWAL;
            readiness.done(WRITTEN);
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
            () = connections.changed.notified() => {}
        }
    }
    write(&api, given_up(&replica)).await;
}

/// Whether the Lease was written; if not, why not is logged.
async fn write(api: &Api<Lease>, lease: Lease) -> bool {
    match timeout(PATIENCE, put(api, lease)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(%error, "the replica's lease was not renewed"),
        Err(_) => tracing::warn!("the replica's lease was not renewed in time"),
    }
    false
}

async fn put(api: &Api<Lease>, mut lease: Lease) -> Result<(), kube::Error> {
    let name = lease.metadata.name.clone().unwrap_or_default();
    match api.get_opt(&name).await? {
        None => api.create(&PostParams::default(), &lease).await.map(drop),
        Some(present) => {
            lease.metadata.resource_version = present.metadata.resource_version;
            api.replace(&name, &PostParams::default(), &lease).await.map(drop)
        }
    }
}

fn wanted(replica: &str, stopped: &BTreeMap<String, i64>) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(gateway_lease::name(replica)),
            annotations: Some(BTreeMap::from([(STOPPED_CONNECTIONS.to_owned(), gateway_lease::encode(stopped))])),
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

/// A Lease without a holder: this replica serves nothing, and nobody needs to wait for it.
fn given_up(replica: &str) -> Lease {
    let mut lease = wanted(replica, &BTreeMap::new());
    lease.spec.get_or_insert_default().holder_identity = None;
    lease
}
