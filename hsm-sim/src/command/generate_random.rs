//! GenerateRandom. Needs no login: it touches no key.

use hsm_protocol::message::{GenerateRandomReply, GenerateRandomRequest};

use super::generate_data_key::random;
use crate::vault::Outcome;

/// Makes 1 to 1024 random bytes.
///
/// # Errors
/// `InvalidArgument` for another length.
pub(crate) fn run(request: &GenerateRandomRequest) -> Outcome<GenerateRandomReply> {
    let mut bytes = random(request.length)?;
    Ok(GenerateRandomReply { random: std::mem::take(&mut *bytes) })
}
