//! ExtractMaskedKey and InsertMaskedKey: a key's way to the other HSMs, opaque to whoever carries it (INV-54).

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{
    ExtractMaskedKeyReply, ExtractMaskedKeyRequest, InsertMaskedKeyReply, InsertMaskedKeyRequest, UserType,
};

use super::key_use::owned;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;
use crate::vault::keys::Inserted;

/// Seals a key of the session's user under the cluster's masking key.
///
/// # Errors
/// `KeyNotUsable` for a key in conflict; those of [`owned`].
pub(crate) fn extract(
    hsm: &Hsm,
    session: &Session,
    request: &ExtractMaskedKeyRequest,
) -> Outcome<ExtractMaskedKeyReply> {
    let (key, conflict) = owned(hsm, session, &request.key_id)?;
    if conflict {
        return Err(ReturnCode::KeyNotUsable);
    }
    Ok(ExtractMaskedKeyReply { masked: hsm.cluster()?.masking.mask(&key)? })
}

/// Takes in a key of the session's user, durably. The same material again is success.
///
/// # Errors
/// `KeyNotUsable` if other material was there: both are kept and the key is in conflict (INV-06); `CiphertextInvalid`
/// if it was not sealed in this cluster; `KeyAccessDenied` for another user's key; `FenceTooLow`, `StorageFull`.
pub(crate) async fn insert(
    hsm: &Hsm,
    session: &Session,
    request: &InsertMaskedKeyRequest,
) -> Outcome<InsertMaskedKeyReply> {
    let user = session.user_of_type(UserType::Cu)?;
    hsm.admit(session, request.fence)?;
    let key = hsm.cluster()?.masking.unmask(&request.masked)?;
    if key.owner != user {
        return Err(ReturnCode::KeyAccessDenied);
    }
    let (inserted, stored) = hsm.keys.insert(&hsm.store, key).await?;
    match inserted {
        Inserted::New | Inserted::Same => {
            Ok(InsertMaskedKeyReply { handle: stored.handle, fingerprint: stored.fingerprint.to_vec() })
        }
        Inserted::Conflict => {
            tracing::error!(key_id = %stored.id, "two different materials for one key id: both kept, key unusable");
            Err(ReturnCode::KeyNotUsable)
        }
    }
}
