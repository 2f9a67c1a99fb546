//! Steps 3 and 7: sessions to the cluster's active HSMs, with enough patience to tell a restarting HSM from a broken network.

use std::time::Duration;

use hsm_client::{HsmError, ReturnCode, Session};
use kube::ResourceExt;
use operator_api::{CloudHsmCluster, ConnectionErrorCode, CustomKeyStore};

use super::Stop;
use crate::{
    context::Context,
    custom_key_store::{
        dial::{self, Dialled},
        failure::{self, ConnectFailure},
        members::{Member, members},
        observe,
    },
};

/// Pauses between rounds in which no HSM answered: together long enough for the cluster controller to notice that HSMs are gone.
const ROUNDS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(8),
];

/// What could be reached.
pub(super) struct Reached {
    /// Sessions in order of the HSMs' ids.
    pub(super) sessions: Vec<Session>,
    /// Active HSMs that could not be reached.
    pub(super) missing: Vec<String>,
}

/// Dials until at least one HSM answers.
///
/// # Errors
/// INSUFFICIENT_CLOUDHSM_HSMS when the cluster has no active HSM, or none of its pods runs (HSMs that vanished after CONNECTING);
/// NETWORK_ERRORS when they are there and none can be reached or proves itself.
pub(super) async fn reach(
    context: &Context,
    store: &CustomKeyStore,
    cluster: &CloudHsmCluster,
) -> Result<Reached, Stop> {
    let mut cluster = cluster.clone();
    let mut pauses = ROUNDS.iter();
    loop {
        let active: Vec<Member> = members(&cluster).into_iter().filter(|member| member.active).collect();
        if active.is_empty() {
            return Err(insufficient("the cluster has no active HSM"));
        }
        let anchor = trust_anchor(store, &cluster);
        let access = dial::access(context, &super::cluster_id(&cluster), &anchor).await?;
        let dialled = dial::dial_all(context, &access, active).await;
        if dialled.iter().any(|hsm| hsm.outcome.is_ok()) {
            return Ok(split(dialled));
        }
        let Some(pause) = pauses.next() else { return Err(unreachable(context, &cluster, dialled).await?) };
        tokio::time::sleep(*pause).await;
        context.leader.check()?;
        cluster = super::find_cluster(context, store).await?;
    }
}

/// The anchor recorded when the store was accepted: no later one is trusted (CKS-2).
pub(in crate::custom_key_store) fn trust_anchor(store: &CustomKeyStore, cluster: &CloudHsmCluster) -> String {
    let recorded = store.status.as_ref().and_then(|status| status.trust_anchor_certificate.clone());
    let shown = || cluster.status.as_ref().and_then(|status| status.trust_anchor.clone());
    recorded.or_else(shown).unwrap_or_default()
}

/// Whether an HSM's answer means that it is out of service for now, rather than an answer to the question.
pub(super) fn is_lost(error: &HsmError) -> bool {
    match error {
        HsmError::Disconnected | HsmError::Timeout => true,
        HsmError::Refused(code) => matches!(code, ReturnCode::NotActive | ReturnCode::Busy | ReturnCode::StorageFailed),
        HsmError::Protocol(_) => false,
    }
}

fn split(dialled: Vec<Dialled>) -> Reached {
    let mut reached = Reached { sessions: Vec::new(), missing: Vec::new() };
    for hsm in dialled {
        match hsm.outcome {
            Ok(session) => reached.sessions.push(session),
            Err(error) => {
                tracing::warn!(
                    hsm = hsm.member.hsm_id,
                    error = error.map(|error| crate::report::chain(&error)),
                    "failed to reach an HSM"
                );
                reached.missing.push(hsm.member.hsm_id);
            }
        }
    }
    reached
}

async fn unreachable(context: &Context, cluster: &CloudHsmCluster, dialled: Vec<Dialled>) -> Result<Stop, Stop> {
    let hsms = cluster.status.as_ref().map(|status| status.hsms.as_slice()).unwrap_or_default();
    let pods: Vec<String> = hsms.iter().map(|hsm| hsm.pod_name.clone()).collect();
    if !observe::any_pod_runs(context, &pods).await? {
        return Ok(insufficient("no pod of the cluster's HSMs is running"));
    }
    let first = dialled.into_iter().find_map(|hsm| Some((hsm.member.hsm_id, hsm.outcome.err()??)));
    let failure = match first {
        Some((hsm_id, error)) => failure::of_dial(&hsm_id, &error),
        None => ConnectFailure::new(ConnectionErrorCode::NetworkErrors, "no HSM has an address"),
    };
    tracing::warn!(cluster = cluster.name_any(), code = failure.code.as_str(), "no HSM could be reached");
    Ok(failure.into())
}

fn insufficient(message: &str) -> Stop {
    ConnectFailure::new(ConnectionErrorCode::InsufficientCloudhsmHsms, message).into()
}
