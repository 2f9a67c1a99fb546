//! CreateUser, by a crypto officer.

use std::collections::HashSet;

use hsm_protocol::ReturnCode;
use hsm_protocol::limits::OP_ID;
use hsm_protocol::message::{CreateUserReply, CreateUserRequest, UserType};
use zeroize::Zeroizing;

use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::user::{User, required_name};
use crate::vault::{Outcome, fixed, password};

/// Creates a CO or CU, durably. The same operation id twice is one creation.
///
/// # Errors
/// `NotLoggedIn`, `RoleDenied`, `InvalidArgument`, `FenceTooLow`, `UserExists`, `StorageFull`.
pub(crate) async fn run(hsm: &Hsm, session: &Session, mut request: CreateUserRequest) -> Outcome<CreateUserReply> {
    session.user_of_type(UserType::Co)?;
    let name = required_name(&request.user)?;
    let op_id = fixed::<OP_ID>(&request.op_id)?;
    password::check_new(&name, &request.password)?;
    let user_type = request.user_type();
    if !matches!(user_type, UserType::Co | UserType::Cu) || request.epoch == 0 {
        return Err(ReturnCode::InvalidArgument);
    }
    let _change = hsm.change.lock().await;
    hsm.admit(session, request.fence)?;
    if let Some(existing) = hsm.users.find(&name) {
        let repeated = existing.last_op_id == op_id && existing.epoch == request.epoch;
        return if repeated { Ok(CreateUserReply {}) } else { Err(ReturnCode::UserExists) };
    }
    let verifier = hsm.users.hash(Zeroizing::new(std::mem::take(&mut request.password))).await?;
    let slot = hsm.users.free_slot(&HashSet::new())?;
    let user = User { name, user_type, epoch: request.epoch, verifier, last_op_id: op_id.to_vec(), slot };
    tracing::info!(user = user.name, user_type = ?user.user_type, "creating user");
    hsm.users.save(&hsm.store, user, 0, Vec::new()).await?;
    Ok(CreateUserReply {})
}
