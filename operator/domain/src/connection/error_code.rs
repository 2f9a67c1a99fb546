//! AWS `ConnectionErrorCode` (spec 2.7, 4.6). Exists only inside FAILED (D4).

use strum::{EnumIter, EnumString, IntoStaticStr};

/// Why a connect failed. The full enum of the AWS field; the codes of external key stores are never raised for a
/// CloudHSM store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum ConnectionErrorCode {
    ClusterNotFound,
    InsufficientCloudhsmHsms,
    InsufficientFreeAddressesInSubnet,
    InternalError,
    InvalidCredentials,
    NetworkErrors,
    SubnetNotFound,
    UserLockedOut,
    UserLoggedIn,
    UserNotFound,
    XksProxyAccessDenied,
    XksProxyNotReachable,
    XksVpcEndpointServiceNotFound,
    XksProxyInvalidResponse,
    XksProxyInvalidConfiguration,
    XksVpcEndpointServiceInvalidConfiguration,
    XksProxyTimedOut,
    XksProxyInvalidTlsConfiguration,
}

impl ConnectionErrorCode {
    /// AWS's spelling, for example `USER_LOCKED_OUT`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn the_eighteen_codes_are_spelled_as_aws_spells_them_2_7() {
        let codes: Vec<&str> = ConnectionErrorCode::iter().map(ConnectionErrorCode::as_str).collect();
        let documented = "CLUSTER_NOT_FOUND INSUFFICIENT_CLOUDHSM_HSMS INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET INTERNAL_ERROR \
            INVALID_CREDENTIALS NETWORK_ERRORS SUBNET_NOT_FOUND USER_LOCKED_OUT USER_LOGGED_IN USER_NOT_FOUND \
            XKS_PROXY_ACCESS_DENIED XKS_PROXY_NOT_REACHABLE XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND XKS_PROXY_INVALID_RESPONSE \
            XKS_PROXY_INVALID_CONFIGURATION XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION XKS_PROXY_TIMED_OUT \
            XKS_PROXY_INVALID_TLS_CONFIGURATION";
        assert_eq!(codes, documented.split_whitespace().collect::<Vec<_>>());
        for code in ConnectionErrorCode::iter() {
            assert_eq!(code.as_str().parse(), Ok(code));
        }
    }
}
