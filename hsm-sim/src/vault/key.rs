//! One AES-256 key.

use aws_lc_rs::hmac;
use hsm_protocol::KeyId;
use hsm_protocol::key_id::fixed;
use hsm_protocol::message::{KeyDigest, KeyRecord, MaskedKeyContent};
use prost::Message;
use zeroize::Zeroizing;

use super::rows::KeyRow;
use crate::seal::{DerivingKey, SecretKey};

const FINGERPRINT: &[u8] = b"keystores key fingerprint v1\0";

/// A key as the HSM holds it. Secret inside: no `Debug`.
#[derive(Clone)]
pub(crate) struct Key {
    /// Id of the KMS key.
    pub(crate) id: KeyId,
    /// Id of this material.
    pub(crate) backing_key_id: [u8; 16],
    /// The material.
    pub(crate) material: SecretKey,
    /// The same, ready for deriving the keys of messages.
    pub(crate) deriving: DerivingKey,
    /// Number on this HSM (HSM-60).
    pub(crate) handle: u64,
    /// Commitment to the material.
    pub(crate) fingerprint: [u8; 32],
    /// ARN of the KMS key (HSM-65).
    pub(crate) label: String,
    /// Namespace of the object it was made for (D2).
    pub(crate) namespace: String,
    /// Name of that object.
    pub(crate) name: String,
    /// UID of that object.
    pub(crate) object_uid: String,
    /// Operation that made it.
    pub(crate) op_id: [u8; 16],
    /// User that owns it (HSM-61).
    pub(crate) owner: String,
    /// Disabled keys refuse crypto (INV-49).
    pub(crate) enabled: bool,
    /// Version of `enabled`; only ever rises.
    pub(crate) attribute_version: u64,
}

impl Key {
    /// What every HSM of the cluster holds alike; material inside.
    pub(crate) fn content(&self) -> MaskedKeyContent {
        MaskedKeyContent {
            key_id: self.id.0.to_vec(),
            backing_key_id: self.backing_key_id.to_vec(),
            material: self.material.to_vec(),
            label: self.label.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            object_uid: self.object_uid.clone(),
            op_id: self.op_id.to_vec(),
            owner: self.owner.clone(),
            enabled: self.enabled,
            attribute_version: self.attribute_version,
        }
    }

    /// Reads the content; the fingerprint is computed, never taken from anybody. `None` if a field is malformed.
    pub(crate) fn from_content(content: &MaskedKeyContent, handle: u64) -> Option<Self> {
        let id = KeyId::try_from(&content.key_id[..]).ok()?;
        let backing_key_id = fixed(&content.backing_key_id).ok()?;
        let material: SecretKey = Zeroizing::new(fixed(&content.material).ok()?);
        Some(Self {
            id,
            backing_key_id,
            handle,
            fingerprint: fingerprint(&id, &backing_key_id, &material),
            deriving: DerivingKey::new(&material),
            material,
            label: content.label.clone(),
            namespace: content.namespace.clone(),
            name: content.name.clone(),
            object_uid: content.object_uid.clone(),
            op_id: fixed(&content.op_id).ok()?,
            owner: content.owner.clone(),
            enabled: content.enabled,
            attribute_version: content.attribute_version,
        })
    }

    /// The row to store.
    pub(crate) fn row(&self) -> KeyRow {
        KeyRow { content: self.content().encode_to_vec(), handle: self.handle }
    }

    /// Reads a stored row; `None` if it is not one.
    pub(crate) fn from_row(row: &KeyRow) -> Option<Self> {
        Self::from_content(&MaskedKeyContent::decode(&row.content[..]).ok()?, row.handle)
    }

    /// Everything but the material.
    pub(crate) fn record(&self, conflict: bool) -> KeyRecord {
        KeyRecord {
            key_id: self.id.0.to_vec(),
            handle: self.handle,
            fingerprint: self.fingerprint.to_vec(),
            label: self.label.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            object_uid: self.object_uid.clone(),
            op_id: self.op_id.to_vec(),
            enabled: self.enabled,
            attribute_version: self.attribute_version,
            conflict,
            owner: self.owner.clone(),
            backing_key_id: self.backing_key_id.to_vec(),
        }
    }

    /// What peers compare.
    pub(crate) fn digest(&self) -> KeyDigest {
        KeyDigest {
            key_id: self.id.0.to_vec(),
            fingerprint: self.fingerprint.to_vec(),
            attribute_version: self.attribute_version,
            enabled: self.enabled,
        }
    }
}

/// Commitment to the material: HMAC-SHA-256 keyed by it. Equal on every HSM, and without the 256-bit key nothing can
/// be learnt from it or tested against it (unlike a KCV, HSM-66).
fn fingerprint(id: &KeyId, backing_key_id: &[u8; 16], material: &SecretKey) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &material[..]));
    context.update(FINGERPRINT);
    context.update(&id.0);
    context.update(backing_key_id);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}
