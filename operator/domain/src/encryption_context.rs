//! Encryption context: the caller's key-value pairs that a ciphertext is bound to (KEY-40).
//!
//! Not secret, and logged in plaintext. Its canonical bytes are what the HSM authenticates, so they must be the same for
//! ever and different for any two different contexts.

use std::collections::BTreeMap;
use thiserror::Error;

/// A bounded set of pairs. Equal contexts have equal canonical bytes, in whatever order the pairs were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionContext(BTreeMap<String, String>);

/// The context is larger than what an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("failed to accept the encryption context: its {actual} bytes are more than {}", EncryptionContext::MAX_BYTES)]
pub struct EncryptionContextTooLarge {
    /// Length of the canonical bytes.
    pub actual: usize,
}

impl EncryptionContext {
    /// Most canonical bytes that a context may have.
    pub const MAX_BYTES: usize = 8192;

    /// A context of these pairs. An absent context is an empty one.
    ///
    /// # Errors
    /// When the canonical bytes are more than [`Self::MAX_BYTES`].
    pub fn new(pairs: BTreeMap<String, String>) -> Result<Self, EncryptionContextTooLarge> {
        let actual = 4 + pairs.iter().map(|(key, value)| 8 + key.len() + value.len()).sum::<usize>();
        if actual > Self::MAX_BYTES { Err(EncryptionContextTooLarge { actual }) } else { Ok(Self(pairs)) }
    }

    /// The pairs in canonical order.
    pub fn into_pairs(self) -> BTreeMap<String, String> {
        self.0
    }

    /// The number of pairs, then for each pair in the byte order of its key: length of key, key, length of value, value.
    /// Numbers are 32-bit big-endian.
    ///
    /// Invariant: this never changes, or old ciphertexts become unreadable. Injective, because every part carries its length.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        push_length(&mut bytes, self.0.len());
        for (key, value) in &self.0 {
            push(&mut bytes, key);
            push(&mut bytes, value);
        }
        bytes
    }
}

fn push(bytes: &mut Vec<u8>, text: &str) {
    push_length(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Lengths are far below 2^32: the whole is at most [`EncryptionContext::MAX_BYTES`].
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).unwrap()
    }

    #[test]
    fn the_canonical_bytes_are_fixed_for_ever() {
        assert_eq!(context(&[]).canonical_bytes(), [0, 0, 0, 0]);
        let expected = b"\0\0\0\x02\0\0\0\x01B\0\0\0\x00\0\0\0\x01a\0\0\0\x02\xc3\xa4";
        assert_eq!(context(&[("a", "ä"), ("B", "")]).canonical_bytes(), expected);
    }

    #[test]
    fn moving_a_byte_between_key_and_value_changes_the_canonical_bytes() {
        assert_ne!(context(&[("ab", "c")]).canonical_bytes(), context(&[("a", "bc")]).canonical_bytes());
        assert_ne!(context(&[("a", "")]).canonical_bytes(), context(&[("", "a")]).canonical_bytes());
    }

    #[test]
    fn the_limit_is_8192_canonical_bytes() {
        let pair = |length: usize| BTreeMap::from([("k".to_owned(), "v".repeat(length))]);
        let largest = EncryptionContext::MAX_BYTES - 4 - 8 - 1;
        assert_eq!(
            EncryptionContext::new(pair(largest)).unwrap().canonical_bytes().len(),
            EncryptionContext::MAX_BYTES
        );
        assert_eq!(EncryptionContext::new(pair(largest + 1)), Err(EncryptionContextTooLarge { actual: 8193 }));
    }

    proptest! {
        #[test]
        fn two_contexts_have_equal_bytes_exactly_when_they_are_equal_key_40(
            a in btree_map("[ab]{0,3}", "[ab]{0,3}", 0..4), b in btree_map("[ab]{0,3}", "[ab]{0,3}", 0..4)
        ) {
            let same = a == b;
            let (a, b) = (EncryptionContext::new(a).unwrap(), EncryptionContext::new(b).unwrap());
            prop_assert_eq!(a.canonical_bytes() == b.canonical_bytes(), same);
        }
    }
}
