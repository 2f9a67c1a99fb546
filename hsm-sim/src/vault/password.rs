//! Password verifiers: PBKDF2-HMAC-SHA-512.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use aws_lc_rs::pbkdf2;
use hsm_protocol::ReturnCode;
use hsm_protocol::limits::{MAX_PASSWORD, MIN_PASSWORD};
use zeroize::Zeroizing;

use super::{Outcome, internal};
use crate::seal;

/// Iterations of a new verifier unless the process is given another count (OWASP's figure for PBKDF2-HMAC-SHA-512).
pub(crate) const ITERATIONS: u32 = 210_000;
/// The counts that a process may be given: not below the least that NIST SP 800-132 allows (section 5.2), nor so many that a login takes
/// longer than its caller waits.
pub(crate) const ALLOWED_ITERATIONS: RangeInclusive<i64> = 1_000..=2_000_000;
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
    pub(crate) fn new(password: &str, iterations: u32) -> Outcome<Self> {
        let salt = seal::random().map_err(internal)?;
        Ok(Self { salt, hash: derive(password, &salt, iterations), iterations })
    }

    /// A verifier that no password matches.
    pub(crate) fn of_nobody(iterations: u32) -> Self {
        Self { salt: [0; 16], hash: Zeroizing::new(vec![0; LENGTH]), iterations }
    }

    /// Whether this is the password. Slow; compares in constant time. Takes `cost` iterations, however many of them are the verifier's own:
    /// an older one has another count than the setting is now, and its user must not be told by the time it takes (INV-64).
    pub(crate) fn matches(&self, password: &str, cost: u32) -> bool {
        let rounds = nonzero(self.iterations);
        let verified =
            pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA512, rounds, &self.salt, password.as_bytes(), &self.hash).is_ok();
        let missing = self.short_of(cost);
        if missing > 0 {
            drop(derive(password, &self.salt, missing));
        }
        verified
    }

    /// How many iterations it has less than `cost`.
    fn short_of(&self, cost: u32) -> u32 {
        cost.saturating_sub(self.iterations)
    }
}

fn derive(password: &str, salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
    let mut hash = Zeroizing::new(vec![0; LENGTH]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, nonzero(iterations), salt, password.as_bytes(), &mut hash);
    hash
}

fn nonzero(count: u32) -> NonZeroU32 {
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
        let verifier = Verifier::new("Passw0rd", ITERATIONS).unwrap();
        assert!(verifier.matches("Passw0rd", ITERATIONS));
        for wrong in ["passw0rd", "Passw0rd ", "Passw0r", ""] {
            assert!(!verifier.matches(wrong, ITERATIONS));
        }
        assert!(!Verifier::of_nobody(ITERATIONS).matches("", ITERATIONS));
        assert_ne!(Verifier::new("Passw0rd", ITERATIONS).unwrap().salt, verifier.salt);
    }

    /// INV-64, and a password goes on matching when the setting is another one than it was made under.
    #[test]
    fn verifiers_of_any_count_take_the_same_iterations_and_match() {
        for (own, cost, missing) in [(1_000, 3_000, 2_000), (3_000, 3_000, 0), (3_000, 1_000, 0)] {
            let verifier = Verifier::new("Passw0rd", own).unwrap();
            assert_eq!((verifier.iterations, verifier.short_of(cost)), (own, missing));
            assert!(verifier.matches("Passw0rd", cost) && !verifier.matches("Passw0re", cost), "{own} of {cost}");
            let nobody = Verifier::of_nobody(cost);
            assert_eq!((nobody.iterations, nobody.short_of(cost)), (cost, 0));
        }
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
