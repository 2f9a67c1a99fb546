//! Key id and key ARN (spec 3.2).

use super::{AccountId, InvalidIdentifier, Partition, Region, split_arn};
use std::fmt;
use std::str::FromStr;

/// AWS `KeyId`: a UUID in its one canonical spelling, lower case with hyphens. Any other spelling would be a second name
/// for a key. Multi-Region ids (`mrk-…`) are not parsed: no key of a custom key store can have one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// Where the canonical form has its hyphens.
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];

    /// A new key id: a version 4 UUID with 122 of the random bits.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The id that stands in a ciphertext blob.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes that go into a ciphertext blob.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || KeyId::HYPHENS.iter().any(|&at| bytes[at] != b'-') {
        return None;
    }
    let mut digits = bytes.iter().enumerate().filter(|(at, _)| !KeyId::HYPHENS.contains(at)).map(|(_, byte)| *byte);
    let mut id = [0; 16];
    for byte in &mut id {
        *byte = hex_digit(digits.next()?)? << 4 | hex_digit(digits.next()?)?;
    }
    Some(id)
}

impl FromStr for KeyId {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_uuid(text).map(Self).ok_or(InvalidIdentifier::expected("a key id"))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// AWS `Arn` of a key: `arn:<partition>:kms:<region>:<account>:key/<id>`. Stored with the key and never re-derived (D1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    /// For example `aws`.
    pub partition: Partition,
    /// For example `local-1`.
    pub region: Region,
    /// Owner of the key.
    pub account: AccountId,
    /// The key.
    pub key_id: KeyId,
}

impl FromStr for KeyArn {
    type Err = InvalidIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = InvalidIdentifier::expected("a key ARN");
        let (partition, region, account, resource) = split_arn(text).ok_or(invalid)?;
        let key_id = resource.strip_prefix("key/").and_then(|id| id.parse().ok()).ok_or(invalid)?;
        Ok(Self { partition, region, account, key_id })
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:kms:{}:{}:key/{}", self.partition, self.region, self.account, self.key_id)
    }
}
