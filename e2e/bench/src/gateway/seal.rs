//! The ceiling of the way to the HSMs: a key in this process, used as cheaply as the library can.
//!
//! Blobs have the length and the header of an HSM's, so that everything around the seal does the same work.

use anyhow::Result;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use futures::FutureExt;
use futures::future::BoxFuture;
use hsm_protocol::{BlobHeader, KeyId};
use kms_gateway::crypto::{CryptoError, DataKey, StoreCrypto};
use uuid::Uuid;
use zeroize::Zeroizing;

const NONCE: usize = 12;

/// A store whose only key is in memory.
pub(super) struct InProcessSeal(LessSafeKey);

impl InProcessSeal {
    /// A new key.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub(super) fn new() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(&mut key[..])?;
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..])?)))
    }

    fn seal(&self, key_id: Uuid, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| CryptoError::Internal)?;
        let header = BlobHeader::new(KeyId(key_id.into_bytes()), [0; 16], random).encode();
        let mut blob = Vec::with_capacity(header.len() + plaintext.len() + 16);
        blob.extend_from_slice(&header);
        blob.extend_from_slice(plaintext);
        let body = blob.get_mut(header.len()..).ok_or(CryptoError::Internal)?;
        let tag = self.0.seal_in_place_separate_tag(nonce(&random)?, Aad::from(aad), body);
        blob.extend_from_slice(tag.map_err(|_| CryptoError::Internal)?.as_ref());
        Ok(blob)
    }

    fn open(&self, blob: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (header, sealed) = BlobHeader::parse(blob).map_err(|_| CryptoError::CiphertextInvalid)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let opened = self.0.open_in_place(nonce(&header.random)?, Aad::from(aad), &mut buffer);
        let length = opened.map_err(|_| CryptoError::CiphertextInvalid)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn nonce(random: &[u8; 16]) -> Result<Nonce, CryptoError> {
    let first = random.first_chunk::<NONCE>().ok_or(CryptoError::Internal)?;
    Ok(Nonce::assume_unique_for_key(*first))
}

impl StoreCrypto for InProcessSeal {
    fn encrypt<'a>(
        &'a self,
        key_id: Uuid,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, CryptoError>> {
        async move { self.seal(key_id, plaintext, aad) }.boxed()
    }

    fn decrypt<'a>(&'a self, blob: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, CryptoError>> {
        async move { self.open(blob, aad) }.boxed()
    }

    fn generate_data_key<'a>(
        &'a self,
        key_id: Uuid,
        length: usize,
        aad: &'a [u8],
        with_plaintext: bool,
    ) -> BoxFuture<'a, Result<DataKey, CryptoError>> {
        async move {
            let plaintext = self.random(length)?;
            let blob = self.seal(key_id, &plaintext, aad)?;
            Ok(DataKey { blob, plaintext: with_plaintext.then_some(plaintext) })
        }
        .boxed()
    }

    fn generate_random(&self, length: usize) -> BoxFuture<'_, Result<Zeroizing<Vec<u8>>, CryptoError>> {
        async move { self.random(length) }.boxed()
    }
}

impl InProcessSeal {
    fn random(&self, length: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        rand::fill(&mut bytes).map_err(|_| CryptoError::Internal)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sealed_opens_with_the_same_context_only() {
        let store = InProcessSeal::new().unwrap();
        let blob = store.encrypt(Uuid::nil(), b"plaintext", b"context").await.unwrap();
        assert_eq!(store.decrypt(&blob, b"context").await.unwrap().as_slice(), b"plaintext");
        assert!(store.decrypt(&blob, b"another").await.is_err());
    }
}
