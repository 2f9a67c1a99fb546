//! A keyed digest over the set of all records, so that a removed, added or rolled-back record is noticed when the
//! volume is opened, although every remaining record is authentic by itself.

use aws_lc_rs::hmac;

/// Exclusive-or of one MAC per (record name, version); order does not matter, and each change costs two MACs.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Inventory {
    digest: [u8; 32],
    count: u64,
}

impl Inventory {
    /// Adds a record version.
    pub(crate) fn add(&mut self, key: &hmac::Key, name: &[u8], version: u64) {
        self.toggle(key, name, version);
        self.count = self.count.wrapping_add(1);
    }

    /// Takes out a record version that was added before.
    pub(crate) fn remove(&mut self, key: &hmac::Key, name: &[u8], version: u64) {
        self.toggle(key, name, version);
        self.count = self.count.wrapping_sub(1);
    }

    fn toggle(&mut self, key: &hmac::Key, name: &[u8], version: u64) {
        let mut context = hmac::Context::with_key(key);
        context.update(&version.to_be_bytes());
        context.update(name);
        for (sum, byte) in self.digest.iter_mut().zip(context.sign().as_ref()) {
            *sum ^= byte;
        }
    }

    /// `digest 32 | count 8`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.digest[..], &self.count.to_be_bytes()].concat()
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (digest, count) = bytes.split_first_chunk::<32>()?;
        Some(Self { digest: *digest, count: u64::from_be_bytes(count.try_into().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_set_in_any_order_is_equal_and_any_other_set_is_not() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let of = |records: &[(&[u8], u64)]| {
            let mut inventory = Inventory::default();
            records.iter().for_each(|(name, version)| inventory.add(&key, name, *version));
            inventory
        };
        let full = of(&[(b"a", 1), (b"b", 2)]);
        assert!(full == of(&[(b"b", 2), (b"a", 1)]));
        for other in [of(&[(b"a", 1)]), of(&[(b"a", 1), (b"b", 1)]), of(&[(b"a", 1), (b"b", 2), (b"c", 3)])] {
            assert!(full != other);
        }
        let mut reduced = full;
        reduced.remove(&key, b"b", 2);
        assert!(reduced == of(&[(b"a", 1)]));
        assert!(Inventory::decode(&full.encode()) == Some(full));
    }
}
