//! Passwords that the operator makes: 32 characters A–Z a–z 0–9 from the operating system (INV-29).

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The longest that HSM-31 allows.
const LENGTH: usize = 32;
/// Largest multiple of 62 in a byte: what lies above would favour some characters.
const FAIR: u8 = 248;

/// The operating system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("failed to draw random bytes")]
pub struct NoRandomness;

/// A password. Security: no `Debug`, `Display`, `Clone` or `Serialize`; wiped on drop (INV-29, INV-55).
pub struct Password(Zeroizing<String>);

impl Password {
    /// Draws a new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut password = Zeroizing::new(String::with_capacity(LENGTH));
        let mut bytes = Zeroizing::new([0; 2 * LENGTH]);
        while password.len() < LENGTH {
            fill(bytes.as_mut())?;
            let missing = LENGTH - password.len();
            let fair = bytes.iter().filter(|byte| **byte < FAIR).take(missing);
            password.extend(fair.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])));
        }
        Ok(Self(password))
    }

    /// Takes over a password from a Secret.
    pub fn from_text(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the login it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Fills `bytes` from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    SystemRandom::new().fill(bytes).map_err(|_| NoRandomness)
}

/// A random operation id (P1, P2).
///
/// # Errors
/// [`NoRandomness`].
pub fn random_op_id() -> Result<hsm_client::OpId, NoRandomness> {
    let mut id = [0; 16];
    fill(&mut id)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn passwords_are_32_alphanumeric_characters_and_never_repeat() {
        let mut seen = HashSet::new();
        let mut characters = HashSet::new();
        for _ in 0..500 {
            let password = Password::generate().expect("randomness");
            assert_eq!(password.expose().len(), 32);
            assert!(password.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
            characters.extend(password.expose().chars());
            assert!(seen.insert(password.expose().to_owned()));
        }
        assert_eq!(characters.len(), 62, "every character is used");
    }
}
