//! What a caller may write where a key is expected: key id, key ARN, alias name, alias ARN (KEY-11, KEY-12, KEY-15).
//!
//! Says what was written, not whether it exists.

use super::{AccountId, AliasArn, AliasName, KeyArn, KeyId};
use thiserror::Error;

/// One of the four forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyReference {
    /// A bare key id, in the caller's account.
    Id(KeyId),
    /// A key ARN.
    Arn(KeyArn),
    /// An alias name, in the caller's account.
    Alias(AliasName),
    /// An alias ARN.
    AliasArn(AliasArn),
}

/// Why a text is none of the four forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyReferenceError {
    /// Outside of 1 to 2,048 characters: `ValidationException`.
    #[error("failed to read a key reference: it must have 1 to 2048 characters")]
    Length,
    /// Begins like an ARN and is no ARN of a key or alias: `InvalidArnException` where listed, else `NotFoundException`.
    #[error("failed to read an ARN of a key or an alias")]
    InvalidArn,
    /// Neither a key id nor an alias name, so no key can be meant: `NotFoundException`.
    #[error("failed to read a key id or an alias name")]
    Unknown,
}

impl KeyReference {
    /// Reads a `KeyId` parameter in any of the four forms (KEY-11).
    ///
    /// # Errors
    /// By KEY-15: what begins with `arn:` is judged as an ARN, anything else as a name.
    pub fn parse(text: &str) -> Result<Self, KeyReferenceError> {
        if text.is_empty() || text.len() > 2048 {
            return Err(KeyReferenceError::Length);
        }
        if text.starts_with("arn:") {
            let key = text.parse().map(Self::Arn);
            return key.or_else(|_| text.parse().map(Self::AliasArn)).map_err(|_| KeyReferenceError::InvalidArn);
        }
        let id = text.parse().map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Alias)).map_err(|_| KeyReferenceError::Unknown)
    }

    /// Whether it is one of the alias forms, which only the operations of KEY-11 accept (KEY-12).
    pub fn is_alias(&self) -> bool {
        match self {
            Self::Alias(_) | Self::AliasArn(_) => true,
            Self::Id(_) | Self::Arn(_) => false,
        }
    }

    /// The account that an ARN names; a bare id or alias is in the caller's account (KEY-13).
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Arn(arn) => Some(arn.account),
            Self::AliasArn(arn) => Some(arn.account),
            Self::Id(_) | Self::Alias(_) => None,
        }
    }
}
