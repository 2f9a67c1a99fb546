//! Two names of one id: it was adopted under another name, and both names are recorded (D2).

use super::*;

/// A kind whose objects say an id, and the one that it stands on, which is there in every case.
const IDENTIFIED: [RecordedKind; 3] = [CloudHsmCluster, CustomKeyStore, KmsKey];

/// The record of an object of this name, created in this year.
fn recorded(kind: RecordedKind, name: &str, year: Option<u16>) -> RecoveryRecord {
    let created = year.map(|year| serde_json::from_value(json!(format!("{year}-01-01T00:00:00Z"))).unwrap());
    let mut record = RecoveryRecord { created, ..record(kind) };
    record.object["metadata"]["name"] = name.into();
    record
}

fn living(kind: RecordedKind, name: &str) -> Object {
    Object { name: name.into(), ..object(kind) }
}

/// Everything but the objects of `kind`, and these of it.
fn with(kind: RecordedKind, objects: Vec<Object>) -> World {
    world(without(kind).objects().cloned().chain(objects).collect())
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Present => "present",
        Verdict::Create => "create",
        Verdict::Adopt(_) => "give id to",
        Verdict::LeftOut(_) => "leave out",
        Verdict::Wait(_) => "wait",
        Verdict::Conflict(_) => "CONFLICT",
    }
}

/// What becomes of each record of `kind`, by name.
fn words(kind: RecordedKind, records: &[RecoveryRecord], world: &World) -> Vec<(String, &'static str)> {
    let plan = plan(records, world, false);
    let steps = plan.steps.iter().filter(|step| step.kind == kind);
    steps.map(|step| (step.record.name().to_owned(), word(&step.verdict))).collect()
}

/// INV-06: whichever was created last had the id last, whatever it is called; where nobody can say, nobody gets it.
#[test]
fn of_two_lost_names_of_one_id_the_one_that_had_it_last_comes_back() {
    let table = [
        (Some(2026), Some(2027), ["CONFLICT", "create"]),
        (Some(2027), Some(2026), ["create", "CONFLICT"]),
        (None, Some(2026), ["CONFLICT", "create"]),
        (Some(2026), None, ["create", "CONFLICT"]),
        (Some(2026), Some(2026), ["CONFLICT", "CONFLICT"]),
        (None, None, ["CONFLICT", "CONFLICT"]),
    ];
    for kind in IDENTIFIED {
        for (one, two, [of_one, of_two]) in table {
            let records = [recorded(kind, "a", one), recorded(kind, "b", two)];
            let seen = words(kind, &records, &with(kind, vec![]));
            assert_eq!(seen, [("a".to_owned(), of_one), ("b".to_owned(), of_two)], "{kind} {one:?} {two:?}");
        }
    }
}

#[test]
fn the_other_name_says_who_had_the_id_last_and_how_to_decide_otherwise() {
    let (old, new) = (recorded(KmsKey, "k", Some(2026)), recorded(KmsKey, "k2", Some(2027)));
    let records = [old, new];
    let lost = with(KmsKey, vec![]);
    let Verdict::Conflict(why) = verdict(&records, &lost, KmsKey) else { panic!("brought back") };
    assert!(why.contains("key-1 was KmsKey k2 last") && why.contains("docs/recovery.md"), "{why}");
}

/// Nothing is lost then, and nothing to decide: a second object of the id would be refused by the controllers.
#[test]
fn an_id_that_lives_under_another_name_is_given_to_no_second_object() {
    for kind in IDENTIFIED {
        let records = [recorded(kind, name(kind), Some(2027))];
        let mut anew = object(kind);
        for field in kind.identity_fields() {
            anew.spec.as_object_mut().unwrap().remove(*field);
        }
        for here in [vec![], vec![anew]] {
            let world = with(kind, [vec![living(kind, "adopted")], here].concat());
            let Verdict::LeftOut(why) = verdict(&records, &world, kind) else { panic!("{kind}") };
            assert!(why.contains("adopted now"), "{why}");
        }
        let going = Object { terminating: true, ..living(kind, "adopted") };
        assert!(matches!(verdict(&records, &with(kind, vec![going]), kind), Verdict::Wait(_)), "{kind}");
    }
}

