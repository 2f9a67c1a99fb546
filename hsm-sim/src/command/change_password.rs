//! ChangePassword: compare-and-set of one user's credential (P1, INV-24…28).

use std::sync::Arc;

use hsm_protocol::ReturnCode;
use hsm_protocol::limits::OP_ID;
use hsm_protocol::message::{ChangePasswordReply, ChangePasswordRequest, HsmState, UserType};
use zeroize::Zeroizing;

use crate::hsm::{Hsm, cluster_change};
use crate::membership::Membership;
use crate::sessions::{Login, Session};
use crate::vault::user::{User, required_name};
use crate::vault::{Outcome, fixed, password};

/// Sets a new password and epoch, durably, and ends the user's other sessions.
///
/// Guarantees: the same operation id twice is one change; a wrong expected epoch changes and counts nothing; a new
/// password starts with no failures, so an officer's change unlocks (HSM-42); the PRECO's first change activates the
/// HSM (HSM-3).
///
/// # Errors
/// `NotLoggedIn`, `RoleDenied`, `InvalidArgument`, `FenceTooLow`, `UserNotFound`, `EpochMismatch`, `UserBusy` if an
/// officer changes a user that is logged in (HSM-46), `StorageFull`.
pub(crate) async fn run(
    hsm: &Hsm,
    session: &Session,
    mut request: ChangePasswordRequest,
) -> Outcome<ChangePasswordReply> {
    let (caller, caller_type) = session.user()?;
    let name = required_name(&request.user)?;
    let op_id = fixed::<OP_ID>(&request.op_id)?;
    password::check_new(&name, &request.new_password)?;
    let is_self = caller == name;
    if !is_self && caller_type != UserType::Co {
        return Err(ReturnCode::RoleDenied);
    }
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    let user = hsm.users.find(&name).ok_or(ReturnCode::UserNotFound)?;
    let epoch = request.new_epoch;
    if user.last_op_id == op_id && user.epoch == epoch {
        return Ok(ChangePasswordReply { epoch });
    }
    compare(&user, &request)?;
    if !is_self && !hsm.sessions.matching(|other| other.is_user(&name)).is_empty() {
        return Err(ReturnCode::UserBusy);
    }
    let verifier = hsm.users.hash(Zeroizing::new(std::mem::take(&mut request.new_password))).await?;
    let changed = User { epoch, verifier, last_op_id: op_id.to_vec(), ..User::clone(&user) };
    let user_type = set(hsm, changed).await?;
    if is_self {
        session.set_login(Login::User { name: name.clone(), user_type });
    }
    hsm.sessions.end(|other| other.is_user(&name) && !other.is(session)).await;
    tracing::info!(user = name, epoch, "password changed");
    Ok(ChangePasswordReply { epoch })
}

/// The compare of compare-and-set.
fn compare(user: &User, request: &ChangePasswordRequest) -> Outcome<()> {
    if user.epoch != request.expected_epoch {
        return Err(ReturnCode::EpochMismatch);
    }
    if request.new_epoch <= user.epoch { Err(ReturnCode::InvalidArgument) } else { Ok(()) }
}

/// Stores the user; a PRECO becomes the first crypto officer and the HSM becomes ACTIVE in the same transaction.
async fn set(hsm: &Hsm, mut user: User) -> Outcome<UserType> {
    // No login attempt may see half of the change.
    let _turn = hsm.users.turn(&user.name).await;
    let activates = user.user_type == UserType::Preco;
    let mut also = Vec::new();
    if activates {
        user.user_type = UserType::Co;
        also.push(cluster_change(hsm.cluster()?.row(), HsmState::Active).1);
    }
    let user_type = user.user_type;
    hsm.users.save(&hsm.store, user, 0, also).await?;
    if activates {
        let member = Membership { state: HsmState::Active, ..Membership::clone(&hsm.member()) };
        hsm.membership.store(Arc::new(member));
        tracing::info!("activated: the pre-crypto officer is the first crypto officer now");
    }
    Ok(user_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::password::Verifier;

    /// P1: (stored, expected, new) and the answer.
    #[test]
    fn a_password_changes_only_from_the_expected_epoch_to_a_higher_one() {
        for (stored, expected_epoch, new_epoch, answer) in [
            (3, 3, 4, Ok(())),
            (3, 3, 9, Ok(())),
            (3, 2, 4, Err(ReturnCode::EpochMismatch)),
            (3, 4, 5, Err(ReturnCode::EpochMismatch)),
            (3, 3, 3, Err(ReturnCode::InvalidArgument)),
            (3, 3, 2, Err(ReturnCode::InvalidArgument)),
        ] {
            let user = User {
                name: "kmsuser".into(),
                user_type: UserType::Cu,
                epoch: stored,
                verifier: Verifier::of_nobody(1),
                last_op_id: vec![],
                slot: 2,
            };
            let request = ChangePasswordRequest {
                user: String::new(),
                new_password: String::new(),
                expected_epoch,
                new_epoch,
                op_id: vec![],
                fence: 0,
            };
            assert_eq!(compare(&user, &request), answer, "{stored} {expected_epoch} {new_epoch}");
        }
    }
}
