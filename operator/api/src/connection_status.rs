//! Connection state and error code of a custom key store, as they stand in `status` and on the AWS wire (spec 2.2, 2.7, 4.6).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// AWS `ConnectionState`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum ConnectionState {
    Disconnected,
    Connecting,
    Connected,
    Disconnecting,
    Failed,
}

/// AWS `ConnectionErrorCode`: the full enum of the field, external key stores included.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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

impl ConnectionState {
    /// AWS's spelling, for example `CONNECTED`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl ConnectionErrorCode {
    /// AWS's spelling, for example `USER_LOCKED_OUT`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The last connection error, kept after the state has left FAILED (CKS-51, SCN-2 step 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastConnectionError {
    /// Code that the store failed with.
    pub code: ConnectionErrorCode,
    /// What was observed, in words fit for a tenant. Never a secret.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When the store entered FAILED.
    pub time: Time,
}
