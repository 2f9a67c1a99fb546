//! Alias name and alias ARN (spec 3.2, KEY-71).

use super::{AccountId, InvalidIdentifier, Partition, Region, split_arn};
use std::fmt;
use std::str::FromStr;

/// AWS `AliasName`: `alias/` and letters, digits, `:/_-`; 256 characters at most with the prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName(String);

impl AliasName {
    const PREFIX: &'static str = "alias/";

    /// The whole name with its prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is one of AWS's own (`alias/aws/…`), which nobody may create (`InvalidAliasNameException`).
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("alias/aws/")
    }
}

impl FromStr for AliasName {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'_' | b'-');
        let valid = text.len() <= 256
            && text.strip_prefix(Self::PREFIX).is_some_and(|name| !name.is_empty() && name.bytes().all(allowed));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifier::expected("an alias name")) }
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// AWS `AliasArn`: `arn:<partition>:kms:<region>:<account>:alias/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasArn {
    /// For example `aws`.
    pub partition: Partition,
    /// For example `local-1`.
    pub region: Region,
    /// Owner of the alias.
    pub account: AccountId,
    /// The alias.
    pub name: AliasName,
}

impl FromStr for AliasArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = InvalidIdentifier::expected("an alias ARN");
        let (partition, region, account, resource) = split_arn(text).ok_or(invalid)?;
        Ok(Self { partition, region, account, name: resource.parse().map_err(|_| invalid)? })
    }
}

impl fmt::Display for AliasArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:kms:{}:{}:{}", self.partition, self.region, self.account, self.name)
    }
}
