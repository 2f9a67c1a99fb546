//! State and counters of one HSM.

use crate::error::HsmError;
use crate::session::Session;
use hsm_protocol::message as m;

pub use hsm_protocol::message::HsmState;

/// How often one command was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandCount {
    /// The command's number on the wire.
    pub command: u32,
    /// Answered with success.
    pub succeeded: u64,
    /// Answered with any other return code.
    pub refused: u64,
}

/// State and counters of one HSM since its process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HsmInfo {
    /// Life of the volume.
    pub state: HsmState,
    /// Keys on this HSM.
    pub key_count: u64,
    /// Counts starts of the process on this volume.
    pub incarnation: u64,
    /// Keys known to be missing on a peer that was reached in the last round (INV-04).
    pub under_replicated_keys: u64,
    /// Keys with two fingerprints under one id (INV-06).
    pub conflicting_keys: u64,
    /// Peers that answered in the last anti-entropy round.
    pub peers_reached: u32,
    /// Members of the roster.
    pub roster_size: u32,
    /// Per command.
    pub commands: Vec<CommandCount>,
    /// Store that holds the cluster's claim; empty if none.
    pub claim_holder: String,
    /// Highest fence handed out (P5).
    pub fence: u64,
}

impl Session {
    /// Reads state and counters.
    ///
    /// # Errors
    /// `RoleDenied` for a gateway certificate.
    pub async fn hsm_info(&self) -> Result<HsmInfo, HsmError> {
        let reply = self.call(&m::HsmInfoRequest {}).await?;
        let count = |count: &m::CommandCount| CommandCount {
            command: count.command,
            succeeded: count.succeeded,
            refused: count.refused,
        };
        Ok(HsmInfo {
            state: reply.state(),
            key_count: reply.key_count,
            incarnation: reply.incarnation,
            under_replicated_keys: reply.under_replicated_keys,
            conflicting_keys: reply.conflicting_keys,
            peers_reached: reply.peers_reached,
            roster_size: reply.roster_size,
            commands: reply.commands.iter().map(count).collect(),
            claim_holder: reply.claim_holder,
            fence: reply.fence,
        })
    }
}
