//! Login and Logout.

use hsm_protocol::ReturnCode;
use hsm_protocol::message::{LoginReply, LoginRequest, LogoutReply};
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::hsm::Hsm;
use crate::sessions::{Login, Session};
use crate::vault::Outcome;

/// Verifies the password and binds the user to this session.
///
/// # Errors
/// `LoginFailure` for a wrong password and for an unknown user alike (INV-60); `UserLocked`; `InvalidArgument` if the
/// login was made for another outer TLS session; `DeadlineExceeded`, `StorageFailed`: nothing was counted.
pub(crate) async fn run(
    hsm: &Hsm,
    session: &Session,
    mut request: LoginRequest,
    deadline: Option<Instant>,
) -> Outcome<LoginReply> {
    if !bool::from(request.outer_exporter.as_slice().ct_eq(&session.client.outer_exporter)) {
        return Err(ReturnCode::InvalidArgument);
    }
    let password = Zeroizing::new(std::mem::take(&mut request.password));
    let user = hsm.users.login(&request.user, password, deadline).await?;
    let (name, user_type, epoch) = (user.name.clone(), user.user_type, user.epoch);
    session.set_login(Login::User { name, user_type });
    // A password change that came in between has ended the sessions it saw; this one it may not have seen (INV-28).
    if hsm.users.find(&user.name).is_none_or(|present| present.epoch != epoch) {
        session.set_login(Login::Nobody);
        return Err(ReturnCode::LoginFailure);
    }
    tracing::info!(user = user.name, epoch, "logged in");
    Ok(LoginReply { user_type: user_type as i32, epoch })
}

/// Ends the login, not the session.
///
/// # Errors
/// None: logging out twice is fine.
pub(crate) fn logout(session: &Session) -> Outcome<LogoutReply> {
    session.set_login(Login::Nobody);
    Ok(LogoutReply {})
}
