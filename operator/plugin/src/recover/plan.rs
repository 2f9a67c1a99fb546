//! From records and what there is now to what is to be done. Pure: the same input gives the same plan, and after it was carried out an empty one.
//!
//! Invariant: no object that exists is changed but by giving it the identity it lacks; no identity is given to two objects; nothing here could
//! make key material, because every key in a plan names material that exists (D2, INV-13).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use operator_api::{RecordedKind, RecoveryRecord};
use serde_json::{Map, Value};

use super::claims::{Claims, created};
use super::live::{Object, World};

/// How a name gets an id that another name has, or had last.
const BY_HAND: &str = "create it from its record by hand (docs/recovery.md, \"Two names of one id\")";

/// What becomes of one record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Its object is there.
    Present,
    /// Its object is gone: create it from the manifest.
    Create,
    /// An object of its name is there without an id: set these fields of `spec`.
    Adopt(Map<String, Value>),
    /// It is not to come back, because of this.
    LeftOut(String),
    /// It can come back later, when this is over.
    Wait(String),
    /// It cannot come back without a decision, because of this.
    Conflict(String),
}

/// One record and its verdict.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step<'a> {
    pub(crate) kind: RecordedKind,
    pub(crate) record: &'a RecoveryRecord,
    pub(crate) verdict: Verdict,
}

impl Step<'_> {
    /// Whether the object is there once the plan is carried out.
    fn will_be(&self) -> bool {
        matches!(self.verdict, Verdict::Present | Verdict::Create | Verdict::Adopt(_))
    }
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan<'a> {
    /// Namespaces to create first.
    pub(crate) namespaces: BTreeSet<&'a str>,
    pub(crate) steps: Vec<Step<'a>>,
}

/// Decides about every record, in the order of kinds: what an object refers to before the object.
pub(crate) fn plan<'a>(records: &'a [RecoveryRecord], world: &'a World, with_removed: bool) -> Plan<'a> {
    let mut sorted: Vec<_> = records.iter().filter_map(|record| Some((record.kind()?, record))).collect();
    // What a name stood for last comes before what it stood for earlier.
    sorted.sort_by_key(|(kind, record)| {
        (*kind, record.namespace(), record.name(), Reverse(created(record)), record.identity())
    });
    let (needed, aliases, claims) = (needed_stores(&sorted), alias_names(world), Claims::of(&sorted));
    let mut judge = Judge { world, with_removed, needed, claims, aliases, done: BTreeMap::new() };
    let mut plan = Plan::default();
    for (kind, record) in sorted {
        let verdict = judge.verdict(kind, record);
        let step = Step { kind, record, verdict };
        if step.will_be() {
            judge.note(kind, record);
        }
        if step.verdict == Verdict::Create && !world.namespaces.contains_key(record.namespace()) {
            plan.namespaces.insert(record.namespace());
        }
        plan.steps.push(step);
    }
    plan
}

/// Stores that a recorded key is in, by namespace and name: key material needs them, whoever removed them.
fn needed_stores<'a>(records: &[(RecordedKind, &'a RecoveryRecord)]) -> BTreeSet<(&'a str, &'a str)> {
    let keys = records.iter().filter(|(kind, _)| *kind == RecordedKind::KmsKey);
    keys.map(|(_, key)| (key.namespace(), reference(&key.object["spec"], "customKeyStoreRef"))).collect()
}

/// Who has which alias name, by namespace and alias name.
fn alias_names(world: &World) -> BTreeMap<(&str, &str), &str> {
    let aliases = world.objects().filter(|object| object.kind == RecordedKind::KmsAlias);
    aliases.map(|alias| ((alias.namespace.as_str(), alias_name(&alias.spec)), alias.name.as_str())).collect()
}

fn alias_name(spec: &Value) -> &str {
    spec["aliasName"].as_str().unwrap_or_default()
}

fn reference<'v>(spec: &'v Value, field: &str) -> &'v str {
    spec[field]["name"].as_str().unwrap_or_default()
}

struct Judge<'a> {
    world: &'a World,
    with_removed: bool,
    needed: BTreeSet<(&'a str, &'a str)>,
    claims: Claims<'a>,
    /// Who has, or will have, an alias name.
    aliases: BTreeMap<(&'a str, &'a str), &'a str>,
    /// What of the records is or will be there, by name.
    done: BTreeMap<(RecordedKind, &'a str, &'a str), &'a RecoveryRecord>,
}

