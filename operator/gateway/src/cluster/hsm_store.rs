//! One live connection of a store: a pool of delegated sessions behind the trait that the operations use.

use futures::FutureExt;
use futures::future::BoxFuture;
use hsm_client::pool::{Pool, PoolError};
use hsm_client::{KeyId, ReturnCode};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, DataKey, StoreCrypto};

/// The pool of one connection generation of one store.
pub(super) struct HsmStore {
    pub(super) pool: Pool,
    pub(super) generation: i64,
}

impl StoreCrypto for HsmStore {
    fn encrypt<'a>(
        &'a self,
        key_id: Uuid,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, CryptoError>> {
        async move { self.pool.encrypt(wire_id(key_id), plaintext, aad).await.map_err(failed) }.boxed()
    }

    fn decrypt<'a>(&'a self, blob: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, CryptoError>> {
        async move { self.pool.decrypt(blob, aad).await.map(|opened| opened.plaintext).map_err(failed) }.boxed()
    }

    fn generate_data_key<'a>(
        &'a self,
        key_id: Uuid,
        length: usize,
        aad: &'a [u8],
        with_plaintext: bool,
    ) -> BoxFuture<'a, Result<DataKey, CryptoError>> {
        async move {
            let length = u32::try_from(length).map_err(|_| CryptoError::Internal)?;
            let made =
                self.pool.generate_data_key(wire_id(key_id), length, aad, with_plaintext).await.map_err(failed)?;
            Ok(DataKey { blob: made.blob, plaintext: made.plaintext })
        }
        .boxed()
    }

    fn generate_random(&self, length: usize) -> BoxFuture<'_, Result<Zeroizing<Vec<u8>>, CryptoError>> {
        async move {
            let length = u32::try_from(length).map_err(|_| CryptoError::Internal)?;
            self.pool.generate_random(length).await.map_err(failed)
        }
        .boxed()
    }
}

fn wire_id(key_id: Uuid) -> KeyId {
    KeyId(key_id.into_bytes())
}

/// What a refusal of the HSMs means for the request.
fn failed(error: PoolError) -> CryptoError {
    let PoolError::Refused(code) = error else {
        return CryptoError::Unavailable;
    };
    match code {
        ReturnCode::InvalidObjectHandle => CryptoError::KeyMissing,
        ReturnCode::KeyNotUsable => CryptoError::KeyNotUsable,
        ReturnCode::CiphertextInvalid => CryptoError::CiphertextInvalid,
        ReturnCode::DelegationNotLive | ReturnCode::NotLoggedIn => CryptoError::NotConnected,
        ReturnCode::Busy => CryptoError::Busy,
        ReturnCode::NotActive | ReturnCode::WrongState | ReturnCode::DeadlineExceeded => CryptoError::Unavailable,
        ReturnCode::Success
        | ReturnCode::LoginFailure
        | ReturnCode::KeyAccessDenied
        | ReturnCode::RoleDenied
        | ReturnCode::UserLocked
        | ReturnCode::UserExists
        | ReturnCode::UserNotFound
        | ReturnCode::EpochMismatch
        | ReturnCode::FenceTooLow
        | ReturnCode::ClaimHeld
        | ReturnCode::KeyExists
        | ReturnCode::InvalidArgument
        | ReturnCode::StorageFull
        | ReturnCode::StorageFailed
        | ReturnCode::MessageTooLarge
        | ReturnCode::UnknownCommand
        | ReturnCode::Internal
        | ReturnCode::UserBusy => {
            tracing::error!(code = code.name(), "an HSM refused a request that it should not refuse");
            CryptoError::Internal
        }
    }
}
