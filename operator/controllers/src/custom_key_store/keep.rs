//! CONNECTED: keep a logged-in session to every active HSM, whatever happens to them, without ever leaving CONNECTED (D3, CKS-10).
//!
//! A restarted HSM is logged in to again; one that was away during a rotation is brought forward first (P1.7, INV-31); after a restart of the
//! operator all sessions are opened anew with the ring's password. Nothing here rotates, and nothing here fails the store.

use hsm_client::Session;
use hsm_initialization::ring::Ring;
use hsm_protocol::labels::KMS_USER;
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use operator_api::{CloudHsmCluster, CustomKeyStore};
use operator_domain::rotation::{Credential, Forward, InvalidRing, RotationStep, bring_forward};

use super::{
    connect,
    connections::LoggedIn,
    delegates::{self, CommandError, Connection},
    dial,
    error::StoreError,
    kmsuser::{self, Hsm},
    members::{Member, members, unlisted},
    observe, passwords,
};
use crate::context::Context;

/// With this many failed logins on an HSM none is tried: the fifth would lock the user (INV-26).
const FAILURES_TO_STOP_AT: u32 = 3;

/// Log in, change, prove, and once more when another hand was faster.
const MOST_STEPS: usize = 10;

/// Why an HSM is not in service for the store.
#[derive(Debug, thiserror::Error)]
enum Pending {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("failed to hear from the HSM: {0}")]
    Hsm(#[from] hsm_client::HsmError),
    #[error("kmsuser does not exist there")]
    NoUser,
    #[error("kmsuser is locked there, or nearly: no login was tried")]
    Locked,
    #[error("kmsuser's password there is none of the operator's: disconnect, supply it, connect")]
    ForeignPassword,
    #[error(transparent)]
    Ring(#[from] InvalidRing),
}

/// What could not be kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// HSMs that are not in service.
    pub(super) pending: Vec<String>,
    /// There is no ring any more, so an HSM that restarts stays out of service.
    pub(super) ring_gone: bool,
}

/// Brings the sessions in line with the cluster's active HSMs.
///
/// # Errors
/// Only what stops all of it.
pub(super) async fn keep(
    context: &Context,
    store: &CustomKeyStore,
    cluster: Option<&CloudHsmCluster>,
) -> Result<Kept, StoreError> {
    // Another one that has its name by now has HSMs of its own.
    let cluster = cluster.filter(|cluster| observe::is_own(store, cluster));
    let mut pending: Vec<String> = unlisted(store, cluster).into_iter().collect();
    let Some(cluster) = cluster else { return Ok(Kept { pending, ring_gone: false }) };
    let (uid, connection) = (store.uid().unwrap_or_default(), connect::connection(store));
    let open = context.connections.sessions(&uid, connection.generation);
    let missing: Vec<Member> =
        members(cluster).into_iter().filter(|member| member.active && !open.contains_key(&member.hsm_id)).collect();
    let cluster_id = connect::cluster_id(cluster);
    let prints = dial::delegates(context, &cluster_id).await?;
    for logged_in in open.into_values().filter(|logged_in| logged_in.delegates != prints) {
        pending.extend(enter(context, store, &connection, logged_in.session, &prints).await?);
    }
    // Read also when no login is due: a deleted ring is put back while somebody remembers it.
    let Some(ring) = passwords::ring(context, store, &cluster_id).await? else {
        pending.extend(missing.into_iter().map(|member| member.hsm_id));
        return Ok(Kept { pending, ring_gone: true });
    };
    if missing.is_empty() {
        return Ok(Kept { pending, ring_gone: false });
    }
    let access = dial::access(context, &cluster_id, &connect::trust_anchor(store, cluster)).await?;
    for hsm in dial::dial_all(context, &access, missing).await {
        let Ok(session) = hsm.outcome else {
            pending.push(hsm.member.hsm_id);
            continue;
        };
        match log_in(context, session, &connection, &ring.ring).await {
            Ok(session) => pending.extend(enter(context, store, &connection, session, &prints).await?),
            Err(Pending::Command(CommandError::Store(error))) => return Err(error),
            Err(error) => {
                tracing::warn!(hsm = hsm.member.hsm_id, %error, "an HSM is not in service for a connected store");
                pending.push(hsm.member.hsm_id);
            }
        }
    }
    Ok(Kept { pending, ring_gone: false })
}

/// Registers the delegates through a logged-in session and keeps it; the HSM's id if it could not.
async fn enter(
    context: &Context,
    store: &CustomKeyStore,
    connection: &Connection,
    session: Session,
    prints: &[[u8; 32]],
) -> Result<Option<String>, StoreError> {
    let hsm_id = session.identity().hsm_id.clone();
    match delegates::register(context, &session, connection, prints).await {
        Ok(()) => {
            let logged_in = LoggedIn { session, delegates: prints.to_vec() };
            let uid = store.uid().unwrap_or_default();
            context.connections.keep(ObjectRef::from_obj(store), &uid, connection.generation, logged_in);
            Ok(None)
        }
        Err(CommandError::Store(error)) => Err(error),
        Err(CommandError::Hsm(error)) => {
            tracing::warn!(hsm = hsm_id, %error, "failed to register the gateway");
            Ok(Some(hsm_id))
        }
    }
}

/// Logs in with the ring's password for what the HSM reports, and brings an HSM that is behind to the active one (P1.7).
async fn log_in(context: &Context, session: Session, connection: &Connection, ring: &Ring) -> Result<Session, Pending> {
    delegates::claim(context, &session, connection).await?;
    let info = session.user_info(KMS_USER).await?.ok_or(Pending::NoUser)?;
    if info.failures >= FAILURES_TO_STOP_AT {
        return Err(Pending::Locked);
    }
    let mut hsm = Hsm::new(session, info);
    let epochs = kmsuser::without_passwords(ring)?;
    for _ in 0..MOST_STEPS {
        let credential = hsm.credential().ok_or(Pending::ForeignPassword)?;
        match bring_forward(&epochs, &credential) {
            Forward::InService => return Ok(hsm.session),
            Forward::Step(RotationStep::LogIn { with: Credential::Ring(epoch), .. }) => {
                let entry = ring.entry(epoch).ok_or(Pending::ForeignPassword)?;
                hsm.log_in(context, entry.password.expose()).await?;
            }
            Forward::Step(RotationStep::ChangePassword { expected, new, .. }) => {
                let target = ring.entry(new).ok_or(Pending::ForeignPassword)?;
                hsm.change(context, expected, target).await?;
            }
            Forward::Step(_) | Forward::OutOfService if credential.locked => return Err(Pending::Locked),
            Forward::Step(_) | Forward::OutOfService => return Err(Pending::ForeignPassword),
        }
    }
    // Somebody else keeps changing the password.
    Err(Pending::ForeignPassword)
}
