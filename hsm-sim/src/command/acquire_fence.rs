//! AcquireFence (P5).

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{AcquireFenceReply, AcquireFenceRequest};

use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::store::record::RecordKind;
use crate::vault::rows::put;
use crate::vault::{Outcome, storage_code, text};

/// Hands out the next fence, durably; from then on lower ones are refused and the sessions of other holders end, so
/// that a deposed leader is not counted as logged in (D12).
///
/// # Errors
/// `InvalidArgument` for an empty holder, `StorageFull`, `StorageFailed`.
pub(crate) async fn run(hsm: &Hsm, session: &Session, request: &AcquireFenceRequest) -> Outcome<AcquireFenceReply> {
    let holder = text(&request.holder, false)?;
    let _change = hsm.change.lock().await;
    let row = hsm.control.next_fence(holder);
    let stored = hsm.store.commit(vec![put(RecordKind::Control, &[], &row)]).await;
    stored.map_err(|error| storage_code(&error))?;
    let fence = row.fence;
    hsm.control.publish(row);
    session.set_fence_holder(holder);
    let deposed = |other: &Session| other.fence_holder().is_some_and(|other_holder| other_holder != holder);
    hsm.sessions.end(|other| !other.is(session) && deposed(other)).await;
    if session.closed.is_cancelled() { Err(ReturnCode::FenceTooLow) } else { Ok(AcquireFenceReply { fence }) }
}
