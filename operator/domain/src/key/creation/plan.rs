//! The next step of P2.

use super::facts::{Adoption, CreationFacts, Fingerprint, HsmFacts, HsmRecord, Intent, KeyRecord, Original};
use crate::identifier::{HsmId, KeyId, ZoneName};
use crate::refusal::Refusal;
use std::collections::BTreeSet;
use thiserror::Error;

/// One step. The controllers do it, observe again and ask for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreationStep {
    /// Put the finalizer on the object.
    AddFinalizer,
    /// Write a random key id and the intent, in one conditional patch. The intent names `hsm` as the one that generates.
    WriteIntent {
        /// The HSM that is to generate.
        hsm: HsmId,
    },
    /// `GenerateKey{keyId, opId}` on this HSM.
    Generate {
        /// The HSM that the intent names.
        hsm: HsmId,
        /// Idempotency id of the command.
        op_id: String,
    },
    /// Carry a masked copy from one HSM to others, then read their records back.
    Copy {
        /// Has the key.
        from: HsmId,
        /// Reachable and without it.
        to: Vec<HsmId>,
    },
    /// The material is durable: write `spec.materialFingerprint`.
    WriteFingerprint(Fingerprint),
    /// Material and object agree; show the base state.
    Done,
    /// Too few HSMs answer. Ask again later; nothing may be decided from silence.
    Wait,
    /// Nothing can be done without the owner.
    Stop(Problem),
}

impl CreationStep {
    /// Whether the key is durable without this step, which was planned from `facts`: a copy of an acknowledged key (INV-04). Should it fail, the
    /// key's state is shown and switched all the same. A new key waits for its copies: it is acknowledged on all HSMs that answer (INV-01).
    pub fn is_repair(&self, facts: &CreationFacts) -> bool {
        match self {
            Self::Copy { .. } => facts.fingerprint.is_some(),
            Self::AddFinalizer
            | Self::WriteIntent { .. }
            | Self::Generate { .. }
            | Self::WriteFingerprint(_)
            | Self::Done
            | Self::Wait
            | Self::Stop(_) => false,
        }
    }
}

/// Why a key is not made. Its name is the reason of `Accepted=False` or `Ready=False`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// A precondition of CreateKey fails; tried again when that changes.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Material of an object of this name exists: never make new material behind an old name (D2).
    #[error("material of this name exists as key {0}: set spec.keyId to adopt it, or use another name")]
    MaterialExists(KeyId),
    /// Another object stands for this key, and this one was copied from it: two owners of one key would undo each other's states (D2).
    #[error("spec.keyId belongs to KmsKey {0}, which goes on undisturbed; this object seems to be a copy of it")]
    IdInUse(String),
    /// The object that it was copied from is gone. To take its place would be to adopt its key, with whatever was changed in the copy, and nobody has
    /// decided that (D2).
    #[error(
        "spec.keyId belonged to another KmsKey, which is gone; this object was refused as a copy of it and does not take its place by itself"
    )]
    OriginalGone,
    /// The object says that there is material and no HSM has it. Replacement is never made (INV-13).
    #[error("no HSM has the key material; it is never replaced by new material")]
    MaterialMissing,
    /// HSMs hold different materials under this id. Both are kept (INV-06).
    #[error("HSMs hold different key material under this key id; both are kept and neither is used")]
    Conflict,
}

impl Problem {
    /// The word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.exception.as_str(),
            Self::MaterialExists(_) => "MaterialExists",
            Self::IdInUse(_) | Self::OriginalGone => "IdInUse",
            Self::MaterialMissing => "MaterialMissing",
            Self::Conflict => "MaterialConflict",
        }
    }

    /// Whether the key was never made (`Accepted=False`), as opposed to made and unusable (`Ready=False`).
    pub fn before_creation(&self) -> bool {
        match self {
            Self::Refused(_) | Self::MaterialExists(_) | Self::IdInUse(_) | Self::OriginalGone => true,
            Self::MaterialMissing | Self::Conflict => false,
        }
    }
}

/// What is to be done next for the key that `facts` describe.
///
/// Guarantees, whatever the order of crashes, lost replies and absent HSMs:
/// - generating is asked of one HSM only, and never once a fingerprint is written, a copy exists anywhere, or the intent
///   is another object's;
/// - `WriteFingerprint` comes only after the same fingerprint was read back from two HSMs in two zones and from every HSM
///   that can be reached;
/// - a key of another namespace is as good as absent (INV-60, INV-67);
/// - nothing is done for a copy of another object's manifest, also when that object is gone (D2).
pub fn next_step(facts: &CreationFacts) -> CreationStep {
    // Not even a finalizer: a step that fails is shown beside what the HSMs say of the key, and with that a copy would look in charge of it.
    match &facts.original {
        Some(Original::Present(name)) => return CreationStep::Stop(Problem::IdInUse(name.clone())),
        Some(Original::Gone) => return CreationStep::Stop(Problem::OriginalGone),
        None => {}
    }
    if !facts.has_finalizer {
        return CreationStep::AddFinalizer;
    }
    let Some(key_id) = facts.key_id else { return before_intent(facts) };
    let holders = Holders::among(facts);
    if facts.fingerprint.is_none() && own_intent(facts).is_some_and(|intent| holders.any_not_of(intent)) {
        return CreationStep::Stop(Problem::MaterialExists(key_id));
    }
    match (holders.fingerprint(), facts.fingerprint) {
        (Found::Conflict, _) => CreationStep::Stop(Problem::Conflict),
        (Found::One(found), Some(written)) if found != written => CreationStep::Stop(Problem::Conflict),
        (Found::One(found), written) => spread(facts, &holders, found, written.is_some()),
        (Found::Nowhere, Some(_)) => without_material(facts, CreationStep::Done),
        (Found::Nowhere, None) => generate(facts),
    }
}

