//! The Lease by which a gateway replica says that it lives, and which connections it has stopped using (D12).
//!
//! Written by the gateway, read by the controllers while they disconnect a store: name and annotation are a protocol between the two.

use std::collections::BTreeMap;

/// What every such Lease's name begins with; the replica's name follows.
pub const NAME_PREFIX: &str = "gateway-";
/// Annotation: `<store id>=<generation>` for every store that is not connected, separated by commas. That generation and all before it are
/// not used any more by this replica and never will be again.
pub const STOPPED_CONNECTIONS: &str = "keystores.dev/stopped-connections";

/// Name of a replica's Lease.
#[must_use]
pub fn name(replica: &str) -> String {
    format!("{NAME_PREFIX}{replica}")
}

/// The annotation's value for the highest stopped generation of each store.
#[must_use]
pub fn encode(stopped: &BTreeMap<String, i64>) -> String {
    let said: Vec<_> = stopped.iter().map(|(store, generation)| format!("{store}={generation}")).collect();
    said.join(",")
}

/// The highest generation of `store_id` that the annotation says has stopped. What cannot be read says nothing.
#[must_use]
pub fn stopped_through(annotation: &str, store_id: &str) -> Option<i64> {
    let entries = annotation.split(',').filter_map(|entry| entry.split_once('='));
    entries.filter(|(id, _)| *id == store_id).filter_map(|(_, generation)| generation.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_writes_the_controllers_read() {
        let said = encode(&BTreeMap::from([("cks-a".to_owned(), 7), ("cks-ab".to_owned(), 1_700_000_001)]));
        assert_eq!(stopped_through(&said, "cks-a"), Some(7));
        assert_eq!(stopped_through(&said, "cks-ab"), Some(1_700_000_001));
        assert_eq!(stopped_through(&said, "cks-b"), None);
        assert_eq!(stopped_through(&encode(&BTreeMap::new()), "cks-a"), None);
    }

    #[test]
    fn a_damaged_annotation_confirms_nothing() {
        for damaged in ["", ",", "cks-a", "cks-a=", "cks-a=x", "cks-a=9223372036854775808", "=7", " cks-a=7"] {
            assert_eq!(stopped_through(damaged, "cks-a"), None, "{damaged}");
        }
    }
}
