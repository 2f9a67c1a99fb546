//! UserInfo: what the operator must know before it spends a login attempt (P1).

use hsm_protocol::message::{UserInfoReply, UserInfoRequest};

use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;
use crate::vault::user::canonical_name;

/// Epoch, failures, lock, and sessions of others.
///
/// # Errors
/// None: an unknown user has `exists = false`.
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &UserInfoRequest) -> Outcome<UserInfoReply> {
    let Some(user) = canonical_name(&request.user).and_then(|name| hsm.users.find(&name)) else {
        return Ok(UserInfoReply::default());
    };
    let (failures, locked) = hsm.users.lock_state(&user);
    let client = session.client.spki_sha256;
    let foreign = hsm.sessions.matching(|other| other.client.spki_sha256 != client && other.is_user(&user.name));
    Ok(UserInfoReply {
        exists: true,
        user_type: user.user_type as i32,
        epoch: user.epoch,
        failures,
        locked,
        foreign_sessions: u32::try_from(foreign.len()).unwrap_or(u32::MAX),
        last_op_id: user.last_op_id.clone(),
    })
}
