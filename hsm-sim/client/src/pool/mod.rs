//! The data plane: one delegated session per HSM, the least loaded one first, and another one when it fails.
//!
//! Crypto changes nothing in an HSM, so a request whose outcome is unknown may be sent to the next one. Choosing reads
//! a snapshot and a few atomics; no lock is held across an await.

mod backoff;
mod choice;
mod member;
mod verdict;

use crate::command::{DataKey, Decrypted};
use crate::endpoint::HsmEndpoint;
use crate::error::HsmError;
use crate::session::Session;
use crate::tls::{ClientIdentity, TrustAnchor};
use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use hsm_protocol::{KeyId, ReturnCode};
use member::{Member, Opening};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use verdict::{Verdict, judge};
use zeroize::Zeroizing;

/// Longest a request may take over all attempts: AWS clients must get an answer before they give up themselves.
pub const TOTAL_DEADLINE: Duration = Duration::from_secs(4);
/// Longest one HSM may take before the next one is asked.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(1);
/// Pause after every HSM has been asked in vain, unless one connects sooner.
const ROUND_PAUSE: Duration = Duration::from_millis(50);

/// Why the cluster did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The HSMs refuse; another attempt would not help.
    #[error("failed on the HSM: {}", .0.name())]
    Refused(ReturnCode),
    /// No HSM answered within [`TOTAL_DEADLINE`] (`KMSInvalidStateException`, SCN-17).
    #[error("failed to reach any HSM of the cluster")]
    Unavailable,
}

/// What is known about one HSM of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// `hsm-…`
    pub hsm_id: String,
    /// Its zone.
    pub availability_zone: String,
    /// Whether a delegated session is open.
    pub connected: bool,
    /// Why the last attempt to open one failed.
    pub last_error: Option<String>,
}

/// Delegated sessions of one connection generation of one store (D12). Dropping it closes them.
pub struct Pool {
    members: ArcSwap<Vec<Arc<Member>>>,
    opening: Arc<Opening>,
    /// Held only while the list is rebuilt, so that two updates cannot lose one another.
    updating: Mutex<()>,
    arrivals: watch::Receiver<u64>,
    /// Which HSM is preferred among equals: another one in each pool, or all would ask the first.
    first: usize,
}

impl Pool {
    /// Starts to open a session to every endpoint, in the background; must be called within a tokio runtime.
    /// `local_zone` is this process's own zone, empty if unknown.
    pub fn new(
        identity: Arc<ClientIdentity>,
        anchor: TrustAnchor,
        store_id: &str,
        generation: u64,
        endpoints: Vec<HsmEndpoint>,
        local_zone: &str,
    ) -> Self {
        let (opening, arrivals) = Opening::new(identity, anchor, store_id, generation, local_zone);
        let pool = Self {
            members: ArcSwap::from_pointee(Vec::new()),
            opening: Arc::new(opening),
            updating: Mutex::new(()),
            arrivals,
            first: any_number(),
        };
        pool.update_endpoints(endpoints);
        pool
    }

    /// Takes a new list of HSMs. Sessions of HSMs that stay are kept, also when their address changed; requests on
    /// their way to an HSM that goes are finished.
    pub fn update_endpoints(&self, endpoints: Vec<HsmEndpoint>) {
        let _updating = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.members.load_full();
        let next = endpoints
            .into_iter()
            .map(|endpoint| match present.iter().find(|member| member.is(&endpoint)) {
                Some(member) => {
                    member.relocate(endpoint);
                    member.clone()
                }
                None => Arc::new(Member::start(endpoint, self.opening.clone())),
            })
            .collect();
        self.members.store(Arc::new(next));
    }

    /// Opens every session anew with `identity`, which must be registered for the same generation. An old session serves until the new one
    /// to the same HSM is open, and ends when its last request has: no request waits, and none is dropped (D12).
    pub fn renew_identity(&self, identity: Arc<ClientIdentity>) {
        let _updating = self.updating.lock().unwrap_or_else(PoisonError::into_inner);
        self.opening.renew(identity);
        self.members.load().iter().for_each(|member| member.attend());
    }

    /// How many HSMs have an open delegated session now.
    pub fn available(&self) -> usize {
        self.members.load().iter().filter(|member| member.session().is_some()).count()
    }

    /// Every HSM of the pool and whether it is connected.
    pub fn members(&self) -> Vec<MemberStatus> {
        self.members.load().iter().map(|member| member.status()).collect()
    }

