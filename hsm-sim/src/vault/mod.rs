//! What the HSM protects and the rules over it: users, lockout, keys, delegates, fence and claim.
//!
//! Each part keeps its state in memory, reads it from the volume once, and changes it only after the change is
//! durable. Refusals are return codes; the reason for a storage refusal is logged here, once.

pub(crate) mod cipher;
pub(crate) mod control;
pub(crate) mod delegates;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod lockout;
pub(crate) mod masking;
pub(crate) mod password;
pub(crate) mod rows;
pub(crate) mod user;
pub(crate) mod users;

use hsm_protocol::ReturnCode;

use crate::seal::SealError;
use crate::store::StoreError;

/// Result of a command: its value, or the return code that refuses it.
pub(crate) type Outcome<T> = Result<T, ReturnCode>;

/// Return code for a storage error; the chain goes to the log.
pub(crate) fn storage_code(error: &StoreError) -> ReturnCode {
    tracing::warn!(error = %error, "change refused by the store");
    match error {
        StoreError::Full => ReturnCode::StorageFull,
        StoreError::Damaged { .. }
        | StoreError::Foreign { .. }
        | StoreError::Locked(_)
        | StoreError::Failed
        | StoreError::Io { .. } => ReturnCode::StorageFailed,
    }
}

/// Return code for a failed cipher or generator: a fault of this HSM, never of the caller.
pub(crate) fn internal(_: SealError) -> ReturnCode {
    ReturnCode::Internal
}

/// Checks the length of a text field.
///
/// # Errors
/// `InvalidArgument` if it is too long, or empty where it must not be.
pub(crate) fn text(field: &str, may_be_empty: bool) -> Outcome<&str> {
    let fits = field.len() <= hsm_protocol::limits::MAX_TEXT && (may_be_empty || !field.is_empty());
    if fits { Ok(field) } else { Err(ReturnCode::InvalidArgument) }
}

/// Reads a fixed-length field.
///
/// # Errors
/// `InvalidArgument` if it has another length.
pub(crate) fn fixed<const N: usize>(field: &[u8]) -> Outcome<[u8; N]> {
    hsm_protocol::key_id::fixed(field).map_err(|_| ReturnCode::InvalidArgument)
}
