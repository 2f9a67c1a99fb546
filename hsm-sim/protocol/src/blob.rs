//! Ciphertext blob (D9): `version | key id 16 | backing key id 16 | random 16 | ciphertext | tag 16`.
//!
//! Only the header is read here, so that the gateway can find the key without the HSM. The header and the canonical
//! encryption context are the additional authenticated data: nothing in it can be changed.

use crate::key_id::KeyId;
use crate::limits::MAX_PLAINTEXT;

/// The only version there is.
pub const VERSION: u8 = 1;
/// Length of the header, bytes.
pub const HEADER_LENGTH: usize = 49;
/// Length of the authentication tag, bytes.
pub const TAG_LENGTH: usize = 16;
/// Longest blob, bytes.
pub const MAX_LENGTH: usize = HEADER_LENGTH + MAX_PLAINTEXT + TAG_LENGTH;

/// The bytes are not a ciphertext blob of this product. One variant only: the reasons must not be told apart (INV-60).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read a ciphertext blob")]
pub struct BlobError;

/// Header of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHeader {
    /// The KMS key.
    pub key_id: KeyId,
    /// The material within the key.
    pub backing_key_id: [u8; 16],
    /// Random value from which the per-message key and nonce are derived.
    pub random: [u8; 16],
}

impl BlobHeader {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0] = VERSION;
        bytes[1..17].copy_from_slice(&self.key_id.0);
        bytes[17..33].copy_from_slice(&self.backing_key_id);
        bytes[33..].copy_from_slice(&self.random);
        bytes
    }

    /// Splits a blob into its header and `ciphertext | tag`.
    ///
    /// # Errors
    /// [`BlobError`] if the version is unknown or the length is impossible (no plaintext is empty).
    pub fn parse(blob: &[u8]) -> Result<(Self, &[u8]), BlobError> {
        if blob.len() > MAX_LENGTH || blob.len() <= HEADER_LENGTH + TAG_LENGTH {
            return Err(BlobError);
        }
        let (header, sealed) = blob.split_first_chunk::<HEADER_LENGTH>().ok_or(BlobError)?;
        let (version, rest) = header.split_first().ok_or(BlobError)?;
        if *version != VERSION {
            return Err(BlobError);
        }
        let (key_id, rest) = rest.split_first_chunk::<16>().ok_or(BlobError)?;
        let (backing_key_id, rest) = rest.split_first_chunk::<16>().ok_or(BlobError)?;
        let random = rest.first_chunk::<16>().ok_or(BlobError)?;
        Ok((Self { key_id: KeyId(*key_id), backing_key_id: *backing_key_id, random: *random }, sealed))
    }
}

/// Additional authenticated data of a blob: the header and the canonical encryption context. The header has a fixed
/// length, so the concatenation has one reading only.
#[must_use]
pub fn additional_data(header: &[u8; HEADER_LENGTH], encryption_context: &[u8]) -> Vec<u8> {
    [&header[..], encryption_context].concat()
}
