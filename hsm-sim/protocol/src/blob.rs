//! Ciphertext blob (D9): `version | key id 16 | backing key id 16 | random 16 | ciphertext | tag 16`.
//!
//! Only the header is read here, so that the gateway can find the key without the HSM. The header and the canonical
//! encryption context are the additional authenticated data: nothing in it can be changed.

use crate::key_id::KeyId;
use crate::limits::MAX_PLAINTEXT;

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

/// How a message's key and nonce come from the random value; the first byte of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BlobVersion {
    /// Both are derived from it. Still decrypted, no longer made.
    DerivedNonce = 1,
    /// The key is derived from it, the nonce is its first 96 bits.
    OpenNonce = 2,
}

impl BlobVersion {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::DerivedNonce, Self::OpenNonce];
}

/// Header of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobHeader {
    /// How it was sealed.
    pub version: BlobVersion,
    /// The KMS key.
    pub key_id: KeyId,
    /// The material within the key.
    pub backing_key_id: [u8; 16],
    /// Random value that makes the key and the nonce those of this message alone.
    pub random: [u8; 16],
}

impl BlobHeader {
    /// Header of a new blob.
    #[must_use]
    pub fn new(key_id: KeyId, backing_key_id: [u8; 16], random: [u8; 16]) -> Self {
        Self { version: BlobVersion::OpenNonce, key_id, backing_key_id, random }
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0] = self.version as u8;
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
        let version = BlobVersion::ALL.into_iter().find(|known| *known as u8 == *version).ok_or(BlobError)?;
        let (key_id, rest) = rest.split_first_chunk::<16>().ok_or(BlobError)?;
        let (backing_key_id, rest) = rest.split_first_chunk::<16>().ok_or(BlobError)?;
        let random = rest.first_chunk::<16>().ok_or(BlobError)?;
        let (key_id, backing_key_id, random) = (KeyId(*key_id), *backing_key_id, *random);
        Ok((Self { version, key_id, backing_key_id, random }, sealed))
    }
}

/// Additional authenticated data of a blob: the header and the canonical encryption context. The header has a fixed
/// length, so the concatenation has one reading only.
#[must_use]
pub fn additional_data(header: &[u8; HEADER_LENGTH], encryption_context: &[u8]) -> Vec<u8> {
    [&header[..], encryption_context].concat()
}
