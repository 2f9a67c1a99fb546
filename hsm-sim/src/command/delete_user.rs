//! DeleteUser, by a crypto officer (HSM-33).

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{DeleteUserReply, DeleteUserRequest, UserType};

use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::Outcome;
use crate::vault::user::required_name;

/// Deletes a user that is not logged in and owns no key. An officer cannot delete itself, so the last one stays.
///
/// # Errors
/// `NotLoggedIn`, `RoleDenied`, `FenceTooLow`, `UserNotFound`, `UserBusy`, `WrongState` if it owns keys.
pub(crate) async fn run(hsm: &Hsm, session: &Session, request: &DeleteUserRequest) -> Outcome<DeleteUserReply> {
    let officer = session.user_of_type(UserType::Co)?;
    let name = required_name(&request.user)?;
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    let _turn = hsm.users.turn(&name).await;
    hsm.users.find(&name).ok_or(ReturnCode::UserNotFound)?;
    if name == officer || !hsm.sessions.matching(|other| other.is_user(&name)).is_empty() {
        return Err(ReturnCode::UserBusy);
    }
    if hsm.keys.is_owner(&name) {
        return Err(ReturnCode::WrongState);
    }
    tracing::info!(user = name, "deleting user");
    hsm.users.delete(&hsm.store, &name).await?;
    Ok(DeleteUserReply {})
}
