//! The thirteen steps of a connect, in order, with the error code of a failure in each (spec 2.6).

use super::ConnectionErrorCode;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

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
        Self::iter().find(|step| *step > self)
    }

    /// What an attempt shows while it works on this step, having shown `shown`: the furthest of them. An attempt that a crash made begin again
    /// may have done whatever it had shown.
    pub fn furthest(self, shown: Option<&str>) -> Self {
        shown.map_or(self, |shown| Self::named(shown).max(self))
    }

    /// Whether an HSM may hold delegates of an attempt that has shown `shown`: only the last step registers any, and it is shown before (D12).
    pub fn may_have_registered(shown: Option<&str>) -> bool {
        shown.is_some_and(|shown| Self::named(shown) == Self::StayLoggedIn)
    }

    /// The step of that name. A name that is none stands for the last: a later version's step may have done anything.
    fn named(name: &str) -> Self {
        Self::iter().find(|step| step.as_str() == name).unwrap_or(Self::StayLoggedIn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// D12: whatever an attempt works on when it fails, it knows whether a run of it may have registered delegates.
    #[test]
    fn an_attempt_that_has_shown_its_last_step_shows_it_to_the_end() {
        for working_on in ConnectStep::iter() {
            assert_eq!(working_on.furthest(None), working_on);
            for shown in ConnectStep::iter() {
                let shows = working_on.furthest(Some(shown.as_str()));
                assert_eq!(shows, working_on.max(shown));
                let last = working_on == ConnectStep::StayLoggedIn || shown == ConnectStep::StayLoggedIn;
                assert_eq!(ConnectStep::may_have_registered(Some(shows.as_str())), last, "{shown:?} {working_on:?}");
            }
        }
    }

    #[test]
    fn an_attempt_that_has_shown_nothing_has_registered_nothing_and_an_unknown_step_may_have() {
        assert!(!ConnectStep::may_have_registered(None));
        assert!(ConnectStep::may_have_registered(Some("StepOfALaterVersion")));
        assert_eq!(ConnectStep::OpenSessions.furthest(Some("StepOfALaterVersion")), ConnectStep::StayLoggedIn);
    }
}
