//! The password that the user supplies in a Secret of their own (AWS `KeyStorePassword`), read only for an attempt (INV-30).

use operator_api::{ConnectionErrorCode, CustomKeyStore};

use super::Stop;
use crate::{
    context::Context,
    custom_key_store::{
        failure::ConnectFailure,
        observe::{self, TenantEntry},
    },
    ring::Supplied,
};

/// Lengths of a `kmsuser` password (CKS-81).
const LENGTHS: std::ops::RangeInclusive<usize> = 7..=32;

/// The supplied password, if the store names a Secret.
///
/// # Errors
/// INVALID_CREDENTIALS when the Secret cannot be used, without spending a login attempt.
pub(super) async fn supplied(context: &Context, store: &CustomKeyStore) -> Result<Option<TenantEntry>, Stop> {
    let Some(reference) = &store.spec.key_store_password_secret_ref else { return Ok(None) };
    let invalid = |message: String| Stop::Failed(ConnectFailure::new(ConnectionErrorCode::InvalidCredentials, message));
    let entry = observe::tenant_secret(context, store, reference).await?;
    let entry = entry.map_err(|problem| invalid(problem.to_string()))?;
    if !is_wellformed(&entry.text) {
        return Err(invalid("the supplied password does not have 7 to 32 letters and digits (CKS-81)".into()));
    }
    Ok(Some(entry))
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
