//! What may happen to a key's object (D5, INV-12, INV-52). Deleting an object never destroys material.

use strum::EnumIter;

/// What a `KmsKey` object says about its material.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// `spec.keyId` is set.
    pub has_key_id: bool,
    /// `spec.materialIntent` is set: an HSM may have generated already.
    pub has_intent: bool,
    /// `spec.materialFingerprint` is set.
    pub has_fingerprint: bool,
}

impl ObjectFacts {
    /// Whether material may stand behind the object. Then a request to delete it is refused by the admission policy, whose
    /// rule is this one; only `spec.deletion` leads to destruction.
    pub fn may_have_material(self) -> bool {
        self.has_key_id || self.has_intent || self.has_fingerprint
    }
}

/// What the finalizer does with an object whose deletion was let through all the same (break-glass, or no policy installed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
pub enum Release {
    /// Nothing was ever ordered: remove the finalizer.
    Now,
    /// Leave the HSMs' records as they are, so that an owner can adopt the key again, then remove the finalizer. Material is
    /// never touched: a deletionTimestamp cannot be taken back, so it must not start anything that cannot.
    KeepingMaterial,
}

/// How to let go of an object that is being deleted.
pub fn release(facts: ObjectFacts) -> Release {
    if facts.may_have_material() { Release::KeepingMaterial } else { Release::Now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_trace_of_material_protects_the_object_d5() {
        for bits in 0..8_u8 {
            let facts =
                ObjectFacts { has_key_id: bits & 1 != 0, has_intent: bits & 2 != 0, has_fingerprint: bits & 4 != 0 };
            assert_eq!(facts.may_have_material(), bits != 0, "{facts:?}");
            let expected = if bits == 0 { Release::Now } else { Release::KeepingMaterial };
            assert_eq!(release(facts), expected);
        }
    }
}
