//! The I/O part of the election: reads, creates and replaces the Lease with resourceVersion preconditions.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use super::observation::{Observation, Record, Verdict};
use super::{LEASE_DURATION, Leadership, RENEW_DEADLINE, RETRY_PERIOD};

/// One attempt must leave room for another one before [`RENEW_DEADLINE`].
const REQUEST_LIMIT: Duration = Duration::from_secs(3);

/// Why [`Leader::hold`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The Lease was lost: the process must stop, because work under way may rest on it.
    Lost,
    /// Shutdown was asked for: stop working, then call [`Leader::release`].
    Shutdown,
}

/// The elected holder of the Lease.
#[derive(Debug)]
pub struct Leader {
    api: Api<Lease>,
    identity: String,
    leadership: Leadership,
    lease: Lease,
}

/// Waits until this process holds the Lease `name` in `namespace`; `None` when `shutdown` came first.
///
/// `identity` must be unique among the living candidates. Errors of the API server are logged and tried again every [`RETRY_PERIOD`].
pub async fn elect(
    client: Client,
    namespace: &str,
    name: &str,
    identity: &str,
    leadership: Leadership,
    shutdown: &CancellationToken,
) -> Option<Leader> {
    let api = Api::namespaced(client, namespace);
    let mut observation = Observation::new(identity.to_owned());
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        match limited(attempt(&api, name, identity, &mut observation)).await {
            Ok(Some(lease)) => {
                leadership.renewed(started);
                tracing::info!(lease = name, identity, "became the leader");
                return Some(Leader { api, identity: identity.to_owned(), leadership, lease });
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "failed to acquire the leader's lease"),
        }
        tokio::select! { () = shutdown.cancelled() => {}, () = tokio::time::sleep(RETRY_PERIOD) => {} }
    }
    None
}

impl Leader {
    /// Renews until the tenure is lost or `shutdown` is asked for; the tenure of [`Leadership`] is over when it returns `Lost`.
    pub async fn hold(&mut self, shutdown: &CancellationToken) -> Ended {
        let mut renewed = Instant::now();
        loop {
            tokio::select! { () = shutdown.cancelled() => return Ended::Shutdown, () = tokio::time::sleep(RETRY_PERIOD) => {} }
            let started = Instant::now();
            match limited(self.renew()).await {
                Ok(true) => {
                    renewed = started;
                    self.leadership.renewed(started);
                }
                Ok(false) => return self.lost("another holder has the lease"),
                Err(error) => tracing::warn!(%error, "failed to renew the leader's lease"),
            }
            if renewed.elapsed() + RETRY_PERIOD >= RENEW_DEADLINE {
                return self.lost("no renewal within the deadline");
            }
        }
    }

    /// Gives the Lease up, so that a standby takes over at its next look instead of after [`LEASE_DURATION`].
    pub async fn release(mut self) {
        self.leadership.end();
        let spec = self.lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        if let Err(error) = limited(replace(&self.api, &self.lease)).await {
            tracing::warn!(%error, "failed to release the leader's lease; a standby waits for its end");
        }
    }

    /// `Ok(false)` when somebody else holds the Lease. After a lost reply the stored Lease is newer than ours but still names
    /// us: it is read again and renewed from there.
    async fn renew(&mut self) -> Result<bool, kube::Error> {
        let mut next = self.lease.clone();
        next.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
        match replace(&self.api, &next).await {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {}
            other => return other.map(|lease| self.keep(lease)),
        }
        let name = self.lease.metadata.name.clone().unwrap_or_default();
        let Some(mut stored) = self.api.get_opt(&name).await? else { return Ok(false) };
        if record(&stored).holder.as_deref() != Some(&self.identity) {
            return Ok(false);
        }
        stored.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
        replace(&self.api, &stored).await.map(|lease| self.keep(lease))
    }

    fn keep(&mut self, lease: Lease) -> bool {
        self.lease = lease;
        true
    }

    fn lost(&self, why: &str) -> Ended {
        self.leadership.end();
        tracing::error!(why, "lost the leader's lease");
        Ended::Lost
    }
}

/// One look at the Lease, and the one write that follows from it. `None`: somebody else holds it or won the race.
async fn attempt(
    api: &Api<Lease>,
    name: &str,
    identity: &str,
    observation: &mut Observation,
) -> Result<Option<Lease>, kube::Error> {
    let stored = api.get_opt(name).await?;
    let written = match observation.judge(stored.as_ref().map(record), Instant::now()) {
        Verdict::Wait => return Ok(None),
        Verdict::Create => api.create(&PostParams::default(), &fresh(name, identity)).await,
        Verdict::Renew | Verdict::Take => replace(api, &taken(stored.unwrap_or_default(), identity)).await,
    };
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the rule needs to know of a stored Lease.
pub(crate) fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.holder_identity,
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        duration: seconds.map_or(LEASE_DURATION, Duration::from_secs),
    }
}

fn fresh(name: &str, identity: &str) -> Lease {
    let empty = Lease { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, spec: None };
    taken(empty, identity)
}

/// The Lease with `identity` as its holder; keeps the resourceVersion, which makes the write a compare-and-set.
fn taken(mut lease: Lease, identity: &str) -> Lease {
    let old = lease.spec.take().unwrap_or_default();
    let now = MicroTime(Timestamp::now());
    let ours = old.holder_identity.as_deref() == Some(identity);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: if ours { old.acquire_time } else { Some(now.clone()) },
        renew_time: Some(now),
        lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!ours)),
        ..LeaseSpec::default()
    });
    lease
}

async fn replace(api: &Api<Lease>, lease: &Lease) -> Result<Lease, kube::Error> {
    api.replace(lease.metadata.name.as_deref().unwrap_or_default(), &PostParams::default(), lease).await
}

/// A request that the API server does not answer counts as failed; the next one finds out what became of it.
async fn limited<T>(work: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(REQUEST_LIMIT, work).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_a_lease_over_counts_a_transition_and_keeps_the_version_for_the_comparison() {
        let mut lease = fresh("l", "a");
        lease.metadata.resource_version = Some("7".into());
        let lease = taken(lease, "b");
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"));
        let spec = lease.spec.unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("b"), Some(2)));
    }

    #[test]
    fn renewing_our_own_lease_is_no_transition() {
        let first = fresh("l", "a");
        let acquired = first.spec.as_ref().unwrap().acquire_time.clone();
        let spec = taken(first, "a").spec.unwrap();
        assert_eq!((spec.acquire_time, spec.lease_transitions), (acquired, Some(1)));
    }
}
