//! Makes the two halves of an AWS access key from the operating system's randomness.
//!
//! The id is not a secret: it is written to the object before anything else, so that a crash leaves at most one key (P2's idea again). The secret
//! exists only in the gateway's Secret and in the tenant's copy of it (INV-55).

use zeroize::Zeroizing;

use crate::random::{self, NoRandomness};

/// Alphabet of AWS access key ids: RFC 4648 base32.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Alphabet of AWS secret access keys: RFC 4648 base64.
const SECRET_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters after the prefix of an id.
const ID_LENGTH: usize = 16;
/// Characters of a secret: 240 bits.
const SECRET_LENGTH: usize = 40;

/// A new access key id: `AKIA` and 16 characters of base32.
///
/// # Errors
/// When the operating system gives no randomness.
pub(super) fn access_key_id() -> Result<String, NoRandomness> {
    let random = random::bytes::<ID_LENGTH>()?;
    let tail = random.iter().map(|byte| char::from(ID_ALPHABET[usize::from(byte % 32)]));
    Ok("AKIA".chars().chain(tail).collect())
}

/// A new secret access key: 40 characters of base64. Each character takes 6 bits of one random byte, so all are equally likely.
///
/// # Errors
/// When the operating system gives no randomness.
pub(super) fn secret_access_key() -> Result<Zeroizing<String>, NoRandomness> {
    let random = random::bytes::<SECRET_LENGTH>()?;
    let mut secret = Zeroizing::new(String::with_capacity(SECRET_LENGTH));
    for byte in random.iter() {
        secret.push(char::from(SECRET_ALPHABET[usize::from(byte % 64)]));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_id_has_the_shape_that_sdks_expect() {
        let id = access_key_id().unwrap();
        assert_eq!(id.len(), 20);
        assert!(id.starts_with("AKIA"));
        assert!(id[4..].bytes().all(|byte| ID_ALPHABET.contains(&byte)));
    }

    #[test]
    fn a_secret_has_forty_characters_of_base64() {
        let secret = secret_access_key().unwrap();
        assert_eq!(secret.len(), 40);
        assert!(secret.bytes().all(|byte| SECRET_ALPHABET.contains(&byte)));
    }

    #[test]
    fn no_two_keys_are_alike() {
        let ids: BTreeSet<_> = (0..100).map(|_| access_key_id().unwrap()).collect();
        let secrets: BTreeSet<_> = (0..100).map(|_| secret_access_key().unwrap().to_string()).collect();
        assert_eq!((ids.len(), secrets.len()), (100, 100));
    }
}
