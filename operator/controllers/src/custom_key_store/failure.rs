//! Why a connection attempt failed: from an HSM's answer to the AWS error code, its message and its cure (spec 2.7).

use hsm_client::{ConnectError, HsmError, ReturnCode};
use operator_api::ConnectionErrorCode as Code;

/// A failed attempt: what stands in `status.lastConnectionError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ConnectFailure {
    /// AWS `ConnectionErrorCode`.
    pub(super) code: Code,
    /// What was observed, in words for the store's owner.
    pub(super) message: String,
}

impl ConnectFailure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The code for a session that did not come about: the HSM is there as far as the cluster says, so it is the network or what stands in for the
/// HSM on it (spec 2.6 step 7, mapping `DEC`).
pub(super) fn of_dial(hsm_id: &str, error: &ConnectError) -> ConnectFailure {
    let code = match error {
        ConnectError::Setup(_) => Code::InternalError,
        ConnectError::Tcp(_)
        | ConnectError::OuterTls(_)
        | ConnectError::InnerTls(_)
        | ConnectError::Hello(_)
        | ConnectError::IdentityMismatch(_) => Code::NetworkErrors,
    };
    ConnectFailure::new(code, format!("{hsm_id}: {error}"))
}

/// The code for a command about `kmsuser` that an HSM refused or did not answer.
pub(super) fn of_command(hsm_id: &str, error: &HsmError) -> ConnectFailure {
    let code = match error {
        HsmError::Refused(ReturnCode::LoginFailure) => Code::InvalidCredentials,
        HsmError::Refused(ReturnCode::UserLocked) => Code::UserLockedOut,
        HsmError::Refused(ReturnCode::UserNotFound) => Code::UserNotFound,
        HsmError::Refused(ReturnCode::UserBusy) => Code::UserLoggedIn,
        HsmError::Disconnected | HsmError::Timeout | HsmError::Protocol(_) => Code::NetworkErrors,
        HsmError::Refused(_) => Code::InternalError,
    };
    ConnectFailure::new(code, format!("{hsm_id}: {error}"))
}

/// The core's code of the same spelling.
pub(super) fn to_domain(code: Code) -> operator_domain::connection::ConnectionErrorCode {
    code.as_str().parse().unwrap_or(operator_domain::connection::ConnectionErrorCode::InternalError)
}

/// The stored code of the same spelling.
pub(super) fn from_domain(code: operator_domain::connection::ConnectionErrorCode) -> Code {
    code.as_str().parse().unwrap_or(Code::InternalError)
}

/// What the owner does after the mandatory disconnect (spec 2.7, column "cure").
pub(super) fn cure(code: Code) -> &'static str {
    match code {
        Code::ClusterNotFound => {
            "check cloudHsmClusterRef; if the cluster was deleted, create one from a recent backup"
        }
        Code::InsufficientCloudhsmHsms => "add at least one HSM to the cluster (several: in different zones)",
        Code::InvalidCredentials => {
            "find out or reset kmsuser's password (changePswd by a CO) and put the current one into keyStorePasswordSecretRef"
        }
        Code::NetworkErrors => "wait a few minutes; if it persists check NetworkPolicies and the HSM pods",
        Code::UserLockedOut => "have a CO set a new password (changePswd) and put it into keyStorePasswordSecretRef",
        Code::UserLoggedIn => {
            "log kmsuser out; if its password was changed for that login, put it into keyStorePasswordSecretRef"
        }
        Code::UserNotFound => {
            "create the crypto user kmsuser, without 2FA, and put its password into keyStorePasswordSecretRef"
        }
        Code::SubnetNotFound => "create a cluster from a recent backup in other subnets",
        Code::InsufficientFreeAddressesInSubnet => "free an address in each subnet of the cluster",
        Code::InternalError => "no change is needed",
        Code::XksProxyAccessDenied
        | Code::XksProxyNotReachable
        | Code::XksVpcEndpointServiceNotFound
        | Code::XksProxyInvalidResponse
        | Code::XksProxyInvalidConfiguration
        | Code::XksVpcEndpointServiceInvalidConfiguration
        | Code::XksProxyTimedOut
        | Code::XksProxyInvalidTlsConfiguration => "check the external key store proxy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Every code of an HSM that a connection attempt can meet, by table: spec 2.6 steps 7 to 12.
    #[test]
    fn an_hsms_refusal_has_exactly_one_connection_error_code() {
        for code in ReturnCode::ALL {
            let want = match code {
                ReturnCode::LoginFailure => Code::InvalidCredentials,
                ReturnCode::UserLocked => Code::UserLockedOut,
                ReturnCode::UserNotFound => Code::UserNotFound,
                ReturnCode::UserBusy => Code::UserLoggedIn,
                _ => Code::InternalError,
            };
            assert_eq!(of_command("hsm-a", &HsmError::Refused(*code)).code, want, "{code:?}");
        }
    }

    #[test]
    fn silence_of_an_hsm_is_a_network_error() {
        for error in [HsmError::Disconnected, HsmError::Timeout, HsmError::Protocol("x".into())] {
            assert_eq!(of_command("hsm-a", &error).code, Code::NetworkErrors);
        }
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let dials = [
            ConnectError::Tcp(refused()),
            ConnectError::OuterTls(refused()),
            ConnectError::InnerTls(refused()),
            ConnectError::Hello(HsmError::Timeout),
            ConnectError::IdentityMismatch("the zone".into()),
        ];
        for error in dials {
            let failure = of_dial("hsm-a", &error);
            assert_eq!(failure.code, Code::NetworkErrors);
            assert!(failure.message.contains("hsm-a"));
        }
    }

    #[test]
    fn the_two_spellings_of_a_code_are_one() {
        use operator_domain::connection::ConnectionErrorCode as Core;
        for core in [Core::ClusterNotFound, Core::InsufficientCloudhsmHsms, Core::UserLoggedIn, Core::XksProxyTimedOut]
        {
            assert_eq!(to_domain(from_domain(core)), core);
            assert_eq!(from_domain(core).as_str(), core.as_str());
        }
    }

    #[test]
    fn every_cure_says_something_and_none_begins_a_sentence() {
        for code in [Code::ClusterNotFound, Code::InvalidCredentials, Code::UserLockedOut, Code::XksProxyTimedOut] {
            let cure = cure(code);
            assert!(cure.len() > 10 && cure.starts_with(char::is_lowercase), "{cure}");
        }
    }
}
