//! Keys of one volume, derived from two shares: one in a Secret, one on the volume (INV-56: neither alone opens it).

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::record::{Place, RecordName, binding};
use crate::seal::{self, SealError, SecretKey};

const SALT: &[u8] = b"keystores volume root v1";
const RECORD: &[u8] = b"keystores record v1";

/// The volume's keys.
pub(crate) struct VolumeKeys {
    records: SecretKey,
    counters: hmac::Key,
    inventory: hmac::Key,
    check: [u8; 32],
}

impl VolumeKeys {
    /// Derives all keys from the Secret's share and the volume's share.
    ///
    /// # Errors
    /// [`SealError`] if the derivation fails.
    pub(crate) fn derive(secret_share: &[u8], volume_share: &[u8]) -> Result<Self, SealError> {
        let shares = [secret_share, volume_share];
        let mac = |purpose: &[u8]| -> Result<hmac::Key, SealError> {
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &seal::subkey(SALT, &shares, purpose)?[..]))
        };
        Ok(Self {
            records: seal::subkey(SALT, &shares, b"records")?,
            counters: mac(b"counters")?,
            inventory: mac(b"inventory")?,
            check: *seal::subkey(SALT, &shares, b"check")?,
        })
    }

    /// Value in the volume's header that tells whether the shares belong to it.
    pub(crate) fn check(&self) -> &[u8; 32] {
        &self.check
    }

    /// Authenticates counter cells.
    pub(crate) fn counters(&self) -> &hmac::Key {
        &self.counters
    }

    /// Authenticates the set of records.
    pub(crate) fn inventory(&self) -> &hmac::Key {
        &self.inventory
    }

    /// Seals one record version: `version 8 | random 16 | ciphertext | tag 16`.
    ///
    /// # Errors
    /// [`SealError`] if the cipher fails.
    pub(crate) fn seal(
        &self,
        place: &Place,
        name: &RecordName,
        version: u64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let sealed = seal::seal(&self.records, RECORD, &binding(place, name, version), plaintext)?;
        Ok([&version.to_be_bytes()[..], &sealed].concat())
    }

    /// Opens a record and returns its version and content.
    ///
    /// # Errors
    /// [`SealError`] if it was not written for this place, name and version.
    pub(crate) fn open(
        &self,
        place: &Place,
        name: &RecordName,
        stored: &[u8],
    ) -> Result<(u64, Zeroizing<Vec<u8>>), SealError> {
        let (version, sealed) = stored.split_first_chunk::<8>().ok_or(SealError)?;
        let version = u64::from_be_bytes(*version);
        Ok((version, seal::open(&self.records, RECORD, &binding(place, name, version), sealed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::RecordKind;
    use super::*;

    fn keys() -> VolumeKeys {
        VolumeKeys::derive(&[1; 32], &[2; 32]).unwrap()
    }

    fn place() -> Place {
        Place { volume_id: [3; 16], member: Some(("cluster-a".into(), "hsm-a".into())), lineage: Some([4; 32]) }
    }

    /// INV-58: a record moved to any other place, name or version does not open.
    #[test]
    fn a_record_opens_only_at_the_place_it_was_written_for() {
        let name = RecordName::new(RecordKind::Key, [9; 16]);
        let stored = keys().seal(&place(), &name, 7, b"content").unwrap();
        assert_eq!(&keys().open(&place(), &name, &stored).unwrap().1[..], b"content");

        let places = [
            Place { volume_id: [0; 16], ..place() },
            Place { member: Some(("cluster-b".into(), "hsm-a".into())), ..place() },
            Place { member: Some(("cluster-a".into(), "hsm-b".into())), ..place() },
            Place { member: None, ..place() },
            Place { lineage: Some([5; 32]), ..place() },
            Place { lineage: None, ..place() },
        ];
        for other in places {
            assert!(keys().open(&other, &name, &stored).is_err());
        }
        let names = [RecordName::new(RecordKind::Key, [8; 16]), RecordName::new(RecordKind::Conflict, [9; 16])];
        for other in names {
            assert!(keys().open(&place(), &other, &stored).is_err());
        }
        let mut older = stored.clone();
        older[..8].copy_from_slice(&6u64.to_be_bytes());
        assert!(keys().open(&place(), &name, &older).is_err());
    }

    /// INV-56: one share is not enough.
    #[test]
    fn another_share_on_either_side_opens_nothing() {
        let name = RecordName::only(RecordKind::Cluster);
        let stored = keys().seal(&place(), &name, 1, b"content").unwrap();
        for other in [VolumeKeys::derive(&[0; 32], &[2; 32]), VolumeKeys::derive(&[1; 32], &[0; 32])] {
            let other = other.unwrap();
            assert!(other.open(&place(), &name, &stored).is_err());
            assert_ne!(other.check(), keys().check());
        }
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let name = RecordName::new(RecordKind::User, *b"kmsuser");
        let stored = keys().seal(&place(), &name, 7, b"content").unwrap();
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(keys().open(&place(), &name, &flipped).is_err(), "bit {bit}");
        }
    }
}
