//! Whose a key id is when several objects say it: a copied manifest says what its original says, and a key that was adopted under another name is
//! still said by the manifest of its first one (D2). Two owners of one key would undo each other's states.
//!
//! Whoever is in service stays so. There may be a hundred thousand keys, so not every one is compared with all others: the watch notes which ids are
//! said by more than one name, and only of those the objects are read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use hsm_client::command::KeyRecord;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt};
use operator_api::{KmsKey, RecordedKind};
use operator_domain::key::creation::Original;

use super::{error::KeyError, wake::HASHER};
use crate::{
    context::Context,
    ownership::{self, Identified, Owner},
    read::ReadError,
};

impl Identified for KmsKey {
    const RECORDED: RecordedKind = RecordedKind::KmsKey;

    fn id(&self) -> Option<&str> {
        self.spec.key_id.as_deref()
    }

    /// It has shown its ARN, or the material was ordered for this very object. No manifest knows its object's uid.
    fn is_in_charge(&self) -> bool {
        let ordered = self.spec.material_intent.as_ref().is_some_and(|intent| self.uid().as_ref() == Some(&intent.uid));
        ordered || self.status.as_ref().is_some_and(|status| status.arn.is_some())
    }

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }
}

/// Whose the key id is, if it is another object's. A key that is in charge goes on without being asked: it was in use
/// before the other came, or before anybody looked for copies.
pub(super) async fn original(
    context: &Context,
    key: &KmsKey,
    records: &[KeyRecord],
) -> Result<Option<Original>, KeyError> {
    if key.spec.key_id.is_none() || key.is_in_charge() {
        return Ok(None);
    }
    let others = others(context, key, records).await?;
    Ok(ownership::owner_among(context, key, others).await?.map(|owner| match owner {
        Owner::Present(owner) => Original::Present(owner.name_any()),
        Owner::Gone => Original::Gone,
    }))
}

/// The other objects of the key id, by quorum reads (INV-71): those that the watch has shown, and the one for whose name the HSMs made the material.
async fn others(context: &Context, key: &KmsKey, records: &[KeyRecord]) -> Result<Vec<KmsKey>, KeyError> {
    let namespace = key.namespace().unwrap_or_default();
    let mut names: BTreeSet<String> = other_name(key, records).map(str::to_owned).into_iter().collect();
    if context.key_ids.note(key) {
        let says_it = |other: &KmsKey| other.id() == key.id() && other.name_any() != key.name_any();
        names.extend(context.keys.references(&namespace, says_it).into_iter().map(|reference| reference.name));
    }
    let api = Api::<KmsKey>::namespaced(context.client.clone(), &namespace);
    let mut others = Vec::new();
    for name in names {
        let read = api.get_opt(&name).await.map_err(ReadError::of("another KmsKey of the key id"))?;
        others.extend(read.filter(|read| read.id() == key.id()));
    }
    Ok(others)
}

/// The name for which the HSMs made the material, if it is not this object's.
fn other_name<'a>(key: &KmsKey, records: &'a [KeyRecord]) -> Option<&'a str> {
    let name = key.name_any();
    records.iter().map(|record| record.name.as_str()).find(|recorded| *recorded != name)
}

/// Which key ids more than one name of a namespace has said; clones share it. Forgets nothing: a name that is gone costs a look at the cache.
#[derive(Clone, Debug, Default)]
pub struct KeyIds(Arc<Mutex<Seen>>);

/// Hashes, because there is one for every key; two that are equal by chance cost a look at the cache too.
#[derive(Debug, Default)]
struct Seen {
    /// By namespace and key id: the first name that said it.
    first: HashMap<u64, u64>,
    /// The ids that another name has said too.
    contested: HashSet<u64>,
}

impl KeyIds {
    /// Notes the id that an object says; whether another name has said it too.
    pub(super) fn note(&self, key: &KmsKey) -> bool {
        let Some(id) = &key.spec.key_id else { return false };
        let (id, name) = (HASHER.hash_one((key.namespace(), id)), HASHER.hash_one(key.name_any()));
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *seen.first.entry(id).or_insert(name);
        if first != name {
            seen.contested.insert(id);
        }
        seen.contested.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::tests::record;
    use super::*;
    use operator_api::{
        KmsKeySpec, KmsKeyStatus,
        kms_key::{KeyState, MaterialIntent},
    };

    fn key(namespace: &str, name: &str, id: Option<&str>) -> KmsKey {
        let mut key = KmsKey::new(name, KmsKeySpec { key_id: id.map(str::to_owned), ..KmsKeySpec::default() });
        key.metadata.namespace = Some(namespace.into());
        key.metadata.uid = Some(format!("uid-of-{name}"));
        key
    }

    /// D2.
    #[test]
    fn material_that_was_made_for_another_name_says_which_object_may_be_the_original() {
        let records = [record()];
        assert_eq!(other_name(&key("team-a", "k", None), &records), None);
        assert_eq!(other_name(&key("team-a", "a-copy", None), &records), Some("k"));
        assert_eq!(other_name(&key("team-a", "a-copy", None), &[]), None, "no HSM has said anything");
    }

    /// D2: the order in which a watch lists them does not matter, and one of the two always sees the other.
    #[test]
    fn an_id_is_contested_once_two_names_of_a_namespace_have_said_it() {
        let ids = KeyIds::default();
        assert!(!ids.note(&key("team-a", "k", Some("id-1"))));
        assert!(!ids.note(&key("team-a", "k", Some("id-1"))), "seen again");
        assert!(!ids.note(&key("team-a", "other", Some("id-2"))));
        assert!(!ids.note(&key("team-b", "k2", Some("id-1"))), "another namespace");
        assert!(!ids.note(&key("team-a", "new", None)) && !ids.note(&key("team-a", "newer", None)));
        assert!(ids.clone().note(&key("team-a", "k2", Some("id-1"))));
        assert!(ids.note(&key("team-a", "k", Some("id-1"))), "the first is told as well");
        assert!(!ids.note(&key("team-a", "other", Some("id-2"))));
    }

    /// D2: what a manifest can say puts nobody in charge.
    #[test]
    fn a_key_is_in_charge_from_its_own_intent_or_its_arn_on() {
        let mut copy = key("team-a", "k", Some("id-1"));
        copy.spec.material_fingerprint = Some("ab".repeat(32));
        copy.spec.material_intent = Some(MaterialIntent { uid: "uid-of-another".into(), ..MaterialIntent::default() });
        copy.status = Some(KmsKeyStatus { key_state: Some(KeyState::Unavailable), ..KmsKeyStatus::default() });
        assert!(!copy.is_in_charge());
        let mut shown = copy.clone();
        shown.status = Some(KmsKeyStatus { arn: Some("arn".into()), ..KmsKeyStatus::default() });
        let mut ordered = copy;
        ordered.spec.material_intent = Some(MaterialIntent { uid: "uid-of-k".into(), ..MaterialIntent::default() });
        assert!(shown.is_in_charge() && ordered.is_in_charge());
    }
}
