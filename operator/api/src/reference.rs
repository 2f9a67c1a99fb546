//! References to other objects. None carries a namespace: no reference leaves its tenant (INV-67).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Another object of our kinds in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Name of the object, in the namespace of the object that refers to it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

impl LocalReference {
    /// A reference to the object `name`.
    pub fn to(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// One entry of a Secret in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Entry within the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// An AWS API call's safe-direction order that overrides the manifest until the opposite call removes it (D17).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Principal whose call put the hold, as its ARN. Information only.
    #[schemars(length(min = 1, max = 2048))]
    pub requested_by: String,
    /// When the call was accepted.
    pub requested_at: Time,
}
