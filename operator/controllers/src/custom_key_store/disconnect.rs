//! DISCONNECTING: the HSMs drop the connection's generation, `kmsuser` is logged out (spec 2.8, D12).
//!
//! The HSM is the authority: what it dropped stays dropped whatever a gateway still believes. An HSM that cannot be reached keeps its generation
//! until it can be told; that is shown and gone on with, and does not hold the disconnect up for ever (CKS-62).

use std::time::Duration;

use futures::future;
use hsm_client::Session;
use jiff::Timestamp;
use kube::ResourceExt;
use operator_api::{CloudHsmCluster, CustomKeyStore};

use super::{
    connect,
    delegates::{self, CommandError, Connection},
    dial,
    error::StoreError,
    members::members,
    observe,
};
use crate::{
    context::Context,
    effect::{self, Site},
};

/// How long DISCONNECTING waits for HSMs that cannot be reached.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Whether HSMs that cannot be reached have been waited for long enough.
pub(super) fn is_out_of_patience(store: &CustomKeyStore, now: Timestamp) -> bool {
    let since = store.status.as_ref().and_then(|status| status.connection_state_transition_time.as_ref());
    since.is_none_or(|since| now.as_second() - since.0.as_second() >= PATIENCE.as_secs().cast_signed())
}

/// Drops the store's generation on every HSM of the cluster that can be reached, and closes the store's sessions. Returns the HSMs for which
/// that is not certain. Idempotent.
///
/// # Errors
/// Only what stops all of it; an HSM that does not answer is in the answer.
pub(super) async fn drop_everywhere(context: &Context, store: &CustomKeyStore) -> Result<Vec<String>, StoreError> {
    let sessions = context.connections.take(&store.uid().unwrap_or_default());
    let connection = connect::connection(store);
    let Some(cluster) = observe::cluster(context, store).await? else { return Ok(Vec::new()) };
    if connection.generation == 0 || cluster.spec.cluster_id.is_none() {
        return Ok(Vec::new());
    }
    let kept = sessions.into_values().map(|logged_in| logged_in.session).filter(Session::is_open);
    let (opened, mut unconfirmed) = open(context, store, &cluster, kept.collect()).await?;
    for result in future::join_all(opened.iter().map(|session| drop_on(context, session, &connection))).await {
        unconfirmed.extend(result?);
    }
    unconfirmed.sort();
    Ok(unconfirmed)
}

/// A session to every HSM of the cluster: the given ones, and new ones to the rest. Second: HSMs that could not be reached.
pub(super) async fn open(
    context: &Context,
    store: &CustomKeyStore,
    cluster: &CloudHsmCluster,
    mut sessions: Vec<Session>,
) -> Result<(Vec<Session>, Vec<String>), StoreError> {
    let mut rest = members(cluster);
    rest.retain(|member| sessions.iter().all(|session| session.identity().hsm_id != member.hsm_id));
    let mut unreached = Vec::new();
    if rest.is_empty() {
        return Ok((sessions, unreached));
    }
    let opening = dial::access(context, &connect::cluster_id(cluster), &connect::trust_anchor(store, cluster)).await;
    let access = match opening {
        Ok(access) => access,
        // Without a certificate no HSM can be reached, and a disconnect must succeed all the same (CKS-62).
        Err(StoreError::Custody { name, problem }) => {
            tracing::warn!(secret = name, problem, "failed to reach the HSMs");
            return Ok((sessions, rest.into_iter().map(|member| member.hsm_id).collect()));
        }
        Err(error) => return Err(error),
    };
    for hsm in dial::dial_all(context, &access, rest).await {
        match hsm.outcome {
            Ok(session) => sessions.push(session),
            Err(_) => unreached.push(hsm.member.hsm_id),
        }
    }
    Ok((sessions, unreached))
}

/// Second: the HSM's id when it did not confirm.
async fn drop_on(context: &Context, session: &Session, connection: &Connection) -> Result<Option<String>, StoreError> {
    match delegates::drop_generation(context, session, connection).await {
        Ok(()) => {}
        Err(CommandError::Store(error)) => return Err(error),
        Err(CommandError::Hsm(error)) => {
            let hsm = &session.identity().hsm_id;
            tracing::warn!(hsm, %error, "failed to drop the connection's generation");
            return Ok(Some(hsm.clone()));
        }
    }
    // A login that is not ended here ends with the session.
    let _ = effect::at(Site::DisconnectLogout, session.logout()).await;
    Ok(None)
}

/// Gives the store's claim on the cluster back on every active HSM. Returns those that still hold it (INV-41, INV-44).
///
/// # Errors
/// Only what stops all of it.
pub(super) async fn release_claims(context: &Context, store: &CustomKeyStore) -> Result<Vec<String>, StoreError> {
    let Some(cluster) = observe::cluster(context, store).await? else { return Ok(Vec::new()) };
    if store.spec.custom_key_store_id.is_none() || cluster.spec.cluster_id.is_none() {
        return Ok(Vec::new());
    }
    let active: Vec<_> =
        members(&cluster).into_iter().filter(|member| member.active).map(|member| member.hsm_id).collect();
    let (sessions, unreached) = open(context, store, &cluster, Vec::new()).await?;
    let mut holding: Vec<String> = unreached.into_iter().filter(|hsm_id| active.contains(hsm_id)).collect();
    let connection = connect::connection(store);
    for session in sessions {
        match delegates::release(context, &session, &connection).await {
            // Held by another store means: not by this one.
            Ok(()) | Err(CommandError::Hsm(hsm_client::HsmError::Refused(hsm_client::ReturnCode::ClaimHeld))) => {}
            Err(CommandError::Store(error)) => return Err(error),
            Err(CommandError::Hsm(_)) => holding.push(session.identity().hsm_id.clone()),
        }
    }
    Ok(holding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_api::{CustomKeyStoreSpec, CustomKeyStoreStatus};

    #[test]
    fn hsms_that_cannot_be_reached_are_waited_for_half_a_minute() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut store = CustomKeyStore::new("s", CustomKeyStoreSpec::default());
        let time = Some(Time(at(100)));
        store.status = Some(CustomKeyStoreStatus { connection_state_transition_time: time, ..Default::default() });
        assert!(!is_out_of_patience(&store, at(129)));
        assert!(is_out_of_patience(&store, at(130)));
    }
}
