//! One case per rule.

use crate::identifier::{HsmId, KeyId};
use crate::key::creation::*;
use crate::refusal::{Exception, Refusal};

const ONE: Fingerprint = [1; 32];
const TWO: Fingerprint = [2; 32];
const UID: &str = "uid-of-this-object";

fn id(at: u8) -> HsmId {
    HsmId::from_random([at; 10])
}

fn key_id() -> KeyId {
    KeyId::from_random([9; 16])
}

fn record(fingerprint: Fingerprint) -> KeyRecord {
    KeyRecord { fingerprint, op_id: "op".to_owned(), namespace: "team".to_owned(), conflict: false }
}

fn present(fingerprint: Fingerprint) -> HsmRecord {
    HsmRecord::Present(record(fingerprint))
}

/// Three HSMs in three zones with these records.
fn hsms(records: [HsmRecord; 3]) -> Vec<HsmFacts> {
    let zones = ["a", "b", "c"];
    let member = |(at, record)| HsmFacts { hsm_id: id(at), zone: zones[usize::from(at)].parse().unwrap(), record };
    (0_u8..).zip(records).map(member).collect()
}

/// A key whose intent is written and which no HSM has yet.
fn intended() -> CreationFacts {
    CreationFacts {
        uid: UID.to_owned(),
        namespace: "team".to_owned(),
        has_finalizer: true,
        key_id: Some(key_id()),
        intent: Some(Intent { uid: UID.to_owned(), op_id: "op".to_owned(), hsm_id: Some(id(0)) }),
        fingerprint: None,
        preconditions: Ok(()),
        adoption: Adoption::Nothing,
        original: None,
        hsms: hsms([HsmRecord::Absent, HsmRecord::Absent, HsmRecord::Absent]),
        hsms_are_all_known: true,
    }
}

fn with(records: [HsmRecord; 3]) -> CreationFacts {
    CreationFacts { hsms: hsms(records), ..intended() }
}

fn new() -> CreationFacts {
    CreationFacts { key_id: None, intent: None, ..intended() }
}

#[test]
fn a_new_object_gets_the_finalizer_then_the_intent_then_material_everywhere_then_its_fingerprint() {
    assert_eq!(next_step(&CreationFacts { has_finalizer: false, ..new() }), CreationStep::AddFinalizer);
    assert_eq!(next_step(&new()), CreationStep::WriteIntent { hsm: id(0) });
    assert_eq!(next_step(&intended()), CreationStep::Generate { hsm: id(0), op_id: "op".to_owned() });
    let one = with([present(ONE), HsmRecord::Absent, HsmRecord::Absent]);
    assert_eq!(next_step(&one), CreationStep::Copy { from: id(0), to: vec![id(1), id(2)] });
    let all = with([present(ONE), present(ONE), present(ONE)]);
    assert_eq!(next_step(&all), CreationStep::WriteFingerprint(ONE));
    assert_eq!(next_step(&CreationFacts { fingerprint: Some(ONE), ..all }), CreationStep::Done);
}

#[test]
fn a_failed_precondition_stops_before_the_intent_and_not_after_it() {
    let refusal = Refusal::new(Exception::CustomKeyStoreInvalidState, "not connected");
    let refused = CreationFacts { preconditions: Err(refusal.clone()), ..new() };
    assert_eq!(next_step(&refused), CreationStep::Stop(Problem::Refused(refusal.clone())));
    let after = CreationFacts { preconditions: Err(refusal), ..intended() };
    assert_eq!(next_step(&after), next_step(&intended()));
}

#[test]
fn no_new_material_behind_an_old_name_d2() {
    let known = CreationFacts { adoption: Adoption::Material(key_id()), ..new() };
    assert_eq!(next_step(&known), CreationStep::Stop(Problem::MaterialExists(key_id())));
    let silent = CreationFacts { adoption: Adoption::Unknown, ..new() };
    assert_eq!(next_step(&silent), CreationStep::Wait);
}

