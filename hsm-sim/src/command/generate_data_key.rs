//! GenerateDataKey: a random key, encrypted and if asked for in the clear.

use aws_lc_rs::rand;
use hsm_protocol::ReturnCode;
use hsm_protocol::limits::MAX_RANDOM;
use hsm_protocol::message::{GenerateDataKeyReply, GenerateDataKeyRequest};
use zeroize::Zeroizing;

use super::key_use::usable;
use crate::hsm::Hsm;
use crate::sessions::Session;
use crate::vault::{Outcome, cipher};

/// Makes 1 to 1024 random bytes and encrypts them.
///
/// # Errors
/// `InvalidArgument` for another length; those of [`usable`] and [`cipher::encrypt`].
pub(crate) fn run(hsm: &Hsm, session: &Session, request: &GenerateDataKeyRequest) -> Outcome<GenerateDataKeyReply> {
    let usable = usable(hsm, session, &request.key_id)?;
    let mut plaintext = random(request.length)?;
    let blob = cipher::encrypt(&usable.key, &plaintext, &request.encryption_context)?;
    let plaintext = if request.with_plaintext { std::mem::take(&mut *plaintext) } else { Vec::new() };
    Ok(GenerateDataKeyReply { blob, plaintext })
}

/// Random bytes, 1 to 1024.
///
/// # Errors
/// `InvalidArgument` for another length, `Internal` if the generator fails.
pub(super) fn random(length: u32) -> Outcome<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(1..=MAX_RANDOM).contains(&length) {
        return Err(ReturnCode::InvalidArgument);
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    rand::fill(&mut bytes).map_err(|_| ReturnCode::Internal)?;
    Ok(bytes)
}
