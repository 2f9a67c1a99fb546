//! Decrypt: the blob names its key (D9).

use hsm_protocol::in_place::DecryptRequest;
use hsm_protocol::{BlobHeader, KeyId, ReturnCode};
use zeroize::Zeroizing;

use super::key_use::usable;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::{Outcome, cipher};

/// Decrypts a blob. Returns the plaintext and the key that it was under.
///
/// # Errors
/// `CiphertextInvalid` for everything that is wrong with blob or context (INV-60); those of [`usable`].
pub(crate) fn run(hsm: &Hsm, session: &Session, request: DecryptRequest<'_>) -> Outcome<(Zeroizing<Vec<u8>>, KeyId)> {
    let (header, _) = BlobHeader::parse(request.blob).map_err(|_| ReturnCode::CiphertextInvalid)?;
    let usable = usable(hsm, session, header.key_id.as_bytes())?;
    let plaintext = cipher::decrypt(&usable.key, request.blob, request.encryption_context)?;
    Ok((plaintext, header.key_id))
}
