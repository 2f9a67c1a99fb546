//! ReadKey: one record, never its material (read back of P2).

use hsm_protocol::message::{ReadKeyReply, ReadKeyRequest};
use hsm_protocol::{KeyId, ReturnCode};

use super::key_use::readable_owner;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;

/// The record of a key that the session's user owns; an officer reads every record.
///
/// # Errors
/// `InvalidObjectHandle` for no key and for somebody else's alike (INV-60); `NotLoggedIn`, `DelegationNotLive`.
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &ReadKeyRequest) -> Outcome<ReadKeyReply> {
    let id = KeyId::try_from(&request.key_id[..]).map_err(|_| ReturnCode::InvalidArgument)?;
    let owner = readable_owner(session)?;
    let (key, conflict) = hsm.keys.find(&id).ok_or(ReturnCode::InvalidObjectHandle)?;
    if owner.is_some_and(|owner| owner != key.owner) {
        return Err(ReturnCode::InvalidObjectHandle);
    }
    Ok(ReadKeyReply { key: Some(key.record(conflict)) })
}
