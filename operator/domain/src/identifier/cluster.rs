//! Identifiers of clusters, HSMs and custom key stores (spec 1.1, 2.1).

use super::{InvalidIdentifier, base32};
use std::fmt;
use std::str::FromStr;

/// `<prefix>` and 11 to 16 characters of `[2-7a-z]`. AWS also takes upper case; ours name DNS records, so they do not.
fn is_base32_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        (11..=16).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
    })
}

macro_rules! base32_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new identifier with 80 random bits.
            pub fn from_random(bytes: [u8; 10]) -> Self {
                Self(format!(concat!($prefix, "{}"), base32(&bytes, 16)))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let valid = is_base32_id(text, $prefix);
                if valid { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifier::expected($what)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

base32_id! {
    /// AWS `ClusterId`: `cluster-` and 11 to 16 characters. Names the StatefulSet and the Service.
    ClusterId, "cluster-", "a cluster id"
}
base32_id! {
    /// AWS `HsmId`: `hsm-` and 11 to 16 characters. Belongs to one identity key, so to one volume.
    HsmId, "hsm-", "an HSM id"
}

/// AWS `CustomKeyStoreId`: `cks-` and 17 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomKeyStoreId(String);

impl CustomKeyStoreId {
    const HEX_DIGITS: usize = 17;

    /// A new identifier with 68 random bits.
    pub fn from_random(bytes: [u8; 9]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("cks-{}", &hex[..Self::HEX_DIGITS]))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CustomKeyStoreId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid =
            text.strip_prefix("cks-").is_some_and(|rest| rest.len() == Self::HEX_DIGITS && rest.bytes().all(hex));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidIdentifier::expected("a custom key store id")) }
    }
}

impl fmt::Display for CustomKeyStoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
