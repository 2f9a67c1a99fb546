//! What the operations need of the HSMs, as a trait: the gateway's only way to key material.
//!
//! Implemented over `hsm-client` pools in the `cluster` module. Plaintext stays in zeroising buffers (INV-55).

use std::sync::Arc;

use futures::future::BoxFuture;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Why the HSMs did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// No HSM of the cluster answered in time. Transient: the caller may retry (CKS-95).
    #[error("failed to reach any HSM of the cluster")]
    Unavailable,
    /// The connection is not live any more in the HSMs: the store is being disconnected (D12).
    #[error("failed to use the store's connection: it was dropped")]
    NotConnected,
    /// The backing key is not in the cluster.
    #[error("failed to find the backing key in the cluster")]
    KeyMissing,
    /// The HSM refuses the key: disabled or in conflict (INV-49).
    #[error("failed to use the key: the HSM refuses it")]
    KeyNotUsable,
    /// Wrong context, wrong key, damaged or foreign ciphertext: not told apart (INV-60).
    #[error("failed to open the ciphertext")]
    CiphertextInvalid,
    /// The HSMs have more requests than they take.
    #[error("failed to place the request: the HSMs are busy")]
    Busy,
    /// Anything else; the cause is in the log.
    #[error("failed to process the request in the HSM")]
    Internal,
}

/// A data key and its sealed form.
pub struct DataKey {
    /// The data key sealed under the KMS key.
    pub blob: Vec<u8>,
    /// The data key itself, when it was asked for.
    pub plaintext: Option<Zeroizing<Vec<u8>>>,
}

/// A connected store: cryptography with the keys in it. Every method is safe to repeat.
pub trait StoreCrypto: Send + Sync {
    /// Seals `plaintext` under the key, bound to the canonical encryption context `aad`.
    fn encrypt<'a>(
        &'a self,
        key_id: Uuid,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, CryptoError>>;

    /// Opens `blob`, if it was sealed with the same `aad`.
    fn decrypt<'a>(&'a self, blob: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, CryptoError>>;

    /// Makes `length` random bytes in the HSM and seals them under the key.
    fn generate_data_key<'a>(
        &'a self,
        key_id: Uuid,
        length: usize,
        aad: &'a [u8],
        with_plaintext: bool,
    ) -> BoxFuture<'a, Result<DataKey, CryptoError>>;

    /// Makes `length` random bytes in the HSM.
    fn generate_random(&self, length: usize) -> BoxFuture<'_, Result<Zeroizing<Vec<u8>>, CryptoError>>;
}

/// The connected stores.
pub trait ConnectedStores: Send + Sync {
    /// The connection number `generation` of a store of this namespace; none when this replica has none.
    fn store(&self, namespace: &str, custom_key_store_id: &str, generation: i64) -> Option<Arc<dyn StoreCrypto>>;
}
