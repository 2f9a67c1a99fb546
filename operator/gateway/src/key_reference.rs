//! What a caller may write where a key is expected: key id, key ARN, alias name, alias ARN (KEY-11, KEY-12).
//!
//! This is a parser only: it says what was written, not whether it exists.

use thiserror::Error;
use uuid::Uuid;

/// One of the four forms. `account` is as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyReference<'a> {
    /// A bare key id.
    Id(Uuid),
    /// A key ARN.
    Arn {
        /// The account in the ARN.
        account: &'a str,
        /// The key id in the ARN.
        id: Uuid,
    },
    /// `alias/<name>`, prefix included.
    Alias(&'a str),
    /// An alias ARN.
    AliasArn {
        /// The account in the ARN.
        account: &'a str,
        /// The alias name with its prefix.
        name: &'a str,
    },
}

/// Why a reference has none of the four forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ReferenceError {
    /// It begins like an ARN and is not one of a KMS key or alias.
    #[error("failed to read an ARN of a key or an alias")]
    Arn,
    /// It is neither a UUID nor an alias name.
    #[error("failed to read a key id")]
    Id,
}

impl<'a> KeyReference<'a> {
    /// Reads a `KeyId` parameter.
    ///
    /// # Errors
    /// [`ReferenceError::Arn`] for something that begins with `arn:`, [`ReferenceError::Id`] for anything else (KEY-15).
    pub(crate) fn parse(text: &'a str) -> Result<Self, ReferenceError> {
        if text.starts_with("arn:") {
            return Self::parse_arn(text).ok_or(ReferenceError::Arn);
        }
        if is_alias_name(text) {
            return Ok(Self::Alias(text));
        }
        parse_key_id(text).map(Self::Id).ok_or(ReferenceError::Id)
    }

    fn parse_arn(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if arn != "arn" || service != "kms" || region.is_empty() || !is_account_id(account) {
            return None;
        }
        if is_alias_name(resource) {
            return Some(Self::AliasArn { account, name: resource });
        }
        Some(Self::Arn { account, id: parse_key_id(resource.strip_prefix("key/")?)? })
    }

    /// The account that the reference names, if it is an ARN.
    #[must_use]
    pub(crate) fn account(&self) -> Option<&'a str> {
        match self {
            Self::Arn { account, .. } | Self::AliasArn { account, .. } => Some(account),
            Self::Id(_) | Self::Alias(_) => None,
        }
    }

    /// Whether the reference is an alias name or alias ARN, which only some operations take (KEY-12).
    #[must_use]
    pub(crate) fn is_alias(&self) -> bool {
        matches!(self, Self::Alias(_) | Self::AliasArn { .. })
    }
}

/// Reads a key id in its one canonical form: lower case, with hyphens. Any other form would be a second name for a key.
#[must_use]
pub(crate) fn parse_key_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(id)
}

fn is_alias_name(text: &str) -> bool {
    text.strip_prefix("alias/").is_some_and(|name| !name.is_empty())
}

fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn id() -> Uuid {
        Uuid::try_parse(ID).unwrap()
    }

    #[test]
    fn the_four_documented_forms_are_read() {
        let arn = format!("arn:aws:kms:local-1:111122223333:key/{ID}");
        assert_eq!(KeyReference::parse(ID), Ok(KeyReference::Id(id())));
        assert_eq!(KeyReference::parse(&arn), Ok(KeyReference::Arn { account: "111122223333", id: id() }));
        assert_eq!(KeyReference::parse("alias/a:b/c"), Ok(KeyReference::Alias("alias/a:b/c")));
        assert_eq!(
            KeyReference::parse("arn:aws:kms:local-1:111122223333:alias/a:b"),
            Ok(KeyReference::AliasArn { account: "111122223333", name: "alias/a:b" })
        );
    }

    #[test]
    fn a_key_id_has_one_spelling() {
        for text in
            [ID.to_uppercase(), ID.replace('-', ""), format!("{{{ID}}}"), format!("urn:uuid:{ID}"), format!(" {ID}")]
        {
            assert_eq!(KeyReference::parse(&text), Err(ReferenceError::Id), "{text}");
        }
    }

    #[test]
    fn what_begins_like_an_arn_and_is_none_is_a_bad_arn() {
        for text in [
            "arn:",
            "arn:aws:kms",
            "arn:aws:s3:local-1:111122223333:key/x",
            "arn:aws:kms:local-1:1111:key/x",
            "arn:aws:kms:local-1:111122223333:key/x",
            "arn:aws:kms:local-1:111122223333:alias/",
            "arn:aws:kms::111122223333:alias/x",
            "arn:aws:kms:local-1:111122223333:",
        ] {
            assert_eq!(KeyReference::parse(text), Err(ReferenceError::Arn), "{text}");
        }
    }
}
