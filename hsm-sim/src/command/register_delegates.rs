//! RegisterDelegates: a crypto user lets gateway certificates use its keys (D12).

use hsm_protocol::ReturnCode;
use hsm_protocol::limits::MAX_DELEGATES;
use hsm_protocol::message::{RegisterDelegatesReply, RegisterDelegatesRequest, UserType};

use crate::hsm::Hsm;
use crate::sessions::{Login, Session};
use crate::store::record::RecordKind;
use crate::vault::rows::put;
use crate::vault::{Outcome, fixed, storage_code, text};

/// Registers a generation, durably. Registering it again replaces its clients; sessions of those that were taken off
/// have ended when it returns, the others are not disturbed.
///
/// # Errors
/// `NotLoggedIn`, `RoleDenied`, `FenceTooLow`, `InvalidArgument`, `DelegationNotLive` if the generation was dropped.
pub(crate) async fn run(
    hsm: &Hsm,
    session: &Session,
    request: &RegisterDelegatesRequest,
) -> Outcome<RegisterDelegatesReply> {
    let owner = session.user_of_type(UserType::Cu)?;
    let store_id = text(&request.store_id, false)?;
    let clients: Outcome<Vec<[u8; 32]>> = request.client_spki_sha256.iter().map(|key| fixed(key)).collect();
    let clients = clients?;
    if clients.is_empty() || clients.len() > MAX_DELEGATES || request.generation == 0 {
        return Err(ReturnCode::InvalidArgument);
    }
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    let entry = hsm.delegates.registered(store_id, request.generation, &owner, &clients)?;
    let stored = hsm.store.commit(vec![put(RecordKind::Delegates, store_id.as_bytes(), &entry)]).await;
    stored.map_err(|error| storage_code(&error))?;
    for replaced in hsm.delegates.publish(&entry) {
        replaced.end().await;
    }
    hsm.sessions.end(is_no_longer_admitted).await;
    Ok(RegisterDelegatesReply {})
}

fn is_no_longer_admitted(session: &Session) -> bool {
    match &**session.login() {
        Login::Delegate(generation) => !generation.admits(&session.client.spki_sha256),
        Login::Nobody | Login::User { .. } => false,
    }
}
