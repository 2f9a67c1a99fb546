//! Password verifiers: PBKDF2-HMAC-SHA-512.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use hsm_protocol::ReturnCode;
use hsm_protocol::limits::{MAX_PASSWORD, MIN_PASSWORD};
use zeroize::Zeroizing;

use super::{Outcome, internal};
use crate::seal;

/// Iterations of a new verifier (OWASP's figure for PBKDF2-HMAC-SHA-512).
pub(crate) const ITERATIONS: u32 = 210_000;
const LENGTH: usize = 32;

/// A salted, slow hash of a password.
#[derive(Clone)]
pub(crate) struct Verifier {
    /// Random salt.
    pub(crate) salt: [u8; 16],
    /// Output of PBKDF2.
    pub(crate) hash: Zeroizing<Vec<u8>>,
    /// Iterations it was made with.
    pub(crate) iterations: u32,
}

impl Verifier {
    /// A new verifier with a fresh salt. Slow: run it where blocking is allowed.
    ///
    /// # Errors
    /// `Internal` if the generator fails.
    pub(crate) fn new(password: &str) -> Outcome<Self> {
        let salt = seal::random().map_err(internal)?;
        let mut hash = Zeroizing::new(vec![0; LENGTH]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations(ITERATIONS), &salt, password.as_bytes(), &mut hash);
        Ok(Self { salt, hash, iterations: ITERATIONS })
    }

    /// A verifier that no password matches and that costs as much as any other (INV-64).
    pub(crate) fn of_nobody() -> Self {
        Self { salt: [0; 16], hash: Zeroizing::new(vec![0; LENGTH]), iterations: ITERATIONS }
    }

    /// Whether this is the password. Slow; compares in constant time.
    pub(crate) fn matches(&self, password: &str) -> bool {
        let rounds = iterations(self.iterations);
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA512, rounds, &self.salt, password.as_bytes(), &self.hash).is_ok()
    }
}

fn iterations(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// Checks a new password: 7 to 32 characters, and letters and digits only for `kmsuser` (HSM-31).
///
/// # Errors
/// `InvalidArgument` otherwise.
pub(crate) fn check_new(user: &str, password: &str) -> Outcome<()> {
    let length = password.chars().count();
    let alphanumeric = password.chars().all(|c| c.is_ascii_alphanumeric());
    let allowed =
        (MIN_PASSWORD..=MAX_PASSWORD).contains(&length) && (user != hsm_protocol::labels::KMS_USER || alphanumeric);
    if allowed { Ok(()) } else { Err(ReturnCode::InvalidArgument) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_matches_its_password_only_and_nobody_matches_none() {
        let verifier = Verifier::new("Passw0rd").unwrap();
        assert!(verifier.matches("Passw0rd"));
        for wrong in ["passw0rd", "Passw0rd ", "Passw0r", ""] {
            assert!(!verifier.matches(wrong));
        }
        assert!(!Verifier::of_nobody().matches(""));
        assert_ne!(Verifier::new("Passw0rd").unwrap().salt, verifier.salt);
    }

    /// HSM-31.
    #[test]
    fn new_passwords_have_seven_to_thirty_two_characters_and_kmsuser_letters_and_digits_only() {
        for (user, password, allowed) in [
            ("kmsuser", "abcDEF7", true),
            ("kmsuser", "abcDE7", false),
            ("kmsuser", "abc-DEF7", false),
            ("kmsuser", "abcdefgä", false),
            ("admin", "abc-DEF7", true),
            ("admin", &"x".repeat(32), true),
            ("admin", &"x".repeat(33), false),
        ] {
            assert_eq!(check_new(user, password).is_ok(), allowed, "{user} {password}");
        }
    }
}
