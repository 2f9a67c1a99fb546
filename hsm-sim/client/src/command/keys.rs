//! Keys of one HSM: creation, wrapped copies, records, state (P2, spec 1.9).

use super::OpId;
use crate::error::HsmError;
use crate::session::Session;
use hsm_protocol::key_id::fixed;
use hsm_protocol::{KeyId, message as m};

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The KMS key id, minted before by the intent (P2, step 2).
    pub key_id: KeyId,
    /// The intent's operation id.
    pub op_id: OpId,
    /// ARN of the KMS key (D1): stored for ever and never derived again.
    pub label: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Uid of the object that holds the intent (D2).
    pub object_uid: String,
    /// The caller's fence; 0 = none held.
    pub fence: u64,
}

/// A key that is now durable on this one HSM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedKey {
    /// Handle on this HSM.
    pub handle: u64,
    /// Commitment to the material: equal on every HSM (INV-06).
    pub fingerprint: [u8; 32],
    /// False if the same key id and operation id had made it before.
    pub created: bool,
}

/// A key taken in from another HSM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InsertedKey {
    /// Handle on this HSM.
    pub handle: u64,
    /// Commitment to the material.
    pub fingerprint: [u8; 32],
}

/// What one HSM knows about one key; never its material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The KMS key.
    pub key_id: KeyId,
    /// Handle on this HSM.
    pub handle: u64,
    /// Commitment to the material.
    pub fingerprint: [u8; 32],
    /// ARN of the KMS key.
    pub label: String,
    /// Namespace of the object it was made for.
    pub namespace: String,
    /// Name of that object.
    pub name: String,
    /// Uid of that object.
    pub object_uid: String,
    /// Operation that made it.
    pub op_id: Vec<u8>,
    /// Whether it may be used (INV-49).
    pub enabled: bool,
    /// Version of `enabled`; only ever rises.
    pub attribute_version: u64,
    /// Two different fingerprints exist under this id (INV-06).
    pub conflict: bool,
    /// Crypto user that owns it.
    pub owner: String,
}

/// Which records to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySearch {
    /// Empty = any.
    pub namespace: String,
    /// Empty = any; needs a namespace.
    pub name: String,
    /// Continue after this key.
    pub after: Option<KeyId>,
    /// 1 to 1000.
    pub limit: u32,
}

/// One page of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKeys {
    /// In order of key id.
    pub keys: Vec<KeyRecord>,
    /// Whether there are more after the last one.
    pub truncated: bool,
}

impl Session {
    /// Makes AES-256 material for a key id, once: the same key id and operation id return what is there (P2, step 3).
    ///
    /// # Errors
    /// `KeyExists` when another operation made this key id ([`Self::read_key`] then tells which), `NotLoggedIn`,
    /// `FenceTooLow`, `StorageFull`.
    pub async fn generate_key(&self, key: &NewKey) -> Result<GeneratedKey, HsmError> {
        let request = m::GenerateKeyRequest {
            key_id: key.key_id.0.to_vec(),
            op_id: key.op_id.to_vec(),
            label: key.label.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            object_uid: key.object_uid.clone(),
            fence: key.fence,
        };
        let reply = self.call(&request).await?;
        Ok(GeneratedKey { handle: reply.handle, fingerprint: fixed(&reply.fingerprint)?, created: reply.created })
    }

    /// The key, sealed under the cluster's masking key, for another HSM of the cluster; opaque to us (P2, step 4).
    ///
    /// # Errors
    /// `InvalidObjectHandle`, `KeyAccessDenied`, `NotLoggedIn`.
    pub async fn extract_masked_key(&self, key_id: KeyId) -> Result<Vec<u8>, HsmError> {
        self.call(&m::ExtractMaskedKeyRequest { key_id: key_id.0.to_vec() }).await.map(|reply| reply.masked)
    }

    /// Takes in a masked key; success if the same material is there already, and never overwrites (INV-06).
    ///
    /// # Errors
    /// `CiphertextInvalid` when it was not masked in this cluster, `KeyNotUsable` on conflict, `FenceTooLow`.
    pub async fn insert_masked_key(&self, masked: &[u8], fence: u64) -> Result<InsertedKey, HsmError> {
        let reply = self.call(&m::InsertMaskedKeyRequest { masked: masked.to_vec(), fence }).await?;
        Ok(InsertedKey { handle: reply.handle, fingerprint: fixed(&reply.fingerprint)? })
    }

    /// Reads one key's record: the proof that a copy is stable on this HSM (INV-01).
    ///
    /// # Errors
    /// `InvalidObjectHandle` if this HSM has no such key.
    pub async fn read_key(&self, key_id: KeyId) -> Result<KeyRecord, HsmError> {
        let reply = self.call(&m::ReadKeyRequest { key_id: key_id.0.to_vec() }).await?;
        record(reply.key.ok_or_else(|| HsmError::Protocol("a key record is missing".into()))?)
    }

    /// Lists records by namespace and name, or page by page.
    ///
    /// # Errors
    /// `RoleDenied` for a gateway certificate, `InvalidArgument` for a limit outside 1 to 1000.
    pub async fn find_keys(&self, search: &KeySearch) -> Result<FoundKeys, HsmError> {
        let request = m::FindKeysRequest {
            namespace: search.namespace.clone(),
            name: search.name.clone(),
            after: search.after.map(|key_id| key_id.0.to_vec()).unwrap_or_default(),
            limit: search.limit,
        };
        let reply = self.call(&request).await?;
        let keys = reply.keys.into_iter().map(record).collect::<Result<_, _>>()?;
        Ok(FoundKeys { keys, truncated: reply.truncated })
    }

    /// Enables or disables a key; `version` must be above the stored one (INV-49).
    ///
    /// # Errors
    /// `InvalidArgument` for a version that is not, `InvalidObjectHandle`, `FenceTooLow`.
    pub async fn set_key_state(&self, key_id: KeyId, enabled: bool, version: u64, fence: u64) -> Result<(), HsmError> {
        let request = m::SetKeyStateRequest { key_id: key_id.0.to_vec(), enabled, version, fence };
        self.call(&request).await.map(drop)
    }
}

fn record(record: m::KeyRecord) -> Result<KeyRecord, HsmError> {
    Ok(KeyRecord {
        key_id: KeyId(fixed(&record.key_id)?),
        handle: record.handle,
        fingerprint: fixed(&record.fingerprint)?,
        label: record.label,
        namespace: record.namespace,
        name: record.name,
        object_uid: record.object_uid,
        op_id: record.op_id,
        enabled: record.enabled,
        attribute_version: record.attribute_version,
        conflict: record.conflict,
        owner: record.owner,
    })
}