#[test]
fn one_silent_member_cannot_hide_an_acknowledged_key_and_two_can() {
    let table =
        [(3, 3, Adoption::Nothing), (3, 2, Adoption::Nothing), (3, 1, Adoption::Unknown), (1, 0, Adoption::Unknown)];
    for (members, asked, expected) in table {
        assert_eq!(Adoption::from_answers(members, asked, None), expected, "{asked} of {members}");
    }
    assert_eq!(Adoption::from_answers(3, 1, Some(key_id())), Adoption::Material(key_id()));
}

#[test]
fn material_is_generated_on_the_intents_hsm_and_on_no_other_inv_19() {
    let away = with([HsmRecord::Unknown, HsmRecord::Absent, HsmRecord::Absent]);
    assert_eq!(next_step(&away), CreationStep::Wait);
    let mut gone = away.clone();
    gone.hsms.remove(0);
    assert_eq!(next_step(&gone), CreationStep::Generate { hsm: id(1), op_id: "op".to_owned() });
    let not_seen_yet = CreationFacts { hsms_are_all_known: false, ..gone.clone() };
    assert_eq!(next_step(&not_seen_yet), CreationStep::Wait, "it may be down, and hold the key");
    gone.hsms[1].record = HsmRecord::Unknown;
    assert_eq!(next_step(&gone), CreationStep::Wait);
}

#[test]
fn material_that_another_operation_ordered_is_not_taken_for_ours_inv_23() {
    let other = HsmRecord::Present(KeyRecord { op_id: "another".to_owned(), ..record(ONE) });
    let facts = with([other.clone(), other.clone(), other]);
    assert_eq!(next_step(&facts), CreationStep::Stop(Problem::MaterialExists(key_id())));
    assert_eq!(next_step(&CreationFacts { fingerprint: Some(ONE), ..facts }), CreationStep::Done);
}

#[test]
fn an_intent_for_another_object_never_generates_d2() {
    let mut restored = intended();
    restored.uid = "uid-after-restore".to_owned();
    assert_eq!(next_step(&restored), CreationStep::Stop(Problem::MaterialMissing));
    restored.hsms = hsms([HsmRecord::Absent, HsmRecord::Unknown, HsmRecord::Absent]);
    assert_eq!(next_step(&restored), CreationStep::Wait);
    restored.hsms = hsms([present(ONE), present(ONE), present(ONE)]);
    assert_eq!(next_step(&restored), CreationStep::WriteFingerprint(ONE));
}

#[test]
fn an_adopter_gets_existing_material_and_never_new_inv_13() {
    let adopting = |records| CreationFacts { intent: None, ..with(records) };
    let found = adopting([present(ONE), present(ONE), HsmRecord::Absent]);
    assert_eq!(next_step(&found), CreationStep::Copy { from: id(0), to: vec![id(2)] });
    let none = adopting([HsmRecord::Absent, HsmRecord::Absent, HsmRecord::Absent]);
    assert_eq!(next_step(&none), CreationStep::Stop(Problem::MaterialMissing));
}

#[test]
fn nothing_is_done_for_a_copy_of_another_objects_manifest_d2() {
    let name = "original".to_owned();
    let refusals = [(Original::Present(name.clone()), Problem::IdInUse(name)), (Original::Gone, Problem::OriginalGone)];
    for (original, problem) in refusals {
        let refused = CreationStep::Stop(problem);
        for record in [HsmRecord::Unknown, HsmRecord::Absent, present(ONE), present(TWO)] {
            for (fingerprint, has_finalizer) in [(None, true), (Some(ONE), true), (Some(ONE), false)] {
                let facts = with([record.clone(), record.clone(), present(ONE)]);
                let copy = CreationFacts { original: Some(original.clone()), fingerprint, has_finalizer, ..facts };
                assert_eq!(next_step(&copy), refused, "{record:?} {fingerprint:?} {has_finalizer}");
            }
        }
    }
}

#[test]
fn another_namespaces_key_cannot_be_adopted_and_looks_absent_inv_67() {
    let foreign = HsmRecord::Present(KeyRecord { namespace: "other".to_owned(), ..record(ONE) });
    let facts = CreationFacts { intent: None, ..with([foreign.clone(), foreign.clone(), foreign]) };
    assert_eq!(next_step(&facts), CreationStep::Stop(Problem::MaterialMissing));
}

