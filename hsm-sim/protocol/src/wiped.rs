//! The bytes of requests and answers, wiped when they are dropped (INV-55).

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that are wiped on drop, as one block: a `Zeroizing<Vec<u8>>` wipes its bytes one by one, which for 4 KiB costs more
/// than encrypting them. Has no `Debug`.
///
/// A buffer that grows leaves a copy behind: give it its capacity at the start.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// An empty buffer for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    fn wipe(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.spare_capacity_mut().zeroize();
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl ZeroizeOnDrop for Wiped {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_wiped_no_byte_stays() {
        let mut bytes = Wiped::from(b"canary".to_vec());
        bytes.wipe();
        assert_eq!(bytes.as_slice(), [0; 6]);
    }
}
