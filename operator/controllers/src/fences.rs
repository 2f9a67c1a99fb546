//! The fence of this leader on each HSM (P5): taken before the first control command there, used for every one after it.
//!
//! One per HSM and process, shared by all controllers: a second one would refuse the first. A deposed leader's fence is refused by the HSM, so
//! nothing here has to be given back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hsm_client::{HsmError, Session};
use tokio::sync::OnceCell;

use crate::{
    context::Context,
    effect::{self, Site},
    leader::NotLeader,
};

/// Why no fence is held.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Nothing may be changed.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// The HSM did not hand one out.
    #[error("failed to take the fence of an HSM")]
    Hsm(#[source] HsmError),
}

/// The fences taken by this process, by identity of the HSM; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Fences(Arc<Mutex<HashMap<[u8; 32], Fence>>>);

/// One HSM's fence; empty until it is taken.
type Fence = Arc<OnceCell<u64>>;

impl Fences {
    fn cell(&self, session: &Session) -> Fence {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.entry(session.identity().identity_fingerprint).or_default().clone()
    }

    /// Forgets the fence of an HSM that refused it as too low; the next control command takes a new one, if this process leads at all.
    pub fn forget(&self, identity_fingerprint: &[u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(identity_fingerprint);
    }
}

/// The fence to use on this session's HSM; takes it there if this process has none yet. Callers at the same time wait for one fence.
///
/// Keys of other tenants do not wait here for a frozen HSM (INV-75): they are looked at through sessions on which this process has registered the
/// gateway, and so has the HSM's fence. Only an HSM that answers, by refusing a fence, makes it take another.
///
/// # Errors
/// [`FenceError`]; the next call tries again.
pub async fn fence_on(context: &Context, session: &Session) -> Result<u64, FenceError> {
    let cell = context.fences.cell(session);
    let take = async || {
        context.leader.check()?;
        let taken = effect::at(Site::ConnectFence, session.acquire_fence(&context.settings.identity)).await;
        taken.map_err(FenceError::Hsm)
    };
    cell.get_or_try_init(take).await.copied()
}
