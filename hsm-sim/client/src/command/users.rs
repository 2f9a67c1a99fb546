//! Users of one HSM: login, lockout, password epochs (spec 1.7, 1.8; P1).

use super::OpId;
use crate::error::HsmError;
use crate::session::Session;
use hsm_protocol::message as m;

pub use hsm_protocol::message::UserType;

/// A login that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedIn {
    /// What the user may do.
    pub user_type: UserType,
    /// Epoch of the password that was accepted.
    pub epoch: u64,
}

/// What an HSM says about one user; readable without a login, so that no attempt is spent on guessing (INV-25, INV-26).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// Type.
    pub user_type: UserType,
    /// Version of the password.
    pub epoch: u64,
    /// Consecutive failed logins on this HSM.
    pub failures: u32,
    /// Whether even the right password is refused (HSM-42).
    pub locked: bool,
    /// Sessions of this user that another client certificate opened (D12): the cause of `USER_LOGGED_IN`.
    pub foreign_sessions: u32,
    /// Operation that made the present password.
    pub last_op_id: Vec<u8>,
}

/// One line of the user list (HSM-32).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    /// Name, lower case.
    pub user: String,
    /// Type.
    pub user_type: UserType,
    /// Version of the password.
    pub epoch: u64,
    /// Consecutive failed logins on this HSM.
    pub failures: u32,
    /// Whether even the right password is refused.
    pub locked: bool,
}

/// A user to create. Borrows the password, so that it is copied only into the wiped wire message.
pub struct NewUser<'a> {
    /// Name (HSM-30).
    pub user: &'a str,
    /// CO or CU.
    pub user_type: UserType,
    /// 7 to 32 characters (HSM-31).
    pub password: &'a str,
    /// Epoch of that password, at least 1.
    pub epoch: u64,
    /// Makes a repeated call one operation.
    pub op_id: OpId,
    /// The caller's fence; 0 = none held.
    pub fence: u64,
}

/// A compare-and-set of a password (P1, step 4).
pub struct PasswordChange<'a> {
    /// Whose password.
    pub user: &'a str,
    /// 7 to 32 characters (HSM-31).
    pub new_password: &'a str,
    /// Epoch that must be stored now; otherwise `EpochMismatch`, and nothing changes.
    pub expected_epoch: u64,
    /// Epoch afterwards; above `expected_epoch`.
    pub new_epoch: u64,
    /// Makes a repeated call one operation.
    pub op_id: OpId,
    /// The caller's fence; 0 = none held.
    pub fence: u64,
}

impl Session {
    /// Logs a user in on this session. The password travels in both TLS layers and is bound to the outer one (T-09).
    ///
    /// # Errors
    /// `LoginFailure` (unknown user and wrong password alike, INV-60), `UserLocked`.
    pub async fn login(&self, user: &str, password: &str) -> Result<LoggedIn, HsmError> {
        let request = m::LoginRequest {
            user: user.to_owned(),
            password: password.to_owned(),
            outer_exporter: self.outer_binding().to_vec(),
        };
        let reply = self.call(&request).await?;
        Ok(LoggedIn { user_type: reply.user_type(), epoch: reply.epoch })
    }

    /// Ends the login; the session stays open.
    ///
    /// # Errors
    /// As any command.
    pub async fn logout(&self) -> Result<(), HsmError> {
        self.call(&m::LogoutRequest {}).await.map(drop)
    }

    /// Reads one user's epoch, failures and lock; `None` if there is no such user. Needs no login.
    ///
    /// # Errors
    /// `RoleDenied` for a gateway certificate.
    pub async fn user_info(&self, user: &str) -> Result<Option<UserInfo>, HsmError> {
        let reply = self.call(&m::UserInfoRequest { user: user.to_owned() }).await?;
        Ok(reply.exists.then(|| UserInfo {
            user_type: reply.user_type(),
            epoch: reply.epoch,
            failures: reply.failures,
            locked: reply.locked,
            foreign_sessions: reply.foreign_sessions,
            last_op_id: reply.last_op_id,
        }))
    }

    /// Lists every user of this HSM (HSM-32).
    ///
    /// # Errors
    /// `RoleDenied` for a gateway certificate.
    pub async fn list_users(&self) -> Result<Vec<UserSummary>, HsmError> {
        let reply = self.call(&m::ListUsersRequest {}).await?;
        let summary = |user: m::UserSummary| UserSummary {
            user_type: user.user_type(),
            user: user.user,
            epoch: user.epoch,
            failures: user.failures,
            locked: user.locked,
        };
        Ok(reply.users.into_iter().map(summary).collect())
    }

    /// Creates a user on this HSM. The same operation id twice is success.
    ///
    /// # Errors
    /// `RoleDenied` unless a CO is logged in, `UserExists`, `InvalidArgument`, `FenceTooLow`.
    pub async fn create_user(&self, user: NewUser<'_>) -> Result<(), HsmError> {
        let request = m::CreateUserRequest {
            user: user.user.to_owned(),
            user_type: user.user_type as i32,
            password: user.password.to_owned(),
            epoch: user.epoch,
            op_id: user.op_id.to_vec(),
            fence: user.fence,
        };
        self.call(&request).await.map(drop)
    }

    /// Deletes a user (HSM-33).
    ///
    /// # Errors
    /// `RoleDenied` unless a CO is logged in, `UserNotFound`, `UserBusy`, `FenceTooLow`.
    pub async fn delete_user(&self, user: &str, fence: u64) -> Result<(), HsmError> {
        self.call(&m::DeleteUserRequest { user: user.to_owned(), fence }).await.map(drop)
    }

    /// Changes a password by compare-and-set and returns the new epoch; durable when it returns. Ends the user's other
    /// sessions (INV-28). The same operation id twice is success.
    ///
    /// # Errors
    /// `EpochMismatch` (no failure counted), `RoleDenied`, `FenceTooLow`, `InvalidArgument`.
    pub async fn change_password(&self, change: PasswordChange<'_>) -> Result<u64, HsmError> {
        let request = m::ChangePasswordRequest {
            user: change.user.to_owned(),
            new_password: change.new_password.to_owned(),
            expected_epoch: change.expected_epoch,
            new_epoch: change.new_epoch,
            op_id: change.op_id.to_vec(),
            fence: change.fence,
        };
        self.call(&request).await.map(|reply| reply.epoch)
    }
}
