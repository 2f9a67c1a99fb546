//! Use of keys (D9). Changes nothing in the HSM, so each of these may be repeated on another one.

use crate::error::HsmError;
use crate::session::Session;
use hsm_protocol::key_id::fixed;
use hsm_protocol::{Command, KeyId, in_place, message as m};
use zeroize::Zeroizing;

/// A plaintext and the key it was under. No `Debug`: it is what the whole product protects.
pub struct Decrypted {
    /// The plaintext, wiped on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The key named by the ciphertext.
    pub key_id: KeyId,
}

/// A data key. No `Debug`.
pub struct DataKey {
    /// The data key encrypted under the KMS key.
    pub blob: Vec<u8>,
    /// The data key in the clear, if asked for; wiped on drop.
    pub plaintext: Option<Zeroizing<Vec<u8>>>,
}

impl Session {
    /// Encrypts 1 to 4,096 bytes; `encryption_context` is its canonical form.
    ///
    /// # Errors
    /// `InvalidObjectHandle`, `KeyNotUsable`, `DelegationNotLive`, `MessageTooLarge`.
    pub async fn encrypt(
        &self,
        key_id: KeyId,
        plaintext: &[u8],
        encryption_context: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        let request = in_place::EncryptRequest { key_id: &key_id.0, plaintext, encryption_context };
        let answer = self.exchange(Command::Encrypt, &request).await?;
        Ok(in_place::EncryptReply::decode(&answer)?.blob.to_vec())
    }

    /// Decrypts a ciphertext blob.
    ///
    /// # Errors
    /// `CiphertextInvalid` for a wrong context, another key or damage alike (INV-60); `KeyNotUsable`,
    /// `DelegationNotLive`.
    pub async fn decrypt(&self, blob: &[u8], encryption_context: &[u8]) -> Result<Decrypted, HsmError> {
        let answer = self.exchange(Command::Decrypt, &in_place::DecryptRequest { blob, encryption_context }).await?;
        let reply = in_place::DecryptReply::decode(&answer)?;
        Ok(Decrypted { plaintext: Zeroizing::new(reply.plaintext.to_vec()), key_id: KeyId(fixed(reply.key_id)?) })
    }

    /// Makes a random data key of 1 to 1,024 bytes and encrypts it.
    ///
    /// # Errors
    /// As [`Self::encrypt`], and `InvalidArgument` for an impossible length.
    pub async fn generate_data_key(
        &self,
        key_id: KeyId,
        length: u32,
        encryption_context: &[u8],
        with_plaintext: bool,
    ) -> Result<DataKey, HsmError> {
        let request = m::GenerateDataKeyRequest {
            key_id: key_id.0.to_vec(),
            length,
            encryption_context: encryption_context.to_vec(),
            with_plaintext,
        };
        let mut reply = self.call(&request).await?;
        let blob = std::mem::take(&mut reply.blob);
        let plaintext = with_plaintext.then(|| Zeroizing::new(std::mem::take(&mut reply.plaintext)));
        Ok(DataKey { blob, plaintext })
    }

    /// 1 to 1,024 random bytes.
    ///
    /// # Errors
    /// `InvalidArgument` for an impossible length.
    pub async fn generate_random(&self, length: u32) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        let mut reply = self.call(&m::GenerateRandomRequest { length }).await?;
        Ok(Zeroizing::new(std::mem::take(&mut reply.random)))
    }
}
