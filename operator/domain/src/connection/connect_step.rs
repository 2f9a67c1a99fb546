//! The thirteen steps of a connect, in order, with the error code of a failure in each (spec 2.6).

use super::ConnectionErrorCode;
use strum::{EnumIter, IntoStaticStr};

/// A step of ConnectCustomKeyStore. `status.connectionStep` shows its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
pub enum ConnectStep {
    /// 1. Show CONNECTING.
    ShowConnecting,
    /// 2. Find the cluster by its id.
    FindCluster,
    /// 3. Count active HSMs: at least one.
    CountHsms,
    /// 4. Find every subnet of the cluster.
    FindSubnets,
    /// 5. Make the store's security group `kms-<custom key store id>`.
    MakeSecurityGroup,
    /// 6. Take one address in each subnet.
    TakeAddresses,
    /// 7. Open both TLS layers to the HSMs, trusting only the stored anchor.
    OpenSessions,
    /// 8. `kmsuser` exists and is a crypto user.
    FindUser,
    /// 9. `kmsuser` is not locked.
    CheckLock,
    /// 10. `kmsuser` is not logged in elsewhere.
    CheckLoggedIn,
    /// 11. Log in with the known password.
    LogIn,
    /// 12. Rotate the password on every HSM (protocol P1).
    RotatePassword,
    /// 13. Register the delegates, stay logged in, show CONNECTED.
    StayLoggedIn,
}

impl ConnectStep {
    /// The step's name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The code that a failure of this step means by default; [`ConnectStep::ShowConnecting`] has none, because the store
    /// is not CONNECTING yet.
    pub fn failure_code(self) -> Option<ConnectionErrorCode> {
        match self {
            Self::ShowConnecting => None,
            Self::FindCluster => Some(ConnectionErrorCode::ClusterNotFound),
            Self::CountHsms => Some(ConnectionErrorCode::InsufficientCloudhsmHsms),
            Self::FindSubnets => Some(ConnectionErrorCode::SubnetNotFound),
            Self::TakeAddresses => Some(ConnectionErrorCode::InsufficientFreeAddressesInSubnet),
            Self::OpenSessions => Some(ConnectionErrorCode::NetworkErrors),
            Self::FindUser => Some(ConnectionErrorCode::UserNotFound),
            Self::CheckLock => Some(ConnectionErrorCode::UserLockedOut),
            Self::CheckLoggedIn => Some(ConnectionErrorCode::UserLoggedIn),
            Self::LogIn => Some(ConnectionErrorCode::InvalidCredentials),
            Self::MakeSecurityGroup | Self::RotatePassword | Self::StayLoggedIn => {
                Some(ConnectionErrorCode::InternalError)
            }
        }
    }

    /// The step after this one; none after the last.
    pub fn next(self) -> Option<Self> {
        use strum::IntoEnumIterator;
        Self::iter().find(|step| *step > self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn the_thirteen_steps_fail_with_the_codes_of_2_6() {
        let codes: Vec<Option<&str>> =
            ConnectStep::iter().map(|step| step.failure_code().map(ConnectionErrorCode::as_str)).collect();
        let documented = [
            None,
            Some("CLUSTER_NOT_FOUND"),
            Some("INSUFFICIENT_CLOUDHSM_HSMS"),
            Some("SUBNET_NOT_FOUND"),
            Some("INTERNAL_ERROR"),
            Some("INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET"),
            Some("NETWORK_ERRORS"),
            Some("USER_NOT_FOUND"),
            Some("USER_LOCKED_OUT"),
            Some("USER_LOGGED_IN"),
            Some("INVALID_CREDENTIALS"),
            Some("INTERNAL_ERROR"),
            Some("INTERNAL_ERROR"),
        ];
        assert_eq!(codes, documented);
    }

    #[test]
    fn following_next_from_the_first_step_passes_every_step_once() {
        let followed: Vec<_> = std::iter::successors(Some(ConnectStep::ShowConnecting), |step| step.next()).collect();
        assert_eq!(followed, ConnectStep::iter().collect::<Vec<_>>());
    }
}