fn before_intent(facts: &CreationFacts) -> CreationStep {
    if let Adoption::Material(key_id) = facts.adoption {
        return CreationStep::Stop(Problem::MaterialExists(key_id));
    }
    if let Err(refusal) = &facts.preconditions {
        return CreationStep::Stop(Problem::Refused(refusal.clone()));
    }
    let reachable = facts.hsms.iter().filter(|hsm| hsm.record != HsmRecord::Unknown);
    match (&facts.adoption, reachable.map(|hsm| &hsm.hsm_id).min()) {
        (Adoption::Nothing, Some(hsm)) => CreationStep::WriteIntent { hsm: hsm.clone() },
        (Adoption::Nothing | Adoption::Unknown | Adoption::Material(_), _) => CreationStep::Wait,
    }
}

/// No HSM that answers has the key and no fingerprint is written.
fn generate(facts: &CreationFacts) -> CreationStep {
    let Some(intent) = own_intent(facts) else {
        // Adopted, or restored with another object's intent: material must be there already.
        return without_material(facts, CreationStep::Wait);
    };
    match generator(facts, intent) {
        Some(hsm) => CreationStep::Generate { hsm: hsm.clone(), op_id: intent.op_id.clone() },
        None => CreationStep::Wait,
    }
}

/// The intent, if material was ordered for this very object.
fn own_intent(facts: &CreationFacts) -> Option<&Intent> {
    facts.intent.as_ref().filter(|intent| intent.uid == facts.uid)
}

/// The HSM to generate on: the one that the intent names. If that is no member any more, it cannot come back with the key
/// (a new volume is a new HSM), so the lowest member takes its place, provided that all of them say they have nothing, and that there is one
/// in each zone: an HSM that is only not known yet may hold the key, and a second material under its id would end both.
fn generator<'a>(facts: &'a CreationFacts, intent: &Intent) -> Option<&'a HsmId> {
    let named = facts.hsms.iter().find(|hsm| Some(&hsm.hsm_id) == intent.hsm_id.as_ref());
    match named {
        Some(hsm) => (hsm.record != HsmRecord::Unknown).then_some(&hsm.hsm_id),
        None if !facts.hsms_are_all_known || facts.hsms.iter().any(|hsm| hsm.record == HsmRecord::Unknown) => None,
        None => facts.hsms.iter().map(|hsm| &hsm.hsm_id).min(),
    }
}

/// The object claims material that no answering HSM has: silence of some means nothing yet, absence on all means loss.
fn without_material(facts: &CreationFacts, while_unknown: CreationStep) -> CreationStep {
    let silent = facts.hsms.iter().any(|hsm| hsm.record == HsmRecord::Unknown);
    let unknown = facts.hsms.is_empty() || !facts.hsms_are_all_known || silent;
    if unknown { while_unknown } else { CreationStep::Stop(Problem::MaterialMissing) }
}

/// The key is somewhere: bring it to every HSM that answers, then acknowledge.
fn spread(facts: &CreationFacts, holders: &Holders<'_>, found: Fingerprint, acknowledged: bool) -> CreationStep {
    let lacking = facts.hsms.iter().filter(|hsm| hsm.record == HsmRecord::Absent);
    let to: Vec<HsmId> = lacking.map(|hsm| hsm.hsm_id.clone()).collect();
    match holders.source() {
        Some(from) if !to.is_empty() => CreationStep::Copy { from: from.clone(), to },
        Some(_) | None if acknowledged => CreationStep::Done,
        Some(_) | None if holders.zones().len() >= 2 => CreationStep::WriteFingerprint(found),
        Some(_) | None => CreationStep::Wait,
    }
}

enum Found {
    Nowhere,
    One(Fingerprint),
    Conflict,
}

/// The HSMs that have the key, for this object's namespace.
struct Holders<'a>(Vec<(&'a HsmFacts, &'a KeyRecord)>);

impl<'a> Holders<'a> {
    fn among(facts: &'a CreationFacts) -> Self {
        let holders = facts.hsms.iter().filter_map(|hsm| match &hsm.record {
            HsmRecord::Present(record) if record.namespace == facts.namespace => Some((hsm, record)),
            HsmRecord::Present(_) | HsmRecord::Absent | HsmRecord::Unknown => None,
        });
        Self(holders.collect())
    }

    fn fingerprint(&self) -> Found {
        let fingerprints: BTreeSet<&Fingerprint> = self.0.iter().map(|(_, record)| &record.fingerprint).collect();
        let conflict = fingerprints.len() > 1 || self.0.iter().any(|(_, record)| record.conflict);
        match fingerprints.first() {
            None => Found::Nowhere,
            Some(_) if conflict => Found::Conflict,
            Some(one) => Found::One(**one),
        }
    }

    /// Somebody else ordered what stands under this key id; a 409 is ours only with our operation (INV-23).
    fn any_not_of(&self, intent: &Intent) -> bool {
        self.0.iter().any(|(_, record)| record.op_id != intent.op_id)
    }

    fn source(&self) -> Option<&'a HsmId> {
        self.0.iter().map(|(hsm, _)| &hsm.hsm_id).min()
    }

    fn zones(&self) -> BTreeSet<&'a ZoneName> {
        self.0.iter().map(|(hsm, _)| &hsm.zone).collect()
    }
}
