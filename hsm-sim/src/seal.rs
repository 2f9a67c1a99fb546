//! Authenticated encryption under a key that is used once: the one construction for records, masked keys and
//! ciphertext blobs.
//!
//! Invariant (INV-57): (key, nonce) never repeats, also after restore, clone or rollback. The key is derived from a
//! random 128-bit value with the counter-mode KDF of SP 800-108, so there is no counter that could go back.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::{hkdf, hmac, rand};
use zeroize::Zeroizing;

/// Length of the random value in front of sealed bytes.
pub(crate) const RANDOM_LENGTH: usize = 16;
/// Length of the label of a purpose of [`MessageCipher::with_open_nonce`]; with it the hashed input fits into one block of SHA-256.
pub(crate) const PURPOSE_LENGTH: usize = 28;
const KEY_LENGTH: usize = 32;
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
    MessageCipher::new(key, purpose, &random)?.seal_tail(binding, &mut sealed, RANDOM_LENGTH)?;
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
    MessageCipher::new(key, purpose, random)?.open(binding, ciphertext)
}

/// Cipher and nonce of one message. Using it consumes it.
pub(crate) struct MessageCipher {
    cipher: LessSafeKey,
    nonce: Nonce,
}

impl MessageCipher {
    /// Key and nonce are both derived from `random`.
    ///
    /// # Errors
    /// [`SealError`] if the derivation fails.
    pub(crate) fn new(key: &SecretKey, purpose: &[u8], random: &[u8; RANDOM_LENGTH]) -> Result<Self, SealError> {
        let derived = key_and_nonce(key, purpose, random)?;
        let (key, nonce) = derived.split_first_chunk::<KEY_LENGTH>().ok_or(SealError)?;
        Self::of(key, nonce.first_chunk().ok_or(SealError)?)
    }

    /// The key is derived from `random`; its first bytes are the nonce, which need not be secret nor differ from those of
    /// other keys. Half the hashing of [`MessageCipher::new`].
    ///
    /// # Errors
    /// [`SealError`] if the derivation fails.
    pub(crate) fn with_open_nonce(
        key: &DerivingKey,
        purpose: &[u8; PURPOSE_LENGTH],
        random: &[u8; RANDOM_LENGTH],
    ) -> Result<Self, SealError> {
        Self::of(&*key.message_key(purpose, random)?, random.first_chunk().ok_or(SealError)?)
    }

    fn of(key: &[u8; KEY_LENGTH], nonce: &[u8; NONCE_LEN]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError)?;
        Ok(Self { cipher: LessSafeKey::new(key), nonce: Nonce::assume_unique_for_key(*nonce) })
    }

    /// Encrypts `buffer[from..]` in place and appends the tag.
    ///
    /// # Errors
    /// [`SealError`] if the cipher fails; the buffer must then be discarded.
    pub(crate) fn seal_tail(self, binding: &[u8], buffer: &mut Vec<u8>, from: usize) -> Result<(), SealError> {
        let body = buffer.get_mut(from..).ok_or(SealError)?;
        let tag =
            self.cipher.seal_in_place_separate_tag(self.nonce, Aad::from(binding), body).map_err(|_| SealError)?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Decrypts `ciphertext | tag`.
    ///
    /// # Errors
    /// [`SealError`] if anything differs by a single bit.
    pub(crate) fn open(self, binding: &[u8], ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let opened = self.cipher.open_in_place(self.nonce, Aad::from(binding), &mut buffer[..]);
        let length = opened.map_err(|_| SealError)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }
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
fn key_and_nonce(
    key: &SecretKey,
    purpose: &[u8],
    random: &[u8; RANDOM_LENGTH],
) -> Result<Zeroizing<[u8; KEY_LENGTH + NONCE_LEN]>, SealError> {
    const BITS: u32 = 44 * 8;
    const _: () = assert!(KEY_LENGTH + NONCE_LEN == 44);
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).ok_or(SealError)?;
    let info = [purpose, &[0], random, &BITS.to_be_bytes()].concat();
    let mut derived = Zeroizing::new([0; KEY_LENGTH + NONCE_LEN]);
    kbkdf_ctr_hmac(algorithm, &key[..], &info, &mut derived[..]).map_err(|_| SealError)?;
    Ok(derived)
}

/// A key of which many messages' keys are derived: its own hashing is done once. Secret inside: no `Debug`; wiped when dropped.
#[derive(Clone)]
pub(crate) struct DerivingKey(hmac::Key);

impl DerivingKey {
    /// For deriving from this key.
    pub(crate) fn new(key: &SecretKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key[..]))
    }

    /// The counter-mode KDF of SP 800-108 with HMAC-SHA-256, whose first block is the whole key:
    /// `counter 1 | label | 0 | context | length in bits`.
    fn message_key(
        &self,
        purpose: &[u8; PURPOSE_LENGTH],
        random: &[u8; RANDOM_LENGTH],
    ) -> Result<SecretKey, SealError> {
        const BITS: u32 = 256;
        let mut input = [0; 4 + PURPOSE_LENGTH + 1 + RANDOM_LENGTH + 4];
        let (counter, rest) = input.split_at_mut(4);
        let (label, rest) = rest.split_at_mut(PURPOSE_LENGTH);
        let (context, length) = rest.split_at_mut(1).1.split_at_mut(RANDOM_LENGTH);
        counter.copy_from_slice(&1_u32.to_be_bytes());
        label.copy_from_slice(purpose);
        context.copy_from_slice(random);
        length.copy_from_slice(&BITS.to_be_bytes());
        let mut derived = Zeroizing::new([0; KEY_LENGTH]);
        hmac::sign_to_buffer(&self.0, &input, &mut derived[..]).map_err(|_| SealError)?;
        Ok(derived)
    }
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
            assert!(seen.insert(key_and_nonce(&key(1), b"p", random).unwrap().to_vec()));
        }
    }

    /// SP 800-108: a key that is derived alone is what AWS-LC's own counter-mode KDF derives.
    #[test]
    fn the_key_of_a_message_is_what_the_counter_mode_kdf_gives() {
        let purpose = b"a label of twenty-eight byte";
        for byte in 0..50 {
            let (key, random) = (key(byte), [byte ^ 0x5a; RANDOM_LENGTH]);
            let info = [&purpose[..], &[0], &random, &256_u32.to_be_bytes()].concat();
            let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).unwrap();
            let mut wanted = [0; KEY_LENGTH];
            kbkdf_ctr_hmac(algorithm, &key[..], &info, &mut wanted).unwrap();
            assert_eq!(*DerivingKey::new(&key).message_key(purpose, &random).unwrap(), wanted);
        }
    }
}
