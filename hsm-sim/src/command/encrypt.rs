//! Encrypt (D9).

use hsm_protocol::message::{EncryptReply, EncryptRequest};

use super::key_use::usable;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::{Outcome, cipher};

/// Encrypts up to 4096 bytes.
///
/// # Errors
/// Those of [`usable`] and [`cipher::encrypt`].
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &EncryptRequest) -> Outcome<EncryptReply> {
    let usable = usable(hsm, session, &request.key_id)?;
    let blob = cipher::encrypt(&usable.key, &request.plaintext, &request.encryption_context)?;
    Ok(EncryptReply { blob })
}
