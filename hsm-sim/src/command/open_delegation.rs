//! OpenDelegation: a gateway session begins to use a store's keys (D12).

use hsm_protocol::message::{OpenDelegationReply, OpenDelegationRequest};

use crate::hsm::Hsm;
use crate::refusals::Refused;
use crate::sessions::{Login, Session};
use crate::vault::Outcome;

/// Binds the session to a live generation that names its certificate's key.
///
/// # Errors
/// `DelegationNotLive`, the same for every reason.
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &OpenDelegationRequest) -> Outcome<OpenDelegationReply> {
    let client = &session.client.spki_sha256;
    let generation = hsm.delegates.open(&request.store_id, request.generation, client).inspect_err(|_| {
        let why = hsm.delegates.why_not(&request.store_id, request.generation);
        let why =
            format_args!("generation {} of a store: {why}; client key {}", request.generation, hex::encode(client));
        hsm.refusals.note(Refused::Delegation, Some(&session.client.address), why);
    })?;
    tracing::info!(store_id = generation.store_id, generation = generation.number, "delegation opened");
    session.set_login(Login::Delegate(generation));
    Ok(OpenDelegationReply {})
}
