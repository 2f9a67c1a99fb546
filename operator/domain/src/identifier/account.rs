//! Where things are and whose they are: partition, region, availability zone, account.

use super::InvalidIdentifier;
use std::fmt;
use std::str::FromStr;

/// Lower-case letters, digits and inner hyphens, at most 63: fits a DNS label and a Kubernetes label value.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_label(text) { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifier::expected($what)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

label! {
    /// AWS partition, for example `aws`.
    Partition, "a partition"
}
label! {
    /// AWS region, for example `local-1`.
    Region, "a region"
}
label! {
    /// Availability zone, for example `local-1a`: the value of a node's zone label.
    ZoneName, "an availability zone"
}

/// AWS account id: 12 digits (D1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    const DIGITS: usize = 12;

    /// An account id from random bytes. It never begins with 0, which YAML and spreadsheets drop.
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(100_000_000_000 + u64::from_be_bytes(bytes) % 900_000_000_000)
    }
}

impl FromStr for AccountId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == Self::DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.map(Self).ok_or(InvalidIdentifier::expected("an account id"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({self})")
    }
}
