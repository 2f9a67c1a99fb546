//! Encrypt and decrypt under one key (D9).

use hsm_protocol::blob::{self, BlobHeader};
use hsm_protocol::limits::{MAX_ENCRYPTION_CONTEXT, MAX_PLAINTEXT};
use hsm_protocol::{BlobVersion, ReturnCode};
use zeroize::Zeroizing;

use super::key::Key;
use super::{Outcome, internal};
use crate::message_random::message_random;
use crate::seal::{MessageCipher, PURPOSE_LENGTH, SealError};

const PURPOSE: &[u8; PURPOSE_LENGTH] = b"keystores ciphertext blob v2";
const PURPOSE_OF_VERSION_1: &[u8] = b"keystores ciphertext blob v1";

/// Encrypts 1 to 4096 bytes into a ciphertext blob.
///
/// # Errors
/// `InvalidArgument` for an empty plaintext, `MessageTooLarge` above a limit, `Internal` if the generator fails.
pub(crate) fn encrypt(key: &Key, plaintext: &[u8], encryption_context: &[u8]) -> Outcome<Vec<u8>> {
    if plaintext.is_empty() {
        return Err(ReturnCode::InvalidArgument);
    }
    if plaintext.len() > MAX_PLAINTEXT || encryption_context.len() > MAX_ENCRYPTION_CONTEXT {
        return Err(ReturnCode::MessageTooLarge);
    }
    let random = message_random().map_err(internal)?;
    let header = BlobHeader::new(key.id, key.backing_key_id, random);
    let (cipher, header) = (message_cipher(key, &header).map_err(internal)?, header.encode());
    let mut sealed = Vec::with_capacity(header.len() + plaintext.len() + blob::TAG_LENGTH);
    sealed.extend_from_slice(&header);
    sealed.extend_from_slice(plaintext);
    let binding = blob::additional_data(&header, encryption_context);
    cipher.seal_tail(&binding, &mut sealed, header.len()).map_err(internal)?;
    Ok(sealed)
}

/// Decrypts a blob of this key.
///
/// # Errors
/// `CiphertextInvalid`, the same for everything that can be wrong with blob or context (INV-60); `Internal` if the derivation fails, which
/// depends on neither.
pub(crate) fn decrypt(key: &Key, blob: &[u8], encryption_context: &[u8]) -> Outcome<Zeroizing<Vec<u8>>> {
    let (header, sealed) = BlobHeader::parse(blob).map_err(|_| ReturnCode::CiphertextInvalid)?;
    if header.key_id != key.id || header.backing_key_id != key.backing_key_id {
        return Err(ReturnCode::CiphertextInvalid);
    }
    let binding = blob::additional_data(&header.encode(), encryption_context);
    let cipher = message_cipher(key, &header).map_err(internal)?;
    cipher.open(&binding, sealed).map_err(|_| ReturnCode::CiphertextInvalid)
}

fn message_cipher(key: &Key, header: &BlobHeader) -> Result<MessageCipher, SealError> {
    match header.version {
        BlobVersion::DerivedNonce => MessageCipher::new(&key.material, PURPOSE_OF_VERSION_1, &header.random),
        BlobVersion::OpenNonce => MessageCipher::with_open_nonce(&key.deriving, PURPOSE, &header.random),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::masking::tests::key;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encrypted_decrypts_with_the_same_context(
            plaintext in prop::collection::vec(any::<u8>(), 1..=4096), context in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            let blob = encrypt(&key(1, 1), &plaintext, &context).unwrap();
            prop_assert_eq!(&decrypt(&key(1, 1), &blob, &context).unwrap()[..], &plaintext[..]);
        }

        /// INV-60: a wrong context, key, material or bit gives one and the same answer.
        #[test]
        fn every_wrong_use_fails_identically(bit in 0usize..800, context: [u8; 8]) {
            let blob = encrypt(&key(1, 1), &[5; 35], b"context").unwrap();
            let mut flipped = blob.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut other_id = blob.clone();
            other_id[1..17].copy_from_slice(&[2; 16]);
            let attempts = [
                decrypt(&key(1, 1), &blob, &context),
                decrypt(&key(1, 1), &blob, b""),
                decrypt(&key(1, 2), &blob, b"context"),
                decrypt(&key(2, 1), &blob, b"context"),
                decrypt(&key(2, 1), &other_id, b"context"),
                decrypt(&key(1, 1), &flipped, b"context"),
                decrypt(&key(1, 1), &blob[..blob.len() - 1], b"context"),
            ];
            for attempt in attempts {
                prop_assert_eq!(attempt.err(), Some(ReturnCode::CiphertextInvalid));
            }
        }
    }

    /// What an earlier build sealed still opens; and a blob cannot be passed off as one of the other version.
    #[test]
    fn a_blob_of_version_1_opens_as_it_always_did_and_only_as_what_it_is() {
        let (key, version, random) = (key(1, 1), BlobVersion::DerivedNonce, [9; 16]);
        let header = BlobHeader { version, key_id: key.id, backing_key_id: key.backing_key_id, random }.encode();
        let mut older = [&header[..], b"plaintext"].concat();
        let cipher = MessageCipher::new(&key.material, PURPOSE_OF_VERSION_1, &random).unwrap();
        cipher.seal_tail(&blob::additional_data(&header, b"context"), &mut older, header.len()).unwrap();
        assert_eq!(&decrypt(&key, &older, b"context").unwrap()[..], b"plaintext");
        let newer = encrypt(&key, b"plaintext", b"context").unwrap();
        assert_eq!([older[0], newer[0]], [1, 2]);
        for (mut blob, version) in [(older, 2), (newer, 1)] {
            blob[0] = version;
            assert_eq!(decrypt(&key, &blob, b"context").err(), Some(ReturnCode::CiphertextInvalid));
        }
    }

    #[test]
    fn limits_are_refused_before_any_work() {
        assert_eq!(encrypt(&key(1, 1), &[], b"").err(), Some(ReturnCode::InvalidArgument));
        assert_eq!(encrypt(&key(1, 1), &[0; 4097], b"").err(), Some(ReturnCode::MessageTooLarge));
        let context = vec![0; MAX_ENCRYPTION_CONTEXT + 1];
        assert_eq!(encrypt(&key(1, 1), &[0], &context).err(), Some(ReturnCode::MessageTooLarge));
    }
}