/// A copy of a manifest says its original's id and was refused: it neither stands for the original nor hides it.
#[test]
fn a_refused_copy_has_no_id() {
    for kind in IDENTIFIED {
        let copy = Object { refused: true, ..living(kind, "z-copy") };
        let records = [record(kind)];
        assert_eq!(verdict(&records, &with(kind, vec![copy.clone()]), kind), Verdict::Create, "{kind}");
        assert_eq!(verdict(&records, &with(kind, vec![object(kind), copy]), kind), Verdict::Present, "{kind}");
    }
}

/// D2: records of older versions do not say which of two names had the id last; that the object of one of them was refused does.
#[test]
fn a_name_whose_object_was_refused_keeps_no_other_from_coming_back() {
    for kind in IDENTIFIED {
        let records = [recorded(kind, "a", None), recorded(kind, "b", None)];
        let copy = Object { refused: true, ..living(kind, "a") };
        let seen = words(kind, &records, &with(kind, vec![copy]));
        assert_eq!(seen, [("a".to_owned(), "present"), ("b".to_owned(), "create")], "{kind}");
    }
}

/// CKS-70: what was removed on purpose stands for nothing, and a name that another id took later is not given to the earlier one.
#[test]
fn only_what_is_to_come_back_keeps_another_name_from_its_id() {
    let removed =
        RecoveryRecord { removed: removed(CustomKeyStore).removed, ..recorded(CustomKeyStore, "a", Some(2027)) };
    let records = [removed, recorded(CustomKeyStore, "b", Some(2026))];
    let seen = words(CustomKeyStore, &records, &with(CustomKeyStore, vec![]));
    assert_eq!(seen, [("a".to_owned(), "leave out"), ("b".to_owned(), "create")]);
    let mut later = recorded(KmsKey, "k", Some(2027));
    later.object["spec"]["keyId"] = "key-9".into();
    let records = [recorded(KmsKey, "k", Some(2026)), later];
    let lost = with(KmsKey, vec![]);
    let plan = plan(&records, &lost, false);
    let seen: Vec<_> = plan.steps.iter().map(|step| (step.record.identity().unwrap(), word(&step.verdict))).collect();
    assert_eq!(seen, [("key-9", "create"), ("key-1", "CONFLICT")]);
}

/// An alias that was recorded for the name that is no more would turn callers to nothing.
#[test]
fn what_refers_to_a_name_whose_id_lives_under_another_is_not_made() {
    let records = [record(KmsKey), record(KmsAlias)];
    let kept = without(KmsAlias).objects().filter(|object| object.kind != KmsKey).cloned().collect::<Vec<_>>();
    let world = world([kept, vec![living(KmsKey, "adopted")]].concat());
    let Verdict::Conflict(why) = verdict(&records, &world, KmsAlias) else { panic!("made") };
    assert!(why.contains("key k"), "{why}");
}

#[test]
fn a_copy_is_known_by_what_the_controllers_say_of_it() {
    let refused = |reason: &str| {
        let accepted = json!({
            "type": "Accepted", "status": "False", "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let object = json!({ "metadata": { "name": "k" }, "spec": {}, "status": { "conditions": [accepted] } });
        crate::recover::seen(KmsKey, serde_json::from_value(object).unwrap()).refused
    };
    assert!(refused("IdInUse"));
    assert!(!refused("MaterialExists"));
    let new = json!({ "metadata": { "name": "k" }, "spec": {} });
    assert!(!crate::recover::seen(KmsKey, serde_json::from_value(new).unwrap()).refused);
}
