//! Decrypt: the blob names its key (D9).

use hsm_protocol::message::{DecryptReply, DecryptRequest};
use hsm_protocol::{BlobHeader, ReturnCode};

use super::key_use::usable;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::{Outcome, cipher};

/// Decrypts a blob.
///
/// # Errors
/// `CiphertextInvalid` for everything that is wrong with blob or context (INV-60); those of [`usable`].
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &DecryptRequest) -> Outcome<DecryptReply> {
    let (header, _) = BlobHeader::parse(&request.blob).map_err(|_| ReturnCode::CiphertextInvalid)?;
    let usable = usable(hsm, session, header.key_id.as_bytes())?;
    let mut plaintext = cipher::decrypt(&usable.key, &request.blob, &request.encryption_context)?;
    Ok(DecryptReply { plaintext: std::mem::take(&mut *plaintext), key_id: header.key_id.0.to_vec() })
}
