//! Authenticated encryption under a key that is used once: the one construction for records, masked keys and
//! ciphertext blobs.
//!
//! Invariant (INV-57): (key, nonce) never repeats, also after restore, clone or rollback. Both are derived from a
//! random 128-bit value with the counter-mode KDF of SP 800-108, so there is no counter that could go back.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::{hkdf, rand};
use zeroize::Zeroizing;

/// Length of the random value in front of sealed bytes.
pub(crate) const RANDOM_LENGTH: usize = 16;
const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;

/// A key of 256 bits, wiped when dropped.
pub(crate) type SecretKey = Zeroizing<[u8; KEY_LENGTH]>;

/// Sealing or opening failed. One value for every reason: the caller must not be able to tell them apart (INV-60).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to seal or open: wrong key, wrong binding or damaged bytes")]
pub(crate) struct SealError;

/// Random bytes from the operating system's generator through AWS-LC.
///
/// # Errors
/// [`SealError`] if the generator fails; nothing may be sealed then.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| SealError)?;
    Ok(bytes)
}

/// A fresh random key.
///
/// # Errors
/// [`SealError`] if the generator fails.
pub(crate) fn random_key() -> Result<SecretKey, SealError> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    rand::fill(&mut key[..]).map_err(|_| SealError)?;
    Ok(key)
}

/// Seals `plaintext`: returns `random 16 | ciphertext | tag 16`. `purpose` separates uses of one key.
///
/// # Errors
/// [`SealError`] if the generator or the cipher fails.
pub(crate) fn seal(key: &SecretKey, purpose: &[u8], binding: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let random = random::<RANDOM_LENGTH>()?;
    let mut sealed = Vec::with_capacity(RANDOM_LENGTH + plaintext.len() + TAG_LENGTH);
    sealed.extend_from_slice(&random);
    sealed.extend_from_slice(plaintext);
    seal_tail(key, purpose, &random, binding, &mut sealed, RANDOM_LENGTH)?;
    Ok(sealed)
}

/// Opens what [`seal`] made under the same key, purpose and binding.
///
/// # Errors
/// [`SealError`] if anything differs by a single bit.
pub(crate) fn open(
    key: &SecretKey,
    purpose: &[u8],
    binding: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (random, ciphertext) = sealed.split_first_chunk::<RANDOM_LENGTH>().ok_or(SealError)?;
    open_with(key, purpose, random, binding, ciphertext)
}

/// Encrypts `buffer[from..]` in place under the key derived from `random`, and appends the tag.
///
/// # Errors
/// [`SealError`] if the cipher fails; the buffer must then be discarded.
pub(crate) fn seal_tail(
    key: &SecretKey,
    purpose: &[u8],
    random: &[u8; RANDOM_LENGTH],
    binding: &[u8],
    buffer: &mut Vec<u8>,
    from: usize,
) -> Result<(), SealError> {
    let (cipher, nonce) = message_cipher(key, purpose, random)?;
    let body = buffer.get_mut(from..).ok_or(SealError)?;
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(binding), body).map_err(|_| SealError)?;
    buffer.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Decrypts `ciphertext | tag` under the key derived from `random`.
///
/// # Errors
/// [`SealError`] if anything differs by a single bit.
pub(crate) fn open_with(
    key: &SecretKey,
    purpose: &[u8],
    random: &[u8; RANDOM_LENGTH],
    binding: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (cipher, nonce) = message_cipher(key, purpose, random)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = cipher.open_in_place(nonce, Aad::from(binding), &mut buffer[..]).map_err(|_| SealError)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// Derives one 256-bit subkey for a purpose (HKDF-SHA-256).
///
/// # Errors
/// [`SealError`] if the derivation fails.
pub(crate) fn subkey(salt: &[u8], secret: &[&[u8]], purpose: &[u8]) -> Result<SecretKey, SealError> {
    let material = Zeroizing::new(secret.concat());
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&material);
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    let info = [purpose];
    let okm = extracted.expand(&info, hkdf::HKDF_SHA256).map_err(|_| SealError)?;
    okm.fill(&mut key[..]).map_err(|_| SealError)?;
    Ok(key)
}

/// Key and nonce of one message: SP 800-108 fixed input `label | 0 | context | length in bits`.
fn message_key(
    key: &SecretKey,
    purpose: &[u8],
    random: &[u8; RANDOM_LENGTH],
) -> Result<Zeroizing<[u8; KEY_LENGTH + NONCE_LENGTH]>, SealError> {
    const BITS: u32 = 44 * 8;
    const _: () = assert!(KEY_LENGTH + NONCE_LENGTH == 44);
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).ok_or(SealError)?;
    let info = [purpose, &[0], random, &BITS.to_be_bytes()].concat();
    let mut derived = Zeroizing::new([0; KEY_LENGTH + NONCE_LENGTH]);
    kbkdf_ctr_hmac(algorithm, &key[..], &info, &mut derived[..]).map_err(|_| SealError)?;
    Ok(derived)
}

fn message_cipher(
    key: &SecretKey,
    purpose: &[u8],
    random: &[u8; RANDOM_LENGTH],
) -> Result<(LessSafeKey, Nonce), SealError> {
    let derived = message_key(key, purpose, random)?;
    let (key, nonce) = derived.split_at(KEY_LENGTH);
    let cipher = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
    Ok((LessSafeKey::new(cipher), nonce))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn key(byte: u8) -> SecretKey {
        Zeroizing::new([byte; 32])
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_only_with_the_same_key_purpose_and_binding(
            plaintext in prop::collection::vec(any::<u8>(), 0..300), binding: [u8; 20], bit in 0usize..4000
        ) {
            let sealed = seal(&key(1), b"p", &binding, &plaintext).unwrap();
            prop_assert_eq!(&open(&key(1), b"p", &binding, &sealed).unwrap()[..], &plaintext[..]);
            prop_assert!(open(&key(2), b"p", &binding, &sealed).is_err());
            prop_assert!(open(&key(1), b"q", &binding, &sealed).is_err());
            prop_assert!(open(&key(1), b"p", &binding[1..], &sealed).is_err());
            let mut flipped = sealed.clone();
            let bit = bit % (sealed.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&key(1), b"p", &binding, &flipped).is_err());
        }
    }

    #[test]
    fn sealed_bytes_cut_at_any_length_do_not_open() {
        let sealed = seal(&key(1), b"p", b"", &[7; 50]).unwrap();
        for cut in 0..sealed.len() {
            assert_eq!(open(&key(1), b"p", b"", &sealed[..cut]).err(), Some(SealError));
        }
    }

    /// INV-57: 20,000 messages under one key give 20,000 different (key, nonce) pairs.
    #[test]
    fn key_and_nonce_never_repeat_under_one_key() {
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            let sealed = seal(&key(1), b"p", b"", b"same").unwrap();
            let random = sealed.first_chunk::<RANDOM_LENGTH>().unwrap();
            assert!(seen.insert(message_key(&key(1), b"p", random).unwrap().to_vec()));
        }
    }
}
