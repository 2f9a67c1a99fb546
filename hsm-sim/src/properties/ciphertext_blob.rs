//! Ciphertext blobs (D9): read in one way only, and opened only as they were sealed.

use hsm_protocol::{BlobHeader, ReturnCode};

use super::example;
use crate::vault::cipher::{decrypt, encrypt};

/// Bytes that are read as a blob print to the same bytes, and open nothing. What was sealed opens under the same
/// context, and not when the blob or the context differs by one bit or one byte.
///
/// # Panics
/// When that does not hold.
pub fn ciphertext_blob(data: &[u8]) {
    let key = example::key();
    if let Ok((header, sealed)) = BlobHeader::parse(data) {
        assert!([&header.encode()[..], sealed].concat() == data, "a blob prints to other bytes");
    }
    assert_eq!(decrypt(&key, data, b"").err(), Some(ReturnCode::CiphertextInvalid), "made-up bytes were opened");

    let Some(([context_length, high, low, flip], rest)) = data.split_first_chunk::<4>() else { return };
    let (context, plaintext) = rest.split_at(usize::from(*context_length).min(rest.len()));
    let Ok(blob) = encrypt(&key, plaintext, context) else { return };
    assert!(BlobHeader::parse(&blob).is_ok());
    let opened = decrypt(&key, &blob, context);
    assert!(opened.is_ok_and(|opened| opened[..] == *plaintext), "what was sealed does not open");

    let position = usize::from(u16::from_be_bytes([*high, *low])) % blob.len();
    let mut flipped = blob.clone();
    if let Some(byte) = flipped.get_mut(position) {
        *byte ^= 1 << (flip % 8);
    }
    let refused = |blob: &[u8], context: &[u8]| {
        assert_eq!(decrypt(&key, blob, context).err(), Some(ReturnCode::CiphertextInvalid), "at {position}");
    };
    refused(&flipped, context);
    refused(blob.get(..position).unwrap_or_default(), context);
    refused(&[&blob[..], &[0]].concat(), context);
    refused(&blob, &[context, &[0]].concat());
    if let Some((_, shorter)) = context.split_last() {
        refused(&blob, shorter);
    }
}

/// Blobs and plaintexts to begin with.
#[must_use]
pub fn ciphertext_blob_seeds() -> Vec<Vec<u8>> {
    let sealed = encrypt(&example::key(), b"plaintext", b"context").unwrap_or_default();
    vec![sealed, b"\x04\x00\x20\x01contplaintext".to_vec(), [&[0, 0, 1, 0][..], &[7; 4_096]].concat(), vec![255; 64]]
}
