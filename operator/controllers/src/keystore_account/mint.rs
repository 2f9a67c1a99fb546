//! Draws account ids: 12 digits, at random, never derived from a name or UID (D1).

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("failed to draw random bytes")]
pub struct NoRandomness;

/// How many account ids there are. The first digit is never 0: shells and spreadsheets drop leading zeros.
const LOWEST: u64 = 100_000_000_000;
const COUNT: u64 = 900_000_000_000;

/// A new account id. The modulo's bias is below 2⁻²⁴ and of no use to anybody: the id is public.
///
/// # Errors
/// When the operating system gives no randomness.
pub(super) fn account_id() -> Result<String, NoRandomness> {
    let mut random = [0u8; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| NoRandomness)?;
    Ok((LOWEST + u64::from_be_bytes(random) % COUNT).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_is_twelve_digits() {
        for _ in 0..1000 {
            let id = account_id().unwrap();
            assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0'), "{id}");
        }
    }
}
