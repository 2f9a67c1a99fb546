//! The plan by table, and by random histories of loss.

#[path = "plan_twins_tests.rs"]
mod twins;

use super::*;
use operator_api::RecordedKind::{CloudHsmCluster, CustomKeyStore, KeystoreAccount, KmsAlias, KmsKey};
use proptest::prelude::*;
use serde_json::json;

const NAMESPACE: &str = "team-a";
const KINDS: [RecordedKind; 5] = [KeystoreAccount, CloudHsmCluster, CustomKeyStore, KmsKey, KmsAlias];

fn spec(kind: RecordedKind) -> Value {
    match kind {
        KeystoreAccount => json!({ "namespace": NAMESPACE }),
        CloudHsmCluster => {
            json!({ "availabilityZones": ["a", "b"], "clusterId": "cluster-1", "clusterCertificateFingerprint": "ab" })
        }
        CustomKeyStore => {
            json!({ "cloudHsmClusterRef": { "name": "c" }, "customKeyStoreId": "cks-1", "connection": "CONNECTED" })
        }
        KmsKey => json!({ "customKeyStoreRef": { "name": "s" }, "keyId": "key-1", "materialFingerprint": "cd" }),
        KmsAlias => json!({ "aliasName": "alias/x", "targetKeyRef": { "name": "k" } }),
    }
}

fn name(kind: RecordedKind) -> &'static str {
    match kind {
        KeystoreAccount => "111122223333",
        CloudHsmCluster => "c",
        CustomKeyStore => "s",
        KmsKey => "k",
        KmsAlias => "x",
    }
}

fn record(kind: RecordedKind) -> RecoveryRecord {
    let mut metadata = json!({ "name": name(kind) });
    if kind != KeystoreAccount {
        metadata["namespace"] = NAMESPACE.into();
    }
    let object = json!({ "kind": kind.as_str(), "metadata": metadata, "spec": spec(kind) });
    let cluster_id = (kind == KmsKey).then(|| "cluster-1".to_owned());
    serde_json::from_value(json!({ "uid": format!("old-{kind}"), "clusterId": cluster_id, "object": object })).unwrap()
}

fn records() -> Vec<RecoveryRecord> {
    KINDS.map(record).to_vec()
}

fn removed(kind: RecordedKind) -> RecoveryRecord {
    RecoveryRecord { removed: serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap(), ..record(kind) }
}

fn object(kind: RecordedKind) -> Object {
    Object {
        kind,
        namespace: NAMESPACE.into(),
        name: name(kind).into(),
        uid: format!("old-{kind}"),
        resource_version: "1".into(),
        terminating: false,
        refused: false,
        spec: spec(kind),
    }
}

fn world(objects: Vec<Object>) -> World {
    World::new([(NAMESPACE.to_owned(), false)].into(), objects)
}

fn verdict(records: &[RecoveryRecord], world: &World, kind: RecordedKind) -> Verdict {
    plan(records, world, false).steps.into_iter().find(|step| step.kind == kind).unwrap().verdict
}

fn without(kind: RecordedKind) -> World {
    world(KINDS.into_iter().filter(|other| *other != kind).map(object).collect())
}

#[test]
fn what_is_there_is_left_alone_and_what_is_gone_is_created_each_kind_for_itself() {
    let records = records();
    let all = world(KINDS.map(object).to_vec());
    assert!(plan(&records, &all, false).steps.iter().all(|step| step.verdict == Verdict::Present));
    for kind in KINDS {
        let world = without(kind);
        for step in plan(&records, &world, false).steps {
            assert_eq!(step.verdict, if step.kind == kind { Verdict::Create } else { Verdict::Present }, "{kind}");
        }
    }
}

#[test]
fn a_lost_namespace_comes_back_first_and_then_everything_in_order_of_reference() {
    let (records, empty) = (records(), World::default());
    let plan = plan(&records, &empty, false);
    assert_eq!(plan.namespaces, [NAMESPACE].into());
    assert_eq!(plan.steps.iter().map(|step| step.kind).collect::<Vec<_>>(), KINDS);
    assert!(plan.steps.iter().all(|step| step.verdict == Verdict::Create));
}