#[test]
fn after_the_fingerprint_generating_is_unreachable_inv_13() {
    let facts = CreationFacts { fingerprint: Some(ONE), ..intended() };
    assert_eq!(next_step(&facts), CreationStep::Stop(Problem::MaterialMissing));
    let unknown =
        CreationFacts { fingerprint: Some(ONE), ..with([HsmRecord::Unknown, HsmRecord::Absent, HsmRecord::Unknown]) };
    assert_eq!(next_step(&unknown), CreationStep::Done, "silence does not take a key away (CKS-94)");
}

/// D8 asks two zones of a key that is to be acknowledged. One that is, and comes back with its store, is used from one HSM (CKS-94, D5).
#[test]
fn an_acknowledged_key_needs_one_hsm_that_has_it_whatever_the_others_say() {
    let refusal = Refusal::new(Exception::CloudHsmClusterInvalidConfiguration, "one zone");
    let answers = [HsmRecord::Unknown, HsmRecord::Absent, present(ONE)];
    for at in 0..27 {
        let records = [at % 3, at / 3 % 3, at / 9].map(|answer: usize| answers[answer].clone());
        let has = |answer: &HsmRecord| records.contains(answer);
        let (held, lacking, silent) = (has(&present(ONE)), has(&HsmRecord::Absent), has(&HsmRecord::Unknown));
        let preconditions = Err(refusal.clone());
        let facts = CreationFacts { fingerprint: Some(ONE), preconditions, ..with(records.clone()) };
        let step = next_step(&facts);
        match (held, lacking, silent) {
            (true, true, _) => assert!(step.is_repair(&facts), "{records:?}: {step:?}"),
            (true, false, _) | (false, _, true) => assert_eq!(step, CreationStep::Done, "{records:?}"),
            (false, _, false) => assert_eq!(step, CreationStep::Stop(Problem::MaterialMissing), "{records:?}"),
        }
    }
}

#[test]
fn only_the_copy_of_an_acknowledged_key_is_a_repair_inv_01_inv_04() {
    let lacking = with([present(ONE), present(ONE), HsmRecord::Absent]);
    assert!(!next_step(&lacking).is_repair(&lacking), "a new key is acknowledged on every HSM that answers");
    let acknowledged = CreationFacts { fingerprint: Some(ONE), ..lacking };
    assert_eq!(next_step(&acknowledged), CreationStep::Copy { from: id(0), to: vec![id(2)] });
    assert!(next_step(&acknowledged).is_repair(&acknowledged));
    let lost = CreationFacts { fingerprint: Some(ONE), ..intended() };
    for facts in [new(), intended(), with([present(ONE), present(ONE), present(ONE)]), lost] {
        assert!(!next_step(&facts).is_repair(&facts), "{:?}", next_step(&facts));
    }
}

#[test]
fn two_materials_under_one_id_are_a_conflict_inv_06() {
    let conflict = CreationStep::Stop(Problem::Conflict);
    assert_eq!(next_step(&with([present(ONE), present(TWO), HsmRecord::Absent])), conflict);
    let other = CreationFacts { fingerprint: Some(TWO), ..with([present(ONE), HsmRecord::Absent, HsmRecord::Absent]) };
    assert_eq!(next_step(&other), conflict);
    let quarantined = HsmRecord::Present(KeyRecord { conflict: true, ..record(ONE) });
    assert_eq!(next_step(&with([quarantined, present(ONE), present(ONE)])), conflict);
}

#[test]
fn durable_means_two_hsms_in_two_zones_d8() {
    let mut facts = with([present(ONE), present(ONE), HsmRecord::Unknown]);
    assert_eq!(next_step(&facts), CreationStep::WriteFingerprint(ONE));
    facts.hsms[1].zone = facts.hsms[0].zone.clone();
    assert_eq!(next_step(&facts), CreationStep::Wait);
    assert_eq!(next_step(&with([present(ONE), HsmRecord::Unknown, HsmRecord::Unknown])), CreationStep::Wait);
}
