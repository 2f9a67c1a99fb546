//! ListUsers (HSM-32).

use hsm_protocol::message::{ListUsersReply, UserSummary};

use crate::hsm::Hsm;
use crate::vault::Outcome;

/// Every user of this HSM.
///
/// # Errors
/// None.
pub(crate) fn run(hsm: &Hsm) -> Outcome<ListUsersReply> {
    let summaries = hsm.users.all().into_iter().map(|user| {
        let (failures, locked) = hsm.users.lock_state(&user);
        let (name, user_type) = (user.name.clone(), user.user_type as i32);
        UserSummary { user: name, user_type, epoch: user.epoch, failures, locked }
    });
    Ok(ListUsersReply { users: summaries.collect() })
}
