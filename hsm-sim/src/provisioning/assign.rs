//! Assign and SetRoster: the operator's signed statements about this HSM and its peers.

use std::sync::Arc;

use hsm_protocol::limits::{MAX_ROSTER, MAX_TEXT};
use hsm_protocol::message::{AssignReply, AssignRequest, Assignment, Roster, SetRosterReply, SetRosterRequest};
use hsm_protocol::{ReturnCode, signing};
use prost::Message;

use crate::hsm::Hsm;
use crate::membership::Membership;
use crate::refusals::Refused;
use crate::store::record::RecordKind;
use crate::tls::certificate::signed_by;
use crate::vault::rows::{MembershipRow, put};
use crate::vault::{Outcome, storage_code, text};

/// Binds the volume to cluster, HSM id and zone, once and durably.
///
/// # Errors
/// `InvalidArgument` if the statement is not signed by the operator CA, or is about another identity or pod;
/// `WrongState` if another assignment is in force.
pub(crate) async fn assign(hsm: &Hsm, request: &AssignRequest) -> Outcome<AssignReply> {
    check_signature(hsm, "assignment", &signing::assignment(&request.assignment), &request.signature)?;
    let assignment = Assignment::decode(&request.assignment[..]).map_err(|_| ReturnCode::InvalidArgument)?;
    for field in [&assignment.cluster_id, &assignment.hsm_id, &assignment.availability_zone] {
        text(field, false)?;
    }
    if assignment.identity_spki_sha256 != hsm.identity.spki_sha256 || assignment.pod_name != hsm.pod_name {
        return Err(ReturnCode::InvalidArgument);
    }
    let _change = hsm.change.lock().await;
    let member = hsm.member();
    if let Some(present) = &member.assignment {
        return if *present == assignment { Ok(AssignReply {}) } else { Err(ReturnCode::WrongState) };
    }
    let row = MembershipRow { assignment: request.assignment.clone(), ..member.row.clone() };
    store(hsm, &member, row).await?;
    tracing::info!(
        cluster_id = assignment.cluster_id,
        hsm_id = assignment.hsm_id,
        availability_zone = assignment.availability_zone,
        "assigned"
    );
    Ok(AssignReply {})
}

/// Takes over a roster of a higher version, durably.
///
/// # Errors
/// `InvalidArgument` if it is not signed by the operator CA, is about another cluster, or lacks this HSM;
/// `WrongState` before an assignment, or for a lower version.
pub(crate) async fn set_roster(hsm: &Hsm, request: &SetRosterRequest) -> Outcome<SetRosterReply> {
    check_signature(hsm, "roster", &signing::roster(&request.roster), &request.signature)?;
    let roster = Roster::decode(&request.roster[..]).map_err(|_| ReturnCode::InvalidArgument)?;
    let _change = hsm.change.lock().await;
    let member = hsm.member();
    if member.assignment.is_none() {
        return Err(ReturnCode::WrongState);
    }
    check_members(hsm, &member, &roster)?;
    if let Some(present) = &member.roster {
        if present.version == roster.version && *present == roster {
            return Ok(SetRosterReply {});
        }
        if roster.version <= present.version {
            return Err(ReturnCode::WrongState);
        }
    }
    let row = MembershipRow { roster: request.roster.clone(), ..member.row.clone() };
    store(hsm, &member, row).await?;
    tracing::info!(version = roster.version, members = roster.members.len(), "roster taken over");
    Ok(SetRosterReply {})
}

fn check_signature(hsm: &Hsm, what: &str, statement: &[u8], signature: &[u8]) -> Outcome<()> {
    if signed_by(&hsm.pod.operator_ca, statement, signature) {
        return Ok(());
    }
    hsm.refusals.note(Refused::Signature, None, format_args!("{what}: it was not signed by the operator CA"));
    Err(ReturnCode::InvalidArgument)
}

fn check_members(hsm: &Hsm, member: &Membership, roster: &Roster) -> Outcome<()> {
    let lists_this = roster
        .members
        .iter()
        .any(|listed| listed.hsm_id == member.hsm_id() && listed.identity_spki_sha256 == hsm.identity.spki_sha256);
    let well_formed = roster.members.iter().all(|listed| {
        listed.identity_spki_sha256.len() == 32 && !listed.hsm_id.is_empty() && listed.address.len() <= MAX_TEXT
    });
    let fits = roster.members.len() <= MAX_ROSTER && roster.cluster_id == member.cluster_id();
    if lists_this && well_formed && fits { Ok(()) } else { Err(ReturnCode::InvalidArgument) }
}

/// Stores the row and publishes the membership that follows from it; everything else of it stays.
async fn store(hsm: &Hsm, member: &Membership, row: MembershipRow) -> Outcome<()> {
    let stated = Membership::of(row).ok_or(ReturnCode::InvalidArgument)?;
    let state = if member.cluster.is_some() { member.state } else { stated.state };
    let next = Membership { state, cluster: member.cluster.clone(), pending_key: member.pending_key.clone(), ..stated };
    let change = put(RecordKind::Membership, &[], &next.row);
    let stored = hsm.store.commit_at(vec![change], next.place(hsm.volume_id)).await;
    stored.map_err(|error| storage_code(&error))?;
    hsm.membership.store(Arc::new(next));
    Ok(())
}
