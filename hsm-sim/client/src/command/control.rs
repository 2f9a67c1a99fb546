//! Control of one HSM by the controllers: fence (P5), claim (INV-44), delegates (D12).

use crate::error::HsmError;
use crate::session::Session;
use hsm_protocol::message as m;

impl Session {
    /// Takes the next fence: control commands with a lower one are refused from now on, and sessions of older holders
    /// end (P5, INV-70).
    ///
    /// # Errors
    /// `RoleDenied` unless the certificate's role is controllers.
    pub async fn acquire_fence(&self, holder: &str) -> Result<u64, HsmError> {
        self.call(&m::AcquireFenceRequest { holder: holder.to_owned() }).await.map(|reply| reply.fence)
    }

    /// Claims the cluster for one store; success if this holder already has it (INV-44).
    ///
    /// # Errors
    /// `ClaimHeld` by another holder, `FenceTooLow`.
    pub async fn claim_cluster(&self, holder: &str, fence: u64) -> Result<(), HsmError> {
        self.call(&m::ClaimClusterRequest { holder: holder.to_owned(), fence }).await.map(drop)
    }

    /// Gives the claim back; success if there is none.
    ///
    /// # Errors
    /// `ClaimHeld` by another holder, `FenceTooLow`.
    pub async fn release_claim(&self, holder: &str, fence: u64) -> Result<(), HsmError> {
        self.call(&m::ReleaseClaimRequest { holder: holder.to_owned(), fence }).await.map(drop)
    }

    /// Lets the clients with these public keys (SHA-256 of SubjectPublicKeyInfo) use the logged-in crypto user's keys,
    /// until the generation is dropped. Durable when it returns (D12).
    ///
    /// # Errors
    /// `NotLoggedIn`, `RoleDenied` unless a CU is logged in, `FenceTooLow`, `DelegationNotLive` for a dropped generation.
    pub async fn register_delegates(
        &self,
        store_id: &str,
        generation: u64,
        delegates: &[[u8; 32]],
        fence: u64,
    ) -> Result<(), HsmError> {
        let request = m::RegisterDelegatesRequest {
            store_id: store_id.to_owned(),
            generation,
            client_spki_sha256: delegates.iter().map(|print| print.to_vec()).collect(),
            fence,
        };
        self.call(&request).await.map(drop)
    }

    /// Drops this and every lower generation of the store for ever, waits for the operations still running under it and
    /// returns how many those were. Durable when it returns.
    ///
    /// # Errors
    /// `RoleDenied`, `FenceTooLow`.
    pub async fn drop_generation(&self, store_id: &str, generation: u64, fence: u64) -> Result<u64, HsmError> {
        let request = m::DropGenerationRequest { store_id: store_id.to_owned(), generation, fence };
        self.call(&request).await.map(|reply| reply.open_operations_drained)
    }

    /// Gateway: binds this session to a live generation, under which it may use keys.
    ///
    /// # Errors
    /// `DelegationNotLive` if it was dropped, never registered, or does not name this client's public key.
    pub async fn open_delegation(&self, store_id: &str, generation: u64) -> Result<(), HsmError> {
        self.call(&m::OpenDelegationRequest { store_id: store_id.to_owned(), generation }).await.map(drop)
    }
}