/// D2: a manifest that was applied anew gets the recorded identity and keeps the rest.
#[test]
fn an_object_that_was_declared_anew_gets_the_fields_it_lacks_and_no_other() {
    for (kind, lacking) in [
        (CloudHsmCluster, vec!["clusterCertificateFingerprint", "clusterId"]),
        (CustomKeyStore, vec!["customKeyStoreId"]),
        (KmsKey, vec!["keyId", "materialFingerprint"]),
    ] {
        let mut anew = object(kind);
        for field in &lacking {
            anew.spec.as_object_mut().unwrap().remove(*field);
        }
        let Verdict::Adopt(fields) = verdict(&[record(kind)], &world(vec![anew]), kind) else { panic!("{kind}") };
        let mut set: Vec<_> = fields.keys().map(String::as_str).collect();
        set.sort_unstable();
        assert_eq!(set, lacking);
    }
    let mut elsewhere = object(KmsKey);
    elsewhere.spec = json!({ "customKeyStoreRef": { "name": "other" } });
    assert!(matches!(verdict(&[record(KmsKey)], &world(vec![elsewhere]), KmsKey), Verdict::Conflict(_)));
}

/// INV-06, D2: a name that stands for something else keeps it.
#[test]
fn a_name_that_stands_for_another_identity_is_a_conflict_and_nothing_is_overwritten() {
    for kind in [CloudHsmCluster, CustomKeyStore, KmsKey] {
        let mut other = object(kind);
        other.spec[kind.identity_fields()[0]] = "another".into();
        let Verdict::Conflict(why) = verdict(&[record(kind)], &world(vec![other]), kind) else { panic!("{kind}") };
        assert!(why.contains("another"), "{why}");
    }
    let mut account = object(KeystoreAccount);
    account.name = "999988887777".into();
    assert!(matches!(verdict(&records(), &world(vec![account]), KeystoreAccount), Verdict::Conflict(_)));
    let mut twin = record(KmsKey);
    twin.object["spec"]["keyId"] = "key-2".into();
    let all = [records(), vec![twin]].concat();
    let empty = world(vec![]);
    let verdicts: Vec<_> = plan(&all, &empty, false).steps.into_iter().filter(|step| step.kind == KmsKey).collect();
    assert_eq!(verdicts[0].verdict, Verdict::Create);
    assert!(matches!(verdicts[1].verdict, Verdict::Conflict(_)));
}

/// D8: the store of that name may stand on other HSMs by now.
#[test]
fn a_key_does_not_come_back_into_a_store_on_other_hsms() {
    let mut cluster = object(CloudHsmCluster);
    cluster.spec["clusterId"] = "cluster-2".into();
    let world = world(vec![object(KeystoreAccount), cluster, object(CustomKeyStore)]);
    let Verdict::Conflict(why) = verdict(&[record(KmsKey)], &world, KmsKey) else { panic!("created") };
    assert!(why.contains("cluster-1") && why.contains("cluster-2"), "{why}");
    assert!(matches!(verdict(&[record(KmsKey)], &World::default(), KmsKey), Verdict::Conflict(_)), "no store at all");
}

#[test]
fn what_is_being_deleted_is_waited_for_and_so_is_what_stands_on_it() {
    let records = records();
    let mut objects = KINDS.map(object).to_vec();
    objects[2].terminating = true;
    objects.truncate(3);
    let world = world(objects);
    assert!(matches!(verdict(&records, &world, CustomKeyStore), Verdict::Wait(_)));
    assert!(matches!(verdict(&records, &world, KmsKey), Verdict::Wait(_)));
    let going = World::new([(NAMESPACE.to_owned(), true)].into(), vec![]);
    assert!(plan(&records, &going, false).steps.iter().all(|step| matches!(step.verdict, Verdict::Wait(_))));
}