impl<'a> Judge<'a> {
    fn note(&mut self, kind: RecordedKind, record: &'a RecoveryRecord) {
        self.done.insert((kind, record.namespace(), record.name()), record);
        if kind == RecordedKind::KmsAlias {
            self.aliases.insert((record.namespace(), alias_name(&record.object["spec"])), record.name());
        }
    }

    fn verdict(&self, kind: RecordedKind, record: &'a RecoveryRecord) -> Verdict {
        let (namespace, name) = (record.namespace(), record.name());
        let here = self.world.named(kind, namespace, name);
        if let Some(object) = here.filter(|object| object.identity() == record.identity()) {
            return self.there(record, object);
        }
        if let Some(taken) = self.taken(kind, record).filter(|_| here.is_some() || self.stands(kind, record)) {
            return taken;
        }
        if let Some(object) = here {
            return self.there(record, object);
        }
        if self.world.namespaces.get(namespace) == Some(&true) {
            return Verdict::Wait(format!("namespace {namespace} is being deleted: wait until it is gone"));
        }
        if let Some(removed) = record.removed.as_ref().filter(|_| !self.stands(kind, record)) {
            return Verdict::LeftOut(format!("its owner removed it at {}; --removed brings it back", removed.0));
        }
        if let Some(parent) = self.parent_that_goes(kind, record) {
            return Verdict::Wait(format!("{} {} is being deleted: wait until it is gone", parent.kind, parent.name));
        }
        match self.obstacle(kind, record) {
            Some(obstacle) => Verdict::Conflict(obstacle),
            None => Verdict::Create,
        }
    }

    /// Whether the record's object is to be there: its owner did not remove it, or it is wanted all the same.
    fn stands(&self, kind: RecordedKind, record: &RecoveryRecord) -> bool {
        let needed = kind == RecordedKind::CustomKeyStore && self.needed.contains(&(record.namespace(), record.name()));
        record.removed.is_none() || self.with_removed || needed
    }

    /// Whether the record may keep other names from its identity: not if the object of its name was refused, because another had it by then.
    fn is_claim(&self, kind: RecordedKind, record: &RecoveryRecord) -> bool {
        let here = self.world.named(kind, record.namespace(), record.name());
        let refused = here.is_some_and(|object| object.refused && object.identity() == record.identity());
        self.stands(kind, record) && !refused
    }

    /// Who else has the record's identity: an object of another name, or the object of another record, if nothing says that it is the older one.
    fn taken(&self, kind: RecordedKind, record: &RecoveryRecord) -> Option<Verdict> {
        let identity = record.identity()?;
        let there = self.world.with_identity(kind, record.namespace(), identity);
        if let Some(other) = there.filter(|other| other.terminating) {
            return Some(being_deleted(other));
        }
        if let Some(other) = there {
            let name = &other.name;
            return Some(Verdict::LeftOut(format!(
                "{identity} is {kind} {name} now; to have it under this name {BY_HAND}"
            )));
        }
        let other = self.claims.rival(kind, record, |other| self.is_claim(kind, other))?;
        let name = other.name();
        let last = if created(other) > created(record) {
            format!("{identity} was {kind} {name} last, whose record stands for it")
        } else {
            format!("{identity} is recorded for {kind} {name} too, and not which had it last")
        };
        Some(Verdict::Conflict(format!("{last}; to have it under this name {BY_HAND}")))
    }

    /// An object of the record's identity or name exists.
    fn there(&self, record: &RecoveryRecord, object: &Object) -> Verdict {
        let kind = object.kind;
        if object.terminating {
            return being_deleted(object);
        }
        match (object.identity(), record.identity()) {
            (here, recorded) if here == recorded => Verdict::Present,
            (Some(here), Some(_)) => Verdict::Conflict(format!(
                "{kind} {} stands for {here} now; to have both, create a {kind} of another name with the recorded spec",
                object.name
            )),
            (None, Some(_)) => adopt(kind, record, object),
            (_, None) => Verdict::Present,
        }
    }

