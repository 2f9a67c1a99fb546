//! Encrypt (D9).

use hsm_protocol::in_place::EncryptRequest;

use super::key_use::usable;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::{Outcome, cipher};

/// Encrypts up to 4096 bytes into a ciphertext blob.
///
/// # Errors
/// Those of [`usable`] and [`cipher::encrypt`].
pub(crate) fn run(hsm: &Hsm, session: &Session, request: EncryptRequest<'_>) -> Outcome<Vec<u8>> {
    let usable = usable(hsm, session, request.key_id)?;
    cipher::encrypt(&usable.key, request.plaintext, request.encryption_context)
}
