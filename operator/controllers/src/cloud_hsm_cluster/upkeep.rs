//! Upkeep of a cluster beside its initialisation: replication, outdated pods.

use futures::future::join_all;
use hsm_client::command::HsmState;
use hsm_client::provisioning::ClusterCsr;
use hsm_initialization::{Observed, ObservedHsm};

use super::failure::ClusterError;
use super::initialize::ClusterProcedure;
use super::{observe, rollout};
use crate::context::Context;
use crate::report::chain;

/// The highest number of under-replicated keys that an HSM knows of; `None` while one has not compared itself with all its peers, because
/// what it did not look at it cannot count.
pub(super) async fn under_replicated_keys(procedure: &ClusterProcedure<'_>, observed: &Observed) -> Option<i64> {
    let active = observed.hsms.iter().filter(|hsm| hsm.state() == Some(HsmState::Active));
    let counts = join_all(active.map(|hsm| read_count(procedure, hsm))).await;
    counts.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
}

async fn read_count(procedure: &ClusterProcedure<'_>, hsm: &ObservedHsm) -> Option<i64> {
    let pod = &hsm.pod.pod_name;
    let session = match procedure.session(pod, &hsm.endpoint()?).await {
        Ok(session) => session,
        Err(error) => {
            tracing::info!(pod, error = chain(&error), "failed to open a session for the HSM's counters");
            return None;
        }
    };
    let info = session.hsm_info().await.ok()?;
    let compared = info.peers_reached + 1 >= info.roster_size;
    compared.then(|| i64::try_from(info.under_replicated_keys).ok()).flatten()
}

/// The request of the HSM that has one to be signed.
pub(super) async fn certificate_request(procedure: &ClusterProcedure<'_>, observed: &Observed) -> Option<ClusterCsr> {
    let assigned = |hsm: &&ObservedHsm| hsm.state() == Some(HsmState::Assigned);
    let lowest = observed.hsms.iter().filter(assigned).min_by_key(|hsm| hsm.pod.availability_zone.clone())?;
    procedure.provisioning(lowest).await.ok()?.csr().await.ok()
}

/// Replaces the next pod of an old template, if one may go now.
pub(super) async fn replace_outdated_pod(
    context: &Context,
    existing: &observe::Observed,
    observed: &Observed,
    settled: bool,
) -> Result<(), ClusterError> {
    match rollout::next(existing, observed, settled) {
        Some(pod) => rollout::replace(context, pod).await,
        None => Ok(()),
    }
}
