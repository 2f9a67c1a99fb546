//! ClaimCluster and ReleaseClaim (INV-44).

use hsm_protocol::message::{ClaimClusterReply, ClaimClusterRequest, ReleaseClaimReply, ReleaseClaimRequest};

use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::store::record::RecordKind;
use crate::vault::rows::{ControlRow, put};
use crate::vault::{Outcome, storage_code, text};

/// Claims the cluster for a store, durably; claiming it again is success.
///
/// # Errors
/// `ClaimHeld` if another store has it, `FenceTooLow`, `InvalidArgument`, `StorageFull`.
pub(crate) async fn claim(hsm: &Hsm, session: &Session, request: &ClaimClusterRequest) -> Outcome<ClaimClusterReply> {
    let holder = text(&request.holder, false)?;
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    store(hsm, hsm.control.claimed(holder)?).await?;
    Ok(ClaimClusterReply {})
}

/// Gives the claim back; giving it back again is success.
///
/// # Errors
/// As [`claim`].
pub(crate) async fn release(hsm: &Hsm, session: &Session, request: &ReleaseClaimRequest) -> Outcome<ReleaseClaimReply> {
    let holder = text(&request.holder, false)?;
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    store(hsm, hsm.control.released(holder)?).await?;
    Ok(ReleaseClaimReply {})
}

async fn store(hsm: &Hsm, changed: Option<ControlRow>) -> Outcome<()> {
    let Some(row) = changed else { return Ok(()) };
    let stored = hsm.store.commit(vec![put(RecordKind::Control, &[], &row)]).await;
    stored.map_err(|error| storage_code(&error))?;
    hsm.control.publish(row);
    Ok(())
}
