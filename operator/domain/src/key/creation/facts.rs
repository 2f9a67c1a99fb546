//! What the plan of a key's creation is made from.

use crate::identifier::{HsmId, KeyId, ZoneName};
use crate::refusal::Refusal;

/// Commitment to key material, as every HSM with the key reports it.
pub type Fingerprint = [u8; 32];

/// `spec.materialIntent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// uid of the object that material was ordered for.
    pub uid: String,
    /// Idempotency id of the generate command.
    pub op_id: String,
    /// The one HSM that generates.
    pub hsm_id: Option<HsmId>,
}

/// A key's record as one HSM reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Commitment to the material.
    pub fingerprint: Fingerprint,
    /// Idempotency id of the command that generated it.
    pub op_id: String,
    /// Namespace that it was generated for.
    pub namespace: String,
    /// The HSM holds two materials under this id (INV-06).
    pub conflict: bool,
}

/// What one HSM says about this key id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HsmRecord {
    /// It cannot be asked now, or was not asked.
    Unknown,
    /// It has no such key.
    Absent,
    /// It has the key.
    Present(KeyRecord),
}

/// One member of the cluster that is ACTIVE, or was and is out of reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsmFacts {
    /// Authenticated id.
    pub hsm_id: HsmId,
    /// Its zone.
    pub zone: ZoneName,
    /// What it says about the key id.
    pub record: HsmRecord,
}

/// Whether the HSMs hold material under this object's namespace and name, under whatever key id (D2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Too few HSMs could be asked: an acknowledged key might hide on those that were not.
    Unknown,
    /// No record carries the namespace and name.
    Nothing,
    /// This key was made for an object of this name before.
    Material(KeyId),
}

impl Adoption {
    /// What the answers of the members mean: `asked` of `members` answered and named `found`.
    ///
    /// An acknowledged key is on two HSMs, so it shows as long as at most one member is silent.
    pub fn from_answers(members: usize, asked: usize, found: Option<KeyId>) -> Self {
        match found {
            Some(key_id) => Self::Material(key_id),
            None if asked == 0 || members.saturating_sub(asked) > 1 => Self::Unknown,
            None => Self::Nothing,
        }
    }
}

/// Whose the key id of a copied manifest is. Nothing is done for the copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Original {
    /// The object's of this name.
    Present(String),
    /// That of an object which was there when the copy was refused, and is gone.
    Gone,
}

/// Everything the plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreationFacts {
    /// `metadata.uid` of the object.
    pub uid: String,
    /// Namespace of the object.
    pub namespace: String,
    /// The finalizer is on the object.
    pub has_finalizer: bool,
    /// `spec.keyId`.
    pub key_id: Option<KeyId>,
    /// `spec.materialIntent`.
    pub intent: Option<Intent>,
    /// `spec.materialFingerprint`.
    pub fingerprint: Option<Fingerprint>,
    /// The checks of CreateKey: store CONNECTED, two active HSMs in two zones, and what else refuses it (D8).
    pub preconditions: Result<(), Refusal>,
    /// Material of an earlier object of this name; asked while there is no key id.
    pub adoption: Adoption,
    /// Whose the key id is, if it is another object's: this one is a copy of its manifest.
    pub original: Option<Original>,
    /// Members of the cluster.
    pub hsms: Vec<HsmFacts>,
    /// Each zone of the cluster has a member in `hsms`. A cluster object that came back without its status does not know the HSMs that are down.
    pub hsms_are_all_known: bool,
}
