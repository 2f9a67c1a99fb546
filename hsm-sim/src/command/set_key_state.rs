//! SetKeyState: enable or disable a key on this HSM (INV-49).

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{SetKeyStateReply, SetKeyStateRequest};

use super::key_use::owned;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;
use crate::vault::key::Key;

/// Sets the state under a higher version, durably. The same version with the same state is success.
///
/// # Errors
/// `WrongState` for a version that is not above the stored one; `FenceTooLow`; those of [`owned`].
pub(crate) async fn run(hsm: &Hsm, session: &Session, request: &SetKeyStateRequest) -> Outcome<SetKeyStateReply> {
    let (key, _) = owned(hsm, session, &request.key_id)?;
    let _turn = hsm.keys.turn(&key.id).await;
    hsm.admit(session, request.fence)?;
    let (key, _) = hsm.keys.find(&key.id).ok_or(ReturnCode::InvalidObjectHandle)?;
    if request.version == key.attribute_version && request.enabled == key.enabled {
        return Ok(SetKeyStateReply {});
    }
    if request.version <= key.attribute_version {
        return Err(ReturnCode::WrongState);
    }
    let changed = Key { enabled: request.enabled, attribute_version: request.version, ..Key::clone(&key) };
    hsm.keys.save(&hsm.store, changed).await?;
    Ok(SetKeyStateReply {})
}
