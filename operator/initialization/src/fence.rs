//! Where the procedure gets the fence of an HSM from: control commands carry it, so that a deposed leader's are refused
//! (P5, INV-70).

use hsm_client::Session;

/// No fence: nothing may be changed on this HSM now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoFence(pub String);

/// The fences of one process. There must be one per HSM and process: taking a second one refuses the first.
pub trait Fencing: Send + Sync {
    /// The fence to use on this session's HSM; takes it there if this process has none yet.
    ///
    /// # Errors
    /// [`NoFence`] if this process does not lead, or the HSM did not hand one out.
    fn fence_on(&self, session: &Session) -> impl Future<Output = Result<u64, NoFence>> + Send;
}
