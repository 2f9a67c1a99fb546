//! A refusal in AWS's words: the exception's name and the text beside it.

use strum::{EnumIter, IntoStaticStr};
use thiserror::Error;

/// The AWS exceptions that rules of this crate raise. The name is what stands in `__type` and, as a reason, in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, IntoStaticStr)]
#[allow(missing_docs)]
pub enum Exception {
    #[strum(serialize = "AlreadyExistsException")]
    AlreadyExists,
    #[strum(serialize = "CloudHsmClusterInUseException")]
    CloudHsmClusterInUse,
    #[strum(serialize = "CloudHsmClusterInvalidConfigurationException")]
    CloudHsmClusterInvalidConfiguration,
    #[strum(serialize = "CloudHsmClusterNotActiveException")]
    CloudHsmClusterNotActive,
    #[strum(serialize = "CloudHsmClusterNotFoundException")]
    CloudHsmClusterNotFound,
    #[strum(serialize = "CustomKeyStoreHasCMKsException")]
    CustomKeyStoreHasCmks,
    #[strum(serialize = "CustomKeyStoreInvalidStateException")]
    CustomKeyStoreInvalidState,
    #[strum(serialize = "CustomKeyStoreNameInUseException")]
    CustomKeyStoreNameInUse,
    #[strum(serialize = "CustomKeyStoreNotFoundException")]
    CustomKeyStoreNotFound,
    #[strum(serialize = "DisabledException")]
    Disabled,
    #[strum(serialize = "IncorrectTrustAnchorException")]
    IncorrectTrustAnchor,
    #[strum(serialize = "KMSInvalidStateException")]
    KmsInvalidState,
    #[strum(serialize = "LimitExceededException")]
    LimitExceeded,
    #[strum(serialize = "UnsupportedOperationException")]
    UnsupportedOperation,
}

impl Exception {
    /// The exception's name as AWS spells it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why an AWS call, or the same wish in a manifest, is refused. Safe to show to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// Name of the exception.
    pub exception: Exception,
    /// Text for the caller.
    pub message: String,
}

impl Refusal {
    /// A refusal with that name and text.
    pub fn new(exception: Exception, message: impl Into<String>) -> Self {
        Self { exception, message: message.into() }
    }
}
