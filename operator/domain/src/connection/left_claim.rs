//! Claims that removed stores left in HSMs, and which of them nobody can give back any more (INV-41, INV-44).

use crate::identifier::CustomKeyStoreId;
use std::collections::BTreeSet;

/// What a store that was removed may have left in an HSM which could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftClaim {
    /// The holder of the claim.
    pub store_id: CustomKeyStoreId,
    /// Its last connection: the HSM may honour this one and those before (D12).
    pub generation: u64,
}

impl LeftClaim {
    /// From the note that was made when the store was removed; `None` if it does not say whose claim it is: then it proves nothing.
    pub fn noted(store_id: &str, generation: &str) -> Option<Self> {
        Some(Self { store_id: store_id.parse().ok()?, generation: generation.parse().ok()? })
    }
}

/// Those of the claims `left` whose holder is gone, given the ids of all stores that there are, those that are being deleted included. A store
/// that came back with its id has its claim again, whatever was noted when it went.
pub fn abandoned<'a>(left: &'a [LeftClaim], living: &BTreeSet<String>) -> Vec<&'a LeftClaim> {
    left.iter().filter(|claim| !living.contains(claim.store_id.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u8) -> String {
        format!("cks-{number:017x}")
    }

    #[test]
    fn a_note_that_does_not_say_whose_claim_it_is_proves_nothing() {
        let one = id(1);
        let claim = LeftClaim::noted(&one, "1700000000").unwrap();
        assert_eq!((claim.store_id.as_str(), claim.generation), (one.as_str(), 1_700_000_000));
        for (store_id, generation) in [("", "1"), ("cks-1", "1"), ("payments", "1"), (&*one, ""), (&*one, "-1")] {
            assert_eq!(LeftClaim::noted(store_id, generation), None, "{store_id} {generation}");
        }
    }

    proptest! {
        /// INV-41: nothing is taken from a store that lives, and nothing from one that did not say itself that it goes.
        #[test]
        fn only_a_claim_that_was_left_by_a_store_that_is_gone_is_abandoned(
            left in prop::collection::vec(0..8u8, 0..6), living in prop::collection::btree_set(0..8u8, 0..8),
        ) {
            let notes: Vec<_> = left.iter().filter_map(|number| LeftClaim::noted(&id(*number), "7")).collect();
            let ids: BTreeSet<String> = living.iter().map(|number| id(*number)).collect();
            let ended = abandoned(&notes, &ids);
            prop_assert!(ended.iter().all(|claim| notes.contains(claim) && !ids.contains(claim.store_id.as_str())));
            let gone = left.iter().filter(|number| !living.contains(*number)).count();
            prop_assert_eq!(ended.len(), gone);
        }
    }
}
