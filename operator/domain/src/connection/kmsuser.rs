//! What the HSMs say about `kmsuser`, as a connection error code (spec 2.6 steps 8–11, CKS-40…42).
//!
//! Reading costs no login attempt, so the three questions come before the login, and all HSMs are asked each question
//! before the next: the result is one code, whatever the user's state on each of them.

use super::ConnectionErrorCode;

/// Type of an HSM user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserType {
    /// Pre-crypto officer: the cluster is not activated.
    PreCryptoOfficer,
    /// Crypto officer.
    CryptoOfficer,
    /// Crypto user: the only type that KMS can use (CKS-80).
    CryptoUser,
}

/// `kmsuser` as one active, reachable HSM reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserReport {
    /// There is no such user.
    Missing,
    /// There is one.
    Present {
        /// Its type.
        user_type: UserType,
        /// Too many failed logins.
        locked: bool,
        /// Sessions of *other client certificates* that are logged in as it (D12).
        foreign_sessions: u32,
    },
}

/// Whether a login may be tried, given what every active and reachable HSM reports.
///
/// # Errors
/// The code of the first of steps 8, 9 and 10 that any HSM fails; one locked HSM counts as locked out. No report at all is
/// NETWORK_ERRORS: step 7 reached nothing.
pub fn may_log_in(reports: &[UserReport]) -> Result<(), ConnectionErrorCode> {
    if reports.is_empty() {
        return Err(ConnectionErrorCode::NetworkErrors);
    }
    let any = |question: fn(&UserReport) -> bool| reports.iter().any(question);
    if any(|report| !matches!(report, UserReport::Present { user_type: UserType::CryptoUser, .. })) {
        Err(ConnectionErrorCode::UserNotFound)
    } else if any(|report| matches!(report, UserReport::Present { locked: true, .. })) {
        Err(ConnectionErrorCode::UserLockedOut)
    } else if any(|report| matches!(report, UserReport::Present { foreign_sessions: 1.., .. })) {
        Err(ConnectionErrorCode::UserLoggedIn)
    } else {
        Ok(())
    }
}

/// How a login ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum LoginFailure {
    /// The HSM refused user and password; this counted as a failure there.
    Refused,
    /// The HSM refused because the user is locked; meanwhile somebody else used up the attempts.
    Locked,
    /// The connection broke or the answer did not come.
    Unreachable,
    /// The HSM answered something else.
    Unexpected,
}

impl LoginFailure {
    /// The code that ends the connect. A refused login is never repeated on another HSM (CKS-40).
    pub fn error_code(self) -> ConnectionErrorCode {
        match self {
            Self::Refused => ConnectionErrorCode::InvalidCredentials,
            Self::Locked => ConnectionErrorCode::UserLockedOut,
            Self::Unreachable => ConnectionErrorCode::NetworkErrors,
            Self::Unexpected => ConnectionErrorCode::InternalError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn present(user_type: UserType, locked: bool, foreign_sessions: u32) -> UserReport {
        UserReport::Present { user_type, locked, foreign_sessions }
    }

    const FIT: UserReport = UserReport::Present { user_type: UserType::CryptoUser, locked: false, foreign_sessions: 0 };

    #[test]
    fn one_hsm_is_enough_to_fail_the_connect() {
        let table = [
            (UserReport::Missing, ConnectionErrorCode::UserNotFound),
            (present(UserType::CryptoOfficer, false, 0), ConnectionErrorCode::UserNotFound),
            (present(UserType::PreCryptoOfficer, false, 0), ConnectionErrorCode::UserNotFound),
            (present(UserType::CryptoUser, true, 0), ConnectionErrorCode::UserLockedOut),
            (present(UserType::CryptoUser, false, 1), ConnectionErrorCode::UserLoggedIn),
        ];
        for (report, code) in table {
            for at in 0..3 {
                let mut reports = [FIT; 3];
                reports[at] = report;
                assert_eq!(may_log_in(&reports), Err(code), "{report:?} on HSM {at}");
            }
        }
        assert_eq!(may_log_in(&[FIT; 3]), Ok(()));
    }

    #[test]
    fn the_order_of_the_questions_is_missing_locked_logged_in_cks_41() {
        let locked = present(UserType::CryptoUser, true, 2);
        let logged_in = present(UserType::CryptoUser, false, 2);
        assert_eq!(may_log_in(&[logged_in, locked, UserReport::Missing]), Err(ConnectionErrorCode::UserNotFound));
        assert_eq!(may_log_in(&[logged_in, locked]), Err(ConnectionErrorCode::UserLockedOut));
        assert_eq!(may_log_in(&[logged_in, FIT]), Err(ConnectionErrorCode::UserLoggedIn));
    }

    #[test]
    fn without_a_reachable_hsm_nothing_is_known_about_the_user() {
        assert_eq!(may_log_in(&[]), Err(ConnectionErrorCode::NetworkErrors));
    }

    #[test]
    fn a_refused_login_is_invalid_credentials_and_a_lost_one_is_not() {
        assert_eq!(LoginFailure::Refused.error_code(), ConnectionErrorCode::InvalidCredentials);
        assert_eq!(LoginFailure::Locked.error_code(), ConnectionErrorCode::UserLockedOut);
        assert_eq!(LoginFailure::Unreachable.error_code(), ConnectionErrorCode::NetworkErrors);
        assert_eq!(LoginFailure::Unexpected.error_code(), ConnectionErrorCode::InternalError);
    }

    fn any_report() -> impl Strategy<Value = UserReport> {
        let types =
            prop::sample::select(vec![UserType::PreCryptoOfficer, UserType::CryptoOfficer, UserType::CryptoUser]);
        prop_oneof![
            Just(UserReport::Missing),
            (types, any::<bool>(), 0..3_u32)
                .prop_map(|(user_type, locked, sessions)| present(user_type, locked, sessions)),
        ]
    }

    proptest! {
        #[test]
        fn the_code_does_not_depend_on_the_order_of_the_hsms(reports in prop::collection::vec(any_report(), 0..5)) {
            let reversed: Vec<_> = reports.iter().rev().copied().collect();
            prop_assert_eq!(may_log_in(&reports), may_log_in(&reversed));
        }
    }
}
