//! DropGeneration: the HSM's side of a disconnect (D12, INV-36).

use std::sync::Arc;

use hsm_protocol::message::{DropGenerationReply, DropGenerationRequest};

use crate::hsm::Hsm;
use crate::sessions::{Login, Session};
use crate::store::record::RecordKind;
use crate::vault::delegates::Generation;
use crate::vault::rows::put;
use crate::vault::{Outcome, storage_code, text};

/// Ends a generation and those below it, for ever. When it returns that is durable, no delegated operation of them
/// runs or will start, and their sessions are gone. Needs no login: it is the safe direction. What was dropped before costs
/// no write: every connect asks for it.
///
/// # Errors
/// `FenceTooLow`, `InvalidArgument`, `StorageFull`.
pub(crate) async fn run(hsm: &Hsm, session: &Session, request: &DropGenerationRequest) -> Outcome<DropGenerationReply> {
    let store_id = text(&request.store_id, false)?;
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    let entry = hsm.delegates.dropped(store_id, request.generation);
    if entry != hsm.delegates.present(store_id) {
        let stored = hsm.store.commit(vec![put(RecordKind::Delegates, store_id.as_bytes(), &entry)]).await;
        stored.map_err(|error| storage_code(&error))?;
    }
    let gone = hsm.delegates.publish(&entry);
    let mut open_operations_drained = 0;
    for generation in &gone {
        open_operations_drained += generation.end().await;
    }
    hsm.sessions.end(|other| is_delegate_of(other, &gone)).await;
    tracing::info!(store_id, generation = request.generation, "delegates dropped");
    Ok(DropGenerationReply { open_operations_drained })
}

fn is_delegate_of(session: &Session, gone: &[Arc<Generation>]) -> bool {
    match &**session.login() {
        Login::Delegate(generation) => gone.iter().any(|ended| Arc::ptr_eq(ended, generation)),
        Login::Nobody | Login::User { .. } => false,
    }
}