    /// What the object refers to, if that is being deleted: a key that comes back too early would hold its store in that state for ever.
    fn parent_that_goes(&self, kind: RecordedKind, record: &RecoveryRecord) -> Option<&Object> {
        let (parent, field) = match kind {
            RecordedKind::KeystoreAccount | RecordedKind::CloudHsmCluster => return None,
            RecordedKind::CustomKeyStore => (RecordedKind::CloudHsmCluster, "cloudHsmClusterRef"),
            RecordedKind::KmsKey => (RecordedKind::CustomKeyStore, "customKeyStoreRef"),
            RecordedKind::KmsAlias => (RecordedKind::KmsKey, "targetKeyRef"),
        };
        let object = self.world.named(parent, record.namespace(), reference(&record.object["spec"], field))?;
        object.terminating.then_some(object)
    }

    /// Why a record whose object is gone cannot simply be created.
    fn obstacle(&self, kind: RecordedKind, record: &RecoveryRecord) -> Option<String> {
        let (namespace, name) = (record.namespace(), record.name());
        if let Some(other) = self.done.get(&(kind, namespace, name)) {
            let other = other.identity().unwrap_or_default();
            return Some(format!("{other} was recorded under this name too and takes it: this one needs another name"));
        }
        match kind {
            RecordedKind::KeystoreAccount => self.other_account(record),
            RecordedKind::CloudHsmCluster | RecordedKind::CustomKeyStore => None,
            RecordedKind::KmsKey => self.foreign_store(record),
            RecordedKind::KmsAlias => self.name_taken(record).or_else(|| self.target_missing(record)),
        }
    }

    fn other_account(&self, record: &RecoveryRecord) -> Option<String> {
        let namespace = record.namespace();
        let other = self.world.within(RecordedKind::KeystoreAccount, namespace).next()?;
        Some(format!("namespace {namespace} is account {} now", other.name))
    }

    /// The key's store must stand on the HSMs that hold the key.
    fn foreign_store(&self, record: &RecoveryRecord) -> Option<String> {
        let (namespace, store) = (record.namespace(), reference(&record.object["spec"], "customKeyStoreRef"));
        let Some(spec) = self.spec_of(RecordedKind::CustomKeyStore, namespace, store) else {
            return Some(format!("its store {store} is gone and cannot come back"));
        };
        let cluster = reference(spec, "cloudHsmClusterRef");
        let Some(cluster) = self.spec_of(RecordedKind::CloudHsmCluster, namespace, cluster) else {
            return Some(format!("cluster {cluster} of its store is gone and cannot come back"));
        };
        let (recorded, here) = (record.cluster_id.as_deref()?, cluster["clusterId"].as_str()?);
        (recorded != here).then(|| format!("its material is in {recorded}, and store {store} uses {here} now"))
    }

    fn name_taken(&self, record: &RecoveryRecord) -> Option<String> {
        let name = alias_name(&record.object["spec"]);
        let holder = self.aliases.get(&(record.namespace(), name))?;
        Some(format!("KmsAlias {holder} is {name} now"))
    }

    fn target_missing(&self, record: &RecoveryRecord) -> Option<String> {
        let key = reference(&record.object["spec"], "targetKeyRef");
        let found = self.spec_of(RecordedKind::KmsKey, record.namespace(), key).is_some();
        (!found).then(|| format!("its key {key} is gone and cannot come back"))
    }

    /// The spec of an object as it will be: recorded if it is brought back or adopted, else as it lives.
    fn spec_of(&self, kind: RecordedKind, namespace: &str, name: &str) -> Option<&Value> {
        let planned = self.done.get(&(kind, namespace, name)).map(|record| &record.object["spec"]);
        planned.or_else(|| self.world.named(kind, namespace, name).map(|object| &object.spec))
    }
}

fn being_deleted(object: &Object) -> Verdict {
    let left = "is being deleted: wait until it is gone, or see which finalizer keeps it";
    Verdict::Wait(format!("{} {} {left}", object.kind, object.name))
}

/// An object that was declared anew, without an id, takes the recorded one if it refers to the same things.
fn adopt(kind: RecordedKind, record: &RecoveryRecord, object: &Object) -> Verdict {
    let recorded = &record.object["spec"];
    for field in ["customKeyStoreRef", "cloudHsmClusterRef"] {
        if recorded[field] != object.spec[field] {
            let (old, new) = (reference(recorded, field), reference(&object.spec, field));
            return Verdict::Conflict(format!("it was declared anew with {field} {new}, and was recorded with {old}"));
        }
    }
    let lacking = kind.identity_fields().iter().filter(|field| object.spec[**field].is_null());
    let fields = lacking.filter(|field| !recorded[**field].is_null());
    Verdict::Adopt(fields.map(|field| ((*field).to_owned(), recorded[*field].clone())).collect())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
