//! HsmInfo: state and counters.

use hsm_protocol::message::HsmInfoReply;

use crate::hsm::Hsm;
use crate::vault::Outcome;

/// Reads the present numbers.
///
/// # Errors
/// None.
pub(crate) fn run(hsm: &Hsm) -> Outcome<HsmInfoReply> {
    let (member, found, control) = (hsm.member(), hsm.replication.found(), hsm.control.row());
    let (key_count, conflicting_keys) = hsm.keys.counts();
    let roster_size = member.roster.as_ref().map_or(0, |roster| roster.members.len());
    Ok(HsmInfoReply {
        state: member.state as i32,
        key_count,
        incarnation: hsm.incarnation,
        under_replicated_keys: found.under_replicated,
        conflicting_keys,
        peers_reached: found.peers_reached,
        roster_size: u32::try_from(roster_size).unwrap_or(u32::MAX),
        commands: hsm.metrics.command_counts(),
        claim_holder: control.claim_holder,
        fence: control.fence,
    })
}