/// CKS-70, KEY-72: an alias whose name another has by now must not turn callers to an old key.
#[test]
fn what_its_owner_removed_stays_away_unless_asked_for_or_needed_by_a_key() {
    let (alias, store) = (removed(KmsAlias), removed(CustomKeyStore));
    let world_without_alias = without(KmsAlias);
    assert!(matches!(verdict(std::slice::from_ref(&alias), &world_without_alias, KmsAlias), Verdict::LeftOut(_)));
    let asked = plan(std::slice::from_ref(&alias), &world_without_alias, true);
    assert_eq!(asked.steps[0].verdict, Verdict::Create);
    let mut taken = object(KmsAlias);
    taken.name = "y".into();
    let world_with_other = world(vec![object(KmsKey), taken]);
    assert!(matches!(verdict(&[record(KmsAlias)], &world_with_other, KmsAlias), Verdict::Conflict(_)));
    let bare = world(vec![object(CloudHsmCluster)]);
    assert!(matches!(verdict(std::slice::from_ref(&store), &bare, CustomKeyStore), Verdict::LeftOut(_)));
    assert_eq!(verdict(&[store, record(KmsKey)], &bare, CustomKeyStore), Verdict::Create);
}

/// The world after a plan was carried out: what an API server would make of it.
fn carried_out(plan: &Plan<'_>, world: &World) -> World {
    let mut objects: Vec<_> = world.objects().cloned().collect();
    for step in &plan.steps {
        match &step.verdict {
            Verdict::Create => objects.push(Object { uid: format!("new-{}", step.kind), ..object(step.kind) }),
            Verdict::Adopt(fields) => {
                let here =
                    objects.iter_mut().find(|object| object.kind == step.kind && object.name == step.record.name());
                let spec = here.unwrap().spec.as_object_mut().unwrap();
                spec.extend(fields.clone());
            }
            Verdict::Present | Verdict::LeftOut(_) | Verdict::Wait(_) | Verdict::Conflict(_) => {}
        }
    }
    let namespaces = plan.namespaces.iter().map(|name| ((*name).to_owned(), false));
    World::new(world.namespaces.clone().into_iter().chain(namespaces).collect(), objects)
}

/// What may have become of one object.
#[derive(Clone, Debug)]
enum Fate {
    There,
    Gone,
    DeclaredAnew,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::There), Just(Fate::Gone), Just(Fate::DeclaredAnew)]
}

proptest! {
    /// Whatever is lost, and in whatever mixture: one run brings everything back under its old identity, the next has nothing to do.
    #[test]
    fn one_run_brings_everything_back_and_a_second_one_finds_nothing_to_do(
        fates in prop::collection::vec(fate(), KINDS.len()), namespace_lost in any::<bool>(), stop_after in 0usize..6
    ) {
        let mut objects = Vec::new();
        for (kind, fate) in KINDS.into_iter().zip(fates) {
            let mut object = object(kind);
            for field in kind.identity_fields() {
                if matches!(fate, Fate::DeclaredAnew) {
                    object.spec.as_object_mut().unwrap().remove(*field);
                }
            }
            if !matches!(fate, Fate::Gone) && (!namespace_lost || kind == KeystoreAccount) {
                objects.push(object);
            }
        }
        let namespaces = if namespace_lost { BTreeMap::new() } else { [(NAMESPACE.to_owned(), false)].into() };
        let before = World::new(namespaces, objects);
        let records = records();
        // A run that dies in the middle, then a whole one.
        let mut cut = plan(&records, &before, false);
        cut.steps.truncate(stop_after);
        let middle = carried_out(&cut, &before);
        let after = carried_out(&plan(&records, &middle, false), &middle);
        let again = plan(&records, &after, false);
        prop_assert!(again.namespaces.is_empty());
        prop_assert!(again.steps.iter().all(|step| step.verdict == Verdict::Present), "{again:?}");
        for kind in KINDS {
            let here: Vec<_> = after.objects().filter(|object| object.kind == kind).collect();
            prop_assert_eq!(here.len(), 1);
            prop_assert_eq!(&here[0].spec, &spec(kind));
        }
    }
}
