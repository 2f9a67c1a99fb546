//! The password that the user supplies in a Secret of their own (AWS `KeyStorePassword`), read only for an attempt (INV-30).

use operator_api::{ConnectionErrorCode, CustomKeyStore};

use super::Stop;
use crate::{
    context::Context,
    custom_key_store::{
        error::StoreError,
        failure::ConnectFailure,
        observe::{self, TenantEntry},
        validate::SecretProblem,
    },
    ring::Supplied,
};

/// Lengths of a `kmsuser` password (CKS-81).
const LENGTHS: std::ops::RangeInclusive<usize> = 7..=32;

/// Reads the supplied password, if the store names a Secret. That it cannot be used is a fast failure of the connect.
///
/// # Errors
/// The inner one says what is wrong with the Secret.
pub(in crate::custom_key_store) async fn read(
    context: &Context,
    store: &CustomKeyStore,
) -> Result<Result<Option<TenantEntry>, SecretProblem>, StoreError> {
    let Some(reference) = &store.spec.key_store_password_secret_ref else { return Ok(Ok(None)) };
    Ok(observe::tenant_secret(context, store, reference).await?.and_then(|entry| {
        let malformed = SecretProblem::NotAPassword { secret: reference.name.clone() };
        if is_wellformed(&entry.text) { Ok(Some(entry)) } else { Err(malformed) }
    }))
}

/// The supplied password for an attempt that is under way.
///
/// # Errors
/// INVALID_CREDENTIALS when the Secret was spoilt since the fast checks; no login attempt is spent on it.
pub(super) async fn supplied(context: &Context, store: &CustomKeyStore) -> Result<Option<TenantEntry>, Stop> {
    let invalid = |problem: SecretProblem| {
        Stop::Failed(ConnectFailure::new(ConnectionErrorCode::InvalidCredentials, problem.to_string()))
    };
    read(context, store).await?.map_err(invalid)
}

fn is_wellformed(password: &str) -> bool {
    LENGTHS.contains(&password.len()) && password.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl TenantEntry {
    /// The entry as a password that the ring can remember the use of.
    pub(super) fn as_password(&self) -> Supplied<'_> {
        Supplied { uid: &self.uid, resource_version: &self.resource_version, password: &self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SCN-6: 6, 33, or a `!` refused.
    #[test]
    fn a_password_has_seven_to_thirty_two_letters_and_digits() {
        for good in ["abcdef7", "A1b2C3d4", &"x".repeat(32)] {
            assert!(is_wellformed(good), "{good}");
        }
        for bad in ["", "abcde6", &"x".repeat(33), "abcdefg!", "pässwort1", "with space1"] {
            assert!(!is_wellformed(bad), "{bad}");
        }
    }
}
