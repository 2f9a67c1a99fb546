//! Sixteen-byte identifiers: key id, backing key id, operation id.

use std::fmt;

/// A field that must have a fixed length has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read a fixed-length field: expected {expected} bytes, found {found}")]
pub struct WrongLength {
    /// Bytes the field must have.
    pub expected: usize,
    /// Bytes it has.
    pub found: usize,
}

/// Reads a fixed-length byte field of a message.
///
/// # Errors
/// [`WrongLength`] if the field is not exactly `N` bytes.
pub fn fixed<const N: usize>(field: &[u8]) -> Result<[u8; N], WrongLength> {
    field.try_into().map_err(|_| WrongLength { expected: N, found: field.len() })
}

/// Identity of one key, the bytes of a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// The id's bytes, big-endian as in RFC 9562.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl TryFrom<&[u8]> for KeyId {
    type Error = WrongLength;

    fn try_from(field: &[u8]) -> Result<Self, WrongLength> {
        fixed(field).map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_prints_as_a_uuid() {
        let id = KeyId(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(id.to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn a_key_id_of_any_other_length_is_refused() {
        for length in (0..64).filter(|length| *length != 16) {
            assert_eq!(KeyId::try_from(&vec![0; length][..]), Err(WrongLength { expected: 16, found: length }));
        }
    }
}
