//! Keys on their way to another HSM of the cluster: sealed under the cluster's masking key, opaque to the carrier.

use hsm_protocol::ReturnCode;
use hsm_protocol::message::MaskedKeyContent;
use prost::Message;
use zeroize::Zeroizing;

use super::key::Key;
use super::{Outcome, internal};
use crate::seal::{self, SecretKey};

const KEY: &[u8] = b"keystores masked key v1";
const SNAPSHOT: &[u8] = b"keystores snapshot v1";

/// The cluster's masking key and the lineage it is bound to.
pub(crate) struct Masking {
    key: SecretKey,
    lineage: [u8; 32],
}

impl Masking {
    /// A masking key of this lineage.
    pub(crate) fn new(key: SecretKey, lineage: [u8; 32]) -> Self {
        Self { key, lineage }
    }

    /// Seals one key.
    ///
    /// # Errors
    /// `Internal` if the generator fails.
    pub(crate) fn mask(&self, key: &Key) -> Outcome<Vec<u8>> {
        let content = Zeroizing::new(key.content().encode_to_vec());
        seal::seal(&self.key, KEY, &self.lineage, &content).map_err(internal)
    }

    /// Opens a masked key of the same cluster; it has no handle yet.
    ///
    /// # Errors
    /// `CiphertextInvalid` if it was not sealed by a member of this cluster.
    pub(crate) fn unmask(&self, masked: &[u8]) -> Outcome<Key> {
        let content = seal::open(&self.key, KEY, &self.lineage, masked).map_err(|_| ReturnCode::CiphertextInvalid)?;
        let content = MaskedKeyContent::decode(&content[..]).map_err(|_| ReturnCode::InvalidArgument)?;
        Key::from_content(&content, 0).ok_or(ReturnCode::InvalidArgument)
    }

    /// Seals a part of a snapshot for a joining peer.
    ///
    /// # Errors
    /// `Internal` if the generator fails.
    pub(crate) fn seal_snapshot(&self, content: &[u8]) -> Outcome<Vec<u8>> {
        seal::seal(&self.key, SNAPSHOT, &self.lineage, content).map_err(internal)
    }

    /// Opens a part of a snapshot.
    ///
    /// # Errors
    /// `InvalidArgument` if it was not sealed by a member of this cluster.
    pub(crate) fn open_snapshot(&self, sealed: &[u8]) -> Outcome<Zeroizing<Vec<u8>>> {
        seal::open(&self.key, SNAPSHOT, &self.lineage, sealed).map_err(|_| ReturnCode::InvalidArgument)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hsm_protocol::KeyId;

    /// A key with this id and material.
    pub(crate) fn key(id: u8, material: u8) -> Key {
        let content = MaskedKeyContent {
            key_id: vec![id; 16],
            backing_key_id: vec![9; 16],
            material: vec![material; 32],
            label: "arn:aws:kms:local-1:000000000000:key/x".into(),
            namespace: "team".into(),
            name: format!("key-{id}"),
            object_uid: "uid".into(),
            op_id: vec![1; 16],
            owner: "kmsuser".into(),
            enabled: true,
            attribute_version: 1,
        };
        Key::from_content(&content, 1).expect("well formed")
    }

    #[test]
    fn a_masked_key_opens_only_in_its_cluster_and_keeps_its_fingerprint() {
        let masking = Masking::new(Zeroizing::new([1; 32]), [2; 32]);
        let masked = masking.mask(&key(1, 1)).unwrap();
        let opened = masking.unmask(&masked).unwrap();
        assert_eq!((opened.id, opened.fingerprint), (KeyId([1; 16]), key(1, 1).fingerprint));
        for other in [Masking::new(Zeroizing::new([0; 32]), [2; 32]), Masking::new(Zeroizing::new([1; 32]), [0; 32])] {
            assert_eq!(other.unmask(&masked).err(), Some(ReturnCode::CiphertextInvalid));
        }
        assert_eq!(masking.open_snapshot(&masked).err(), Some(ReturnCode::InvalidArgument));
    }

    #[test]
    fn a_masked_key_does_not_contain_its_material_and_a_fingerprint_depends_on_it() {
        let masking = Masking::new(Zeroizing::new([1; 32]), [2; 32]);
        let masked = masking.mask(&key(1, 0xab)).unwrap();
        assert!(!masked.windows(4).any(|window| window == [0xab; 4]));
        assert_ne!(key(1, 1).fingerprint, key(1, 2).fingerprint);
        assert_ne!(key(1, 1).fingerprint, key(2, 1).fingerprint);
    }
}
