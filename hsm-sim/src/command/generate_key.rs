//! GenerateKey: new AES-256 material, exactly once per key id (P2, INV-19).

use hsm_protocol::limits::OP_ID;
use hsm_protocol::message::{GenerateKeyReply, GenerateKeyRequest, MaskedKeyContent, ReadKeyReply, UserType};
use hsm_protocol::{KeyId, ReturnCode};

use crate::dispatch::Refusal;
use crate::hsm::Hsm;
use crate::seal;
use crate::sessions::Session;
use crate::vault::key::Key;
use crate::vault::{Outcome, fixed, internal, text};

/// Makes a key owned by the session's crypto user, durably. The same key id and operation id give the same key.
///
/// # Errors
/// `KeyExists` with the record if another operation made it (`KeyAccessDenied` if for another user); `NotLoggedIn`,
/// `RoleDenied`, `FenceTooLow`, `InvalidArgument`, `StorageFull`.
pub(crate) async fn run(
    hsm: &Hsm,
    session: &Session,
    request: &GenerateKeyRequest,
) -> Result<GenerateKeyReply, Refusal> {
    let owner = session.user_of_type(UserType::Cu)?;
    let id = KeyId::try_from(&request.key_id[..]).map_err(|_| ReturnCode::InvalidArgument)?;
    let op_id = fixed::<OP_ID>(&request.op_id)?;
    for field in [&request.label, &request.namespace, &request.name, &request.object_uid] {
        text(field, false)?;
    }
    let _turn = hsm.keys.turn(&id).await;
    hsm.admit(session, request.fence)?;
    if let Some((existing, conflict)) = hsm.keys.find(&id) {
        if existing.owner != owner {
            return Err(ReturnCode::KeyAccessDenied.into());
        }
        if existing.op_id == op_id {
            return Ok(reply(&existing, false));
        }
        let record = ReadKeyReply { key: Some(existing.record(conflict)) };
        return Err(Refusal::with_body(ReturnCode::KeyExists, &record));
    }
    let key = fresh(hsm, id, &owner, request)?;
    let made = reply(&key, true);
    hsm.keys.save(&hsm.store, key).await?;
    tracing::info!(key_id = %id, handle = made.handle, "key generated");
    Ok(made)
}

fn fresh(hsm: &Hsm, id: KeyId, owner: &str, request: &GenerateKeyRequest) -> Outcome<Key> {
    let backing_key_id: [u8; 16] = seal::random().map_err(internal)?;
    let content = MaskedKeyContent {
        key_id: id.0.to_vec(),
        backing_key_id: backing_key_id.to_vec(),
        material: seal::random_key().map_err(internal)?.to_vec(),
        label: request.label.clone(),
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        object_uid: request.object_uid.clone(),
        op_id: request.op_id.clone(),
        owner: owner.to_owned(),
        enabled: true,
        attribute_version: 1,
    };
    Key::from_content(&content, hsm.keys.next_handle()).ok_or(ReturnCode::Internal)
}

fn reply(key: &Key, created: bool) -> GenerateKeyReply {
    GenerateKeyReply { handle: key.handle, fingerprint: key.fingerprint.to_vec(), created }
}
