//! Random bytes from the operating system, for identifiers and passwords; the pure core is handed what it needs of them.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("failed to draw random bytes")]
pub struct NoRandomness;

/// `N` random bytes, wiped when dropped: some of them become passwords.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut random = Zeroizing::new([0u8; N]);
    SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| NoRandomness)?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(*bytes::<16>().unwrap(), *bytes::<16>().unwrap());
    }
}
