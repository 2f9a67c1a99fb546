//! One live connection of a store: on each core a pool of delegated sessions, behind the trait that the operations use.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use hsm_client::pool::{Pool, PoolError};
use hsm_client::{ClientIdentity, HsmEndpoint, KeyId, ReturnCode};
use tokio::runtime::Handle;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, DataKey, StoreCrypto};

/// One connection generation of one store.
pub(super) struct Connection {
    pub(super) generation: i64,
    cores: Vec<(Handle, Arc<HsmStore>)>,
}

impl Connection {
    /// Opens a pool on each of `runtimes`: sessions are driven by the core whose requests they carry.
    pub(super) fn open(generation: i64, runtimes: &[Handle], open: impl Fn() -> Pool) -> Self {
        let on = |runtime: &Handle| {
            let _entered = runtime.enter();
            (runtime.clone(), Arc::new(HsmStore::new(open())))
        };
        Self { generation, cores: runtimes.iter().map(on).collect() }
    }

    /// Takes a new list of HSMs.
    pub(super) fn update_endpoints(&self, endpoints: &[HsmEndpoint]) {
        for (runtime, store) in &self.cores {
            let _entered = runtime.enter();
            store.pool.update_endpoints(endpoints.to_vec());
        }
    }

    /// Goes over to a renewed client certificate, on every core.
    pub(super) fn renew_identity(&self, identity: &Arc<ClientIdentity>) {
        for (runtime, store) in &self.cores {
            let _entered = runtime.enter();
            store.pool.renew_identity(Arc::clone(identity));
        }
    }

    /// What the requests of one core use.
    pub(super) fn on_core(&self, core: usize) -> Option<Arc<HsmStore>> {
        self.cores.get(core).map(|(_, store)| Arc::clone(store))
    }

    /// Whether no request uses it, and, because `self` is the last reference, none can begin to (D12).
    pub(super) fn is_unused(self: &Arc<Self>) -> bool {
        // In this order: while nobody else can reach the connection, the counts of its cores can only fall.
        Arc::strong_count(self) == 1 && self.cores.iter().all(|(_, store)| Arc::strong_count(store) == 1)
    }
}

/// The HSMs of one store as the requests of one core reach them.
pub struct HsmStore {
    pool: Pool,
}

impl HsmStore {
    /// Uses the sessions of `pool`.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }
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
