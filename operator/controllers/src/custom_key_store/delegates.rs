//! Use-only delegates of a connection: registered through `kmsuser`'s sessions, dropped at disconnect (D12).

use hsm_client::{HsmError, ReturnCode, Session};

use super::{error::StoreError, left_claims};
use crate::{
    context::Context,
    effect::{self, Site},
    fences,
};

/// A store's connection, as the HSMs know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connection {
    /// `cks-…`, which is also the holder of the cluster's claim in the HSMs (INV-44).
    pub(super) store_id: String,
    /// Number of the connection.
    pub(super) generation: u64,
}

/// What a control command did not do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// This process may not, or may not any more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HSM refused or did not answer.
    #[error(transparent)]
    Hsm(HsmError),
}

/// Does one control command under this leader's fence: leader first, fence before the first command, and a refused fence means deposed.
pub(super) async fn commanded<T>(
    context: &Context,
    session: &Session,
    site: Site,
    command: impl AsyncFnOnce(u64) -> Result<T, HsmError>,
) -> Result<T, CommandError> {
    let fence = match fences::fence_on(context, session).await {
        Ok(fence) => fence,
        Err(fences::FenceError::Hsm(error)) => return Err(CommandError::Hsm(error)),
        Err(error) => return Err(StoreError::from(error).into()),
    };
    context.leader.check().map_err(StoreError::from)?;
    match effect::at(site, command(fence)).await {
        Err(HsmError::Refused(ReturnCode::FenceTooLow)) => {
            context.fences.forget(&session.identity().identity_fingerprint);
            Err(StoreError::Deposed.into())
        }
        outcome => outcome.map_err(CommandError::Hsm),
    }
}

/// Claims the cluster for the store in one HSM (INV-44), and ends every earlier connection there: an HSM that was away during a disconnect
/// must not go on honouring what was disconnected, whatever becomes of this connection (D12). A claim that a removed store could not give back
/// there is given back in its stead.
pub(super) async fn claim(context: &Context, session: &Session, connection: &Connection) -> Result<(), CommandError> {
    let Connection { store_id, generation } = connection;
    match claim_for(context, session, store_id).await {
        Err(CommandError::Hsm(HsmError::Refused(ReturnCode::ClaimHeld))) => {
            Box::pin(left_claims::end(context, session)).await?;
            claim_for(context, session, store_id).await?;
        }
        claimed => claimed?,
    }
    let earlier = generation.saturating_sub(1);
    let drop = async |fence| session.drop_generation(store_id, earlier, fence).await;
    commanded(context, session, Site::ConnectDropEarlier, drop).await.map(|_drained| ())
}

async fn claim_for(context: &Context, session: &Session, store_id: &str) -> Result<(), CommandError> {
    let claim = async |fence| session.claim_cluster(store_id, fence).await;
    commanded(context, session, Site::ConnectClaimCluster, claim).await
}

/// Lets the gateway use the store's keys through one HSM under this generation.
pub(super) async fn register(
    context: &Context,
    session: &Session,
    connection: &Connection,
    delegates: &[[u8; 32]],
) -> Result<(), CommandError> {
    let Connection { store_id, generation } = connection;
    let register = async |fence| session.register_delegates(store_id, *generation, delegates, fence).await;
    commanded(context, session, Site::ConnectRegisterDelegates, register).await
}

/// Ends this and every earlier generation in one HSM; it is durable there when this returns.
pub(super) async fn drop_generation(
    context: &Context,
    session: &Session,
    connection: &Connection,
) -> Result<(), CommandError> {
    let Connection { store_id, generation } = connection;
    let drop = async |fence| session.drop_generation(store_id, *generation, fence).await;
    let drained = commanded(context, session, Site::DisconnectDropGeneration, drop).await?;
    tracing::info!(hsm = session.identity().hsm_id, generation, drained, "dropped the connection's generation");
    Ok(())
}

/// Gives the store's claim on the cluster back in one HSM.
pub(super) async fn release(context: &Context, session: &Session, connection: &Connection) -> Result<(), CommandError> {
    let release = async |fence| session.release_claim(&connection.store_id, fence).await;
    commanded(context, session, Site::DisconnectReleaseClaim, release).await
}
