//! CONNECTING: the steps of ConnectCustomKeyStore one by one, until every one succeeded, one failed, or the owner wants otherwise (spec 2.6).
//!
//! Nothing of an attempt is remembered but what is written: a crash anywhere begins the steps again, and each finds what was done.

mod credentials;
mod reach;
mod rotate;

pub(super) use credentials::read as supplied_password;
pub(super) use reach::trust_anchor;

use kube::{ResourceExt, runtime::reflector::ObjectRef};
use operator_api::{CloudHsmCluster, ConnectionErrorCode, CustomKeyStore, CustomKeyStoreStatus};
use operator_domain::connection::{
    ConnectStep, Event,
    kmsuser::may_log_in,
    wish::{Todo, decide},
};

use super::{
    connections::LoggedIn,
    delegates::{self, CommandError, Connection},
    dial,
    error::StoreError,
    failure::{self, ConnectFailure},
    kmsuser::{self, Hsm},
    members::{places, unlisted},
    observe, state,
    status::{self, Findings},
};
use crate::{context::Context, leader::NotLeader};
use reach::Reached;

/// Why an attempt ended without a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// FAILED, with this code.
    #[error(transparent)]
    Failed(#[from] ConnectFailure),
    /// The owner wants a disconnect, or the object changed in another way that the next reconcile looks at.
    #[error("the store was changed while it was connecting")]
    Changed,
    /// Nothing is decided: try again.
    #[error(transparent)]
    Later(#[from] StoreError),
}

impl From<NotLeader> for Stop {
    fn from(error: NotLeader) -> Self {
        Self::Later(error.into())
    }
}

/// How a control command's failure ends an attempt, unless another HSM can do without this one.
fn stop(hsm_id: &str, error: CommandError) -> Stop {
    match error {
        CommandError::Store(error) => Stop::Later(error),
        CommandError::Hsm(error) => Stop::Failed(failure::of_command(hsm_id, &error)),
    }
}

/// A connection that stands: what becomes CONNECTED.
pub(super) struct Established {
    /// The store as last written.
    pub(super) store: CustomKeyStore,
    /// HSMs that are behind or could not be reached.
    pub(super) pending: Vec<String>,
}

/// Works through the steps. Sessions are kept only when all of them succeeded.
pub(super) async fn run(context: &Context, store: CustomKeyStore) -> Result<Established, Stop> {
    let mut store = store;
    let connection = connection(&store);
    let cluster = find_cluster(context, &store).await?;
    progress(context, &mut store, ConnectStep::OpenSessions).await?;
    let reached = reach::reach(context, &store, &cluster).await?;
    let (hsms, mut pending) = look(context, reached, &connection).await?;
    // What such an HSM missed it is told when it is listed (`keep`). Until then the connection is not complete, and no old password may go.
    pending.extend(unlisted(&store, Some(&cluster)));
    let cluster_id = cluster_id(&cluster);
    // Looked for before anything is changed: without it the attempt could only end after a rotation.
    let prints = dial::delegates(context, &cluster_id).await?;
    progress(context, &mut store, ConnectStep::LogIn).await?;
    let supplied = credentials::supplied(context, &store).await?;
    let places = places(&cluster);
    let mut work = rotate::Work { context, cluster_id: &cluster_id, hsms, pending, places, supplied };
    rotate::rotate(&mut work, &mut store).await?;
    progress(context, &mut store, ConnectStep::StayLoggedIn).await?;
    let pending = stay(context, &store, &connection, &prints, work.hsms, work.pending).await?;
    Ok(Established { store, pending })
}

/// Step 13: the gateway may use the keys, and the sessions stay.
async fn stay(
    context: &Context,
    store: &CustomKeyStore,
    connection: &Connection,
    prints: &[[u8; 32]],
    hsms: Vec<Hsm>,
    mut pending: Vec<String>,
) -> Result<Vec<String>, Stop> {
    let mut kept = Vec::new();
    for hsm in hsms {
        match delegates::register(context, &hsm.session, connection, prints).await {
            Ok(()) => kept.push(LoggedIn { session: hsm.session, delegates: prints.to_vec() }),
            Err(CommandError::Hsm(error)) if error.is_indefinite() => pending.push(hsm.hsm_id),
            Err(error) => return Err(stop(&hsm.hsm_id, error)),
        }
    }
    if kept.is_empty() {
        return Err(
            ConnectFailure::new(ConnectionErrorCode::NetworkErrors, "every HSM was lost while connecting").into()
        );
    }
    for logged_in in kept {
        let uid = store.uid().unwrap_or_default();
        context.connections.keep(ObjectRef::from_obj(store), &uid, connection.generation, logged_in);
    }
    Ok(pending)
}

/// The store's identity in the HSMs, for its present generation.
pub(super) fn connection(store: &CustomKeyStore) -> Connection {
    let store_id = store.spec.custom_key_store_id.clone().unwrap_or_default();
    Connection { store_id, generation: status::generation(store) }
}

pub(super) fn cluster_id(cluster: &CloudHsmCluster) -> String {
    cluster.spec.cluster_id.clone().unwrap_or_default()
}

async fn find_cluster(context: &Context, store: &CustomKeyStore) -> Result<CloudHsmCluster, Stop> {
    let missing = |message: &str| ConnectFailure::new(ConnectionErrorCode::ClusterNotFound, message);
    let cluster =
        observe::cluster(context, store).await?.ok_or_else(|| missing("the CloudHsmCluster does not exist"))?;
    if !observe::is_own(store, &cluster) {
        return Err(missing("the cluster of this store is gone; another one has its name").into());
    }
    Ok(cluster)
}

/// Shows a step before it is worked on; the furthest one, if an earlier run of this attempt came further. Nothing goes on before it is shown: a
/// failure learns from it what is to be undone. A conflict means that the store was changed.
pub(super) async fn progress(context: &Context, store: &mut CustomKeyStore, step: ConnectStep) -> Result<(), Stop> {
    loop {
        let present = store.status.clone().unwrap_or_default();
        let furthest = step.furthest(present.connection_step.as_deref());
        if present.connection_step.as_deref() == Some(furthest.as_str()) {
            // Nothing is written that could meet a conflict.
            return ask_again(context, store).await;
        }
        let shown = CustomKeyStoreStatus { connection_step: Some(furthest.as_str().to_owned()), ..present };
        match status::write(context, store, shown, &Findings::default()).await {
            Ok(written) => {
                *store = written;
                return Ok(());
            }
            Err(StoreError::Write(error)) if error.is_conflict() => ask_again(context, store).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads the store anew and goes on only if its owner still wants the connection (CKS-13).
async fn ask_again(context: &Context, store: &mut CustomKeyStore) -> Result<(), Stop> {
    let read = observe::store(context, store).await?.ok_or(Stop::Changed)?;
    if read.metadata.deletion_timestamp.is_some() || !still_wanted(&read, status::generation(store)) {
        return Err(Stop::Changed);
    }
    *store = read;
    Ok(())
}

fn still_wanted(store: &CustomKeyStore, generation: u64) -> bool {
    let Ok(now) = state::stored(store) else { return false };
    status::generation(store) == generation
        && matches!(decide(&now, &state::wish(store)).todo, Todo::Continue)
        && now.name() == operator_domain::connection::ConnectionStateName::Connecting
}

/// Steps 8 to 10: fence, claim, and what the HSMs say about `kmsuser`; no login attempt is spent (CKS-41). HSMs that are lost here are pending.
async fn look(context: &Context, reached: Reached, connection: &Connection) -> Result<(Vec<Hsm>, Vec<String>), Stop> {
    let (mut hsms, mut pending, mut reports) = (Vec::new(), reached.missing, Vec::new());
    for session in reached.sessions {
        let hsm_id = session.identity().hsm_id.clone();
        match delegates::claim(context, &session, connection).await {
            Ok(()) => {}
            Err(CommandError::Hsm(error)) if reach::is_lost(&error) => {
                pending.push(hsm_id);
                continue;
            }
            Err(error) => return Err(claim_stop(&hsm_id, error)),
        }
        match session.user_info(hsm_protocol::labels::KMS_USER).await {
            Ok(info) => {
                reports.push(kmsuser::report(info.as_ref()));
                hsms.extend(info.map(|info| Hsm::new(session, info)));
            }
            Err(error) if reach::is_lost(&error) => pending.push(hsm_id),
            Err(error) => return Err(failure::of_command(&hsm_id, &error).into()),
        }
    }
    may_log_in(&reports).map_err(|code| {
        let message = format!("kmsuser, as {} HSMs report it: {}", reports.len(), code.as_str());
        ConnectFailure::new(failure::from_domain(code), message)
    })?;
    Ok((hsms, pending))
}

fn claim_stop(hsm_id: &str, error: CommandError) -> Stop {
    use hsm_client::{HsmError, ReturnCode};
    match error {
        CommandError::Hsm(HsmError::Refused(ReturnCode::ClaimHeld)) => {
            let message = format!("{hsm_id}: the HSM is claimed by another custom key store (INV-44)");
            ConnectFailure::new(ConnectionErrorCode::InternalError, message).into()
        }
        error => stop(hsm_id, error),
    }
}

/// The event that an attempt's end is for the state machine.
pub(super) fn event(failure: &ConnectFailure) -> Event {
    Event::ConnectFailed(failure::to_domain(failure.code))
}
