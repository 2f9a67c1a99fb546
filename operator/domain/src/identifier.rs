//! Identifiers, parsed once at the boundary and impossible to build wrong afterwards (spec 1.1, 2.1, 3.2).
//!
//! New identifiers are made from random bytes that the caller brings: the core has no source of randomness.

mod account;
mod alias;
mod cluster;
mod key;
mod key_reference;

pub use account::{AccountId, Partition, Region, ZoneName};
pub use alias::{AliasArn, AliasName};
pub use cluster::{ClusterId, CustomKeyStoreId, HsmId};
pub use key::{KeyArn, KeyId};
pub use key_reference::{KeyReference, KeyReferenceError};

use thiserror::Error;

/// A text is not the identifier that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("failed to parse {what}")]
pub struct InvalidIdentifier {
    /// What was expected, for example "a key id".
    pub what: &'static str,
}

impl InvalidIdentifier {
    const fn expected(what: &'static str) -> Self {
        Self { what }
    }
}

/// Lower-case base 32 as in CloudHSM's identifiers: `[a-z2-7]`, five bits a character.
fn base32(bytes: &[u8], characters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..characters)
        .map(|at| {
            let bit = at * 5;
            let high = u16::from(bytes.get(bit / 8).copied().unwrap_or(0));
            let low = u16::from(bytes.get(bit / 8 + 1).copied().unwrap_or(0));
            let window = (high << 8 | low) >> (11 - bit % 8);
            char::from(ALPHABET[usize::from(window & 31)])
        })
        .collect()
}

/// Splits `arn:<partition>:kms:<region>:<account>:<resource>` and parses all but the resource.
fn split_arn(text: &str) -> Option<(Partition, Region, AccountId, &str)> {
    let mut parts = text.splitn(6, ':');
    let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if arn != "arn" || service != "kms" {
        return None;
    }
    Some((partition.parse().ok()?, region.parse().ok()?, account.parse().ok()?, resource))
}

#[cfg(test)]
mod tests;
