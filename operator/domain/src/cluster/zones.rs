//! HSMs counted by zone: what "two active HSMs in different availability zones" is decided on (spec 1.5, D8).

use crate::identifier::ZoneName;
use std::collections::BTreeMap;

/// How many HSMs there are in which zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HsmZones(BTreeMap<ZoneName, usize>);

impl HsmZones {
    /// HSMs in all zones together.
    pub fn count(&self) -> usize {
        self.0.values().sum()
    }

    /// Zones that have at least one HSM.
    pub fn zones(&self) -> usize {
        self.0.len()
    }

    /// Enough to create keys and to accept a store: two HSMs in two zones.
    pub fn can_create_keys(&self) -> bool {
        self.zones() >= 2
    }

    /// Enough to connect and to use keys: one HSM.
    pub fn can_use_keys(&self) -> bool {
        self.count() >= 1
    }
}

impl FromIterator<ZoneName> for HsmZones {
    /// Counts one HSM for each occurrence of a zone.
    fn from_iter<I: IntoIterator<Item = ZoneName>>(zones: I) -> Self {
        let mut counted = BTreeMap::new();
        for zone in zones {
            *counted.entry(zone).or_insert(0) += 1;
        }
        Self(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hsms_in_one_zone_are_not_enough_for_new_keys_d8() {
        let table: [(&[&str], bool, bool); 4] =
            [(&[], false, false), (&["a"], true, false), (&["a", "a"], true, false), (&["a", "b"], true, true)];
        for (names, use_keys, create_keys) in table {
            let zones: HsmZones = names.iter().map(|name| name.parse().unwrap()).collect();
            assert_eq!(
                (zones.count(), zones.can_use_keys(), zones.can_create_keys()),
                (names.len(), use_keys, create_keys)
            );
        }
    }
}