    /// Waits until an HSM is connected, at most `limit`; returns whether one is.
    pub async fn wait_available(&self, limit: Duration) -> bool {
        let mut arrivals = self.arrivals.clone();
        let arrived = async {
            while self.available() == 0 {
                if arrivals.changed().await.is_err() {
                    return;
                }
            }
        };
        // Elapsed or not, what counts is what is there now.
        let _ = tokio::time::timeout(limit, arrived).await;
        self.available() > 0
    }

    /// Encrypts 1 to 4,096 bytes under a canonical encryption context.
    ///
    /// # Errors
    /// [`PoolError`], within [`TOTAL_DEADLINE`].
    pub async fn encrypt(&self, key_id: KeyId, plaintext: &[u8], context: &[u8]) -> Result<Vec<u8>, PoolError> {
        self.run(|session| async move { session.encrypt(key_id, plaintext, context).await }).await
    }

    /// Decrypts a ciphertext blob under a canonical encryption context.
    ///
    /// # Errors
    /// [`PoolError`], within [`TOTAL_DEADLINE`].
    pub async fn decrypt(&self, blob: &[u8], context: &[u8]) -> Result<Decrypted, PoolError> {
        self.run(|session| async move { session.decrypt(blob, context).await }).await
    }

    /// Makes a data key of `length` bytes, with or without its plaintext.
    ///
    /// # Errors
    /// [`PoolError`], within [`TOTAL_DEADLINE`].
    pub async fn generate_data_key(
        &self,
        key_id: KeyId,
        length: u32,
        context: &[u8],
        with_plaintext: bool,
    ) -> Result<DataKey, PoolError> {
        self.run(|session| async move { session.generate_data_key(key_id, length, context, with_plaintext).await })
            .await
    }

    /// 1 to 1,024 random bytes from an HSM.
    ///
    /// # Errors
    /// [`PoolError`], within [`TOTAL_DEADLINE`].
    pub async fn generate_random(&self, length: u32) -> Result<Zeroizing<Vec<u8>>, PoolError> {
        self.run(|session| async move { session.generate_random(length).await }).await
    }

    /// Asks one HSM after the other until one does it, all agree that it cannot be done, or time is up.
    async fn run<T, F, A>(&self, ask: F) -> Result<T, PoolError>
    where
        F: Fn(Session) -> A,
        A: Future<Output = Result<T, HsmError>>,
    {
        let deadline = Instant::now() + TOTAL_DEADLINE;
        let mut arrivals = self.arrivals.clone();
        loop {
            arrivals.mark_unchanged();
            if let Some(outcome) = self.round(&ask, deadline).await {
                return outcome;
            }
            if Instant::now() + ROUND_PAUSE >= deadline {
                return Err(PoolError::Unavailable);
            }
            // A session that opens ends the pause; with none at all there is nothing to ask until then.
            let _ = tokio::time::timeout(ROUND_PAUSE, arrivals.changed()).await;
        }
    }

    /// One round: every connected HSM once, best first. `None` when none of them settled it.
    async fn round<T, F, A>(&self, ask: &F, deadline: Instant) -> Option<Result<T, PoolError>>
    where
        F: Fn(Session) -> A,
        A: Future<Output = Result<T, HsmError>>,
    {
        let members = self.members.load_full();
        let mut asked = vec![false; members.len()];
        let mut refusals = Vec::new();
        while let Some((index, session)) = choice::best(&members, &asked, self.first) {
            asked[index] = true;
            let remaining = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT_DEADLINE);
            if remaining.is_zero() {
                return Some(Err(PoolError::Unavailable));
            }
            let busy = members[index].begin();
            let outcome = ask(session.within(remaining)).await;
            drop(busy);
            members[index].record(outcome.as_ref().err());
            match outcome.map_err(|error| judge(&error)) {
                Ok(value) => return Some(Ok(value)),
                Err(Verdict::Final(code)) => return Some(Err(PoolError::Refused(code))),
                Err(Verdict::UnlessAnotherCan(code)) => refusals.push(code),
                Err(Verdict::AskAnother) => {}
            }
        }
        verdict::unanimous(&refusals, members.len()).map(|code| Err(PoolError::Refused(code)))
    }
}

/// Without randomness it is zero, which only makes an uneven start.
fn any_number() -> usize {
    let mut bytes = [0; 4];
    let _ = rand::fill(&mut bytes);
    u32::from_le_bytes(bytes) as usize
}
