//! DISCONNECTING: the HSMs drop the connection's generation, `kmsuser` is logged out (spec 2.8, D12).
//!
//! The HSM is the authority: what it dropped stays dropped whatever a gateway still believes. For an HSM that cannot be told, the gateway's
//! replicas answer instead; it is told when it answers again, and at the latest before it serves a later connection (`delegates::claim`).

use std::fmt;

use futures::future;
use hsm_client::Session;
use kube::ResourceExt;
use operator_api::{CloudHsmCluster, CustomKeyStore};
use operator_domain::connection::drain::{self, Drain, Replica};

use super::{
    connect,
    delegates::{self, CommandError, Connection},
    dial,
    error::StoreError,
    gateways,
    members::{are_all_listed, members, unlisted},
    observe,
};
use crate::{
    context::Context,
    effect::{self, Site},
};

/// How far a disconnect has come.
pub(super) struct Draining {
    /// What follows from the rest.
    pub(super) verdict: Drain,
    hsms: Vec<String>,
    replicas: Vec<(String, Replica)>,
}

impl Draining {
    fn in_state(&self, state: Replica) -> Vec<String> {
        let those = self.replicas.iter().filter(|(_, replica)| *replica == state);
        those.map(|(name, _)| name.clone()).collect()
    }

    /// What is to be said beside DISCONNECTED or FAILED, if anything.
    pub(super) fn unconfirmed(self) -> Option<Unconfirmed> {
        (!self.hsms.is_empty()).then(|| Unconfirmed { replicas_lost: self.in_state(Replica::Lost), hsms: self.hsms })
    }
}

impl fmt::Display for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serving = self.in_state(Replica::Serving).join(", ");
        write!(f, "HSMs not told: {}; replicas still serving: {serving}", self.hsms.join(", "))
    }
}

/// A connection that ended without every HSM's word: what is left, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unconfirmed {
    /// HSMs that have not dropped the generation.
    pub(super) hsms: Vec<String>,
    /// Leases of replicas that ended before the replica confirmed.
    pub(super) replicas_lost: Vec<String>,
}

impl Unconfirmed {
    /// Reason of the condition.
    pub(super) fn reason(&self) -> &'static str {
        if self.replicas_lost.is_empty() { "HsmUnreachable" } else { "GatewayLost" }
    }
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hsms = self.hsms.join(", ");
        write!(
            f,
            "the connection has ended, but these HSMs could not be told: {hsms}. They are told as soon as they answer: bring them back. "
        )?;
        if self.replicas_lost.is_empty() {
            return write!(f, "Every gateway replica has stopped using the store, so no request is served meanwhile");
        }
        let lost = self.replicas_lost.join(", ");
        write!(
            f,
            "The gateway replicas of these Leases went silent before they confirmed: {lost}. While one of them still runs and reaches "
        )?;
        write!(
            f,
            "such an HSM it may use the store's keys there: make sure that its pod is gone, then delete its Lease"
        )
    }
}

/// Tells the HSMs, and asks the gateway's replicas about those that could not be told. Idempotent.
///
/// # Errors
/// Only what stops all of it.
pub(super) async fn drain(context: &Context, store: &CustomKeyStore) -> Result<Draining, StoreError> {
    let hsms = drop_everywhere(context, store).await?;
    let replicas = match hsms.is_empty() {
        true => Vec::new(),
        false => gateways::replicas(context, &connect::connection(store)).await?,
    };
    let states: Vec<_> = replicas.iter().map(|(_, replica)| *replica).collect();
    Ok(Draining { verdict: drain::drain(hsms.len(), &states), hsms, replicas })
}

/// Drops the store's generation on every HSM of the cluster that can be reached, and closes the store's sessions. Returns the HSMs for which
/// that is not certain, with one entry for all that no object lists. Idempotent.
///
/// # Errors
/// Only what stops all of it; an HSM that does not answer is in the answer.
pub(super) async fn drop_everywhere(context: &Context, store: &CustomKeyStore) -> Result<Vec<String>, StoreError> {
    let sessions = context.connections.take(&store.uid().unwrap_or_default());
    let connection = connect::connection(store);
    if connection.generation == 0 {
        return Ok(Vec::new());
    }
    let kept = sessions.into_values().map(|logged_in| logged_in.session).filter(Session::is_open).collect();
    let cluster = observe::own_cluster(context, store).await?;
    let (opened, mut unconfirmed) = match &cluster {
        Some(cluster) => open(context, store, cluster, kept).await?,
        // Its object was lost: those to whom there is a session can be told all the same.
        None => (kept, Vec::new()),
    };
    for result in future::join_all(opened.iter().map(|session| drop_on(context, session, &connection))).await {
        unconfirmed.extend(result?);
    }
    unconfirmed.extend(unlisted(store, cluster.as_ref()));
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

/// What became of a store's claim on its cluster.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// HSMs in service that still hold it: they are waited for.
    pub(super) holding: Vec<String>,
    /// The cluster, if HSMs of it that are away may hold it: nobody waits for those (CKS-70), so whoever meets them must know that it is to end.
    pub(super) left_in: Option<String>,
}

/// Gives the store's claim on the cluster back on every HSM that can be reached (INV-41, INV-44). Idempotent.
///
/// # Errors
/// Only what stops all of it.
pub(super) async fn release_claims(context: &Context, store: &CustomKeyStore) -> Result<Released, StoreError> {
    if store.spec.custom_key_store_id.is_none() {
        return Ok(Released::default());
    }
    let Some(cluster) = observe::own_cluster(context, store).await? else {
        let left_in = store.status.as_ref().and_then(|status| status.cloud_hsm_cluster_id.clone());
        return Ok(Released { holding: Vec::new(), left_in });
    };
    let connection = connect::connection(store);
    let active: Vec<_> =
        members(&cluster).into_iter().filter(|member| member.active).map(|member| member.hsm_id).collect();
    let (sessions, unreached) = open(context, store, &cluster, Vec::new()).await?;
    let (mut holding, away): (Vec<_>, Vec<_>) = unreached.into_iter().partition(|hsm_id| active.contains(hsm_id));
    for session in sessions {
        match delegates::release(context, &session, &connection).await {
            // Held by another store means: not by this one.
            Ok(()) | Err(CommandError::Hsm(hsm_client::HsmError::Refused(hsm_client::ReturnCode::ClaimHeld))) => {}
            Err(CommandError::Store(error)) => return Err(error),
            Err(CommandError::Hsm(_)) => holding.push(session.identity().hsm_id.clone()),
        }
    }
    let all = away.is_empty() && are_all_listed(&cluster);
    Ok(Released { holding, left_in: (!all).then(|| connect::cluster_id(&cluster)) })
}
