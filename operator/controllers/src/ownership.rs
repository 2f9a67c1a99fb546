//! To which of several objects of one kind an id belongs (D2): a manifest that was copied along with its set-once fields says what its original says.
//!
//! The copy must do nothing: whatever is done under an id is done to the HSMs, the claims and the connection of the object that the id belongs to.
//! Nor does it take that object's place when it is gone: it would bring along whatever was changed in it, on a day that nobody chose. To adopt an id is
//! somebody's decision, with a verb of its own that the API server asks for when the object is created.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt, api::ListParams};
use operator_api::{RecordedKind, RecoveryRecord, reason::is_refused_copy};

use crate::{
    context::Context,
    read::ReadError,
    recovery::{self, RecoveryError},
    write::Object,
};

/// A kind whose objects stand for what their id names.
pub trait Identified: Object {
    /// The kind.
    const RECORDED: RecordedKind;

    /// The id, once the object has one.
    fn id(&self) -> Option<&str>;

    /// Whether the controllers have put the object in charge of what the id names: the status shows it, or what else no manifest can say.
    fn is_in_charge(&self) -> bool;

    /// The conditions of its status.
    fn conditions(&self) -> &[Condition];
}

/// Whose the id of an object is that nothing may be done for.
#[derive(Debug)]
pub enum Owner<K> {
    /// This one's.
    Present(K),
    /// That of an object which was there when the copy was refused, and is gone.
    Gone,
}

/// What speaks for an object that says an id; the highest has it. In this order: it was not refused as a copy; it is in charge already; its name
/// is recorded for the id, as after a restore, and for an object that is younger than those of other names, as it is when they lost the id to it; it
/// is the oldest, because a copy is younger than its original.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    stands: bool,
    in_charge: bool,
    /// When the recorded object was created; records of older versions do not say.
    recorded: Option<Option<Timestamp>>,
    /// The uid decides between objects of one second.
    age: Reverse<(Option<Timestamp>, Option<String>)>,
}

impl Right {
    fn of<K: Identified>(object: &K, records: &[RecoveryRecord]) -> Self {
        let standing = records.iter().filter(|record| record.removed.is_none() && record.identity() == object.id());
        Self {
            stands: !is_refused_copy(object.conditions()),
            in_charge: object.is_in_charge(),
            recorded: standing.map(|record| record.created.as_ref().map(|time| time.0)).max(),
            age: Reverse((object.creation_timestamp().map(|time| time.0), object.uid())),
        }
    }
}

/// Whose the id of `object` is, if it is another's. By a quorum list, because irreversible steps follow (INV-71).
///
/// # Errors
/// [`RecoveryError`]; then nothing may be done under the id.
pub async fn owner<K: Identified>(context: &Context, object: &K) -> Result<Option<Owner<K>>, RecoveryError> {
    let Some(id) = object.id() else { return Ok(None) };
    let api = Api::<K>::all(context.client.clone());
    let listed = api.list(&ListParams::default()).await;
    let all = listed.map_err(ReadError::of(format!("the objects of kind {}", K::RECORDED.as_str())))?;
    let mut others = all.items;
    others.retain(|other| other.uid() != object.uid() && other.id() == Some(id));
    owner_among(context, object, others).await
}

/// Whose the id of `object` is, if it is another's; `others` are all others that say it.
///
/// # Errors
/// [`RecoveryError`]; then nothing may be done under the id.
pub async fn owner_among<K: Identified>(
    context: &Context,
    object: &K,
    mut others: Vec<K>,
) -> Result<Option<Owner<K>>, RecoveryError> {
    let refused = |object: &K| is_refused_copy(object.conditions());
    others.retain(|other| !refused(other));
    // Whoever alone is in charge goes on, also while records cannot be read.
    if others.is_empty() || (!refused(object) && object.is_in_charge() && !others.iter().any(K::is_in_charge)) {
        return Ok(among(object, None));
    }
    let (mut highest, mut owner) = (right(context, object).await?, None);
    for other in others {
        let right = right(context, &other).await?;
        if right > highest {
            (highest, owner) = (right, Some(other));
        }
    }
    Ok(among(object, owner))
}

/// `highest` is the one with a higher right than `object`. Without one the id is the object's, unless that was refused before.
fn among<K: Identified>(object: &K, highest: Option<K>) -> Option<Owner<K>> {
    let gone = || is_refused_copy(object.conditions()).then_some(Owner::Gone);
    highest.map(Owner::Present).or_else(gone)
}

async fn right<K: Identified>(context: &Context, object: &K) -> Result<Right, RecoveryError> {
    let namespace = object.namespace().unwrap_or_default();
    let records = recovery::lookup(context, K::RECORDED, &namespace, &object.name_any()).await?;
    Ok(Right::of(object, &records))
}

/// What whoever made the copy reads: whose the id is, as far as its namespace may know (INV-67), and what to do.
#[must_use]
pub fn refusal<K: Identified>(copy: &K, owner: &Owner<K>) -> String {
    let (kind, fields) = (K::RECORDED.as_str(), K::RECORDED.identity_fields());
    let (field, id) = (fields.first().copied().unwrap_or("name"), copy.id().unwrap_or_default());
    let Owner::Present(owner) = owner else {
        return format!(
            "spec.{field} {id} belonged to another {kind}, which is gone; this object was refused as a copy of it and does not take its place by \
             itself. Next: bring that one back with `kubectl keystore recover`; or, to have the id under this name, delete this one (annotate it \
             with keystores.dev/unprotect=true first) and create it again, which needs the verb adopt"
        );
    };
    let whose = if copy.namespace() == owner.namespace() {
        format!("{kind} {}", owner.name_any())
    } else {
        format!("a {kind} of another namespace")
    };
    let without = fields.iter().map(|field| format!("spec.{field}")).collect::<Vec<_>>().join(", ");
    format!(
        "spec.{field} {id} belongs to {whose}, which goes on undisturbed; nothing is done for this object, which seems to be a copy of it. \
         Next: delete this one (annotate it with keystores.dev/unprotect=true first); for something new create it without {without}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Finding, merge};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_api::{CustomKeyStore, CustomKeyStoreSpec, CustomKeyStoreStatus, reason::ID_IN_USE};

    const ID: &str = "cks-1234567890abcdef0";

    fn store(name: &str, second: i64) -> CustomKeyStore {
        let spec = CustomKeyStoreSpec {
            custom_key_store_id: Some(ID.into()),
            trust_anchor_fingerprint: Some("ab".repeat(32)),
            ..CustomKeyStoreSpec::default()
        };
        let mut store = CustomKeyStore::new(name, spec);
        store.metadata.namespace = Some("team-a".into());
        store.metadata.uid = Some(format!("uid-of-{name}"));
        store.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        store
    }

    fn accepted(mut store: CustomKeyStore) -> CustomKeyStore {
        store.status = Some(CustomKeyStoreStatus {
            cloud_hsm_cluster_id: Some("cluster-abcdefghijkabcde".into()),
            trust_anchor_certificate: Some("PEM".into()),
            ..CustomKeyStoreStatus::default()
        });
        store
    }

    fn record(of: &CustomKeyStore) -> RecoveryRecord {
        RecoveryRecord::of(RecordedKind::CustomKeyStore, of)
    }

    /// Whether the first has a right above the second's.
    fn outranks(one: (&CustomKeyStore, &[RecoveryRecord]), two: (&CustomKeyStore, &[RecoveryRecord])) -> bool {
        Right::of(one.0, one.1) > Right::of(two.0, two.1)
    }

    /// D2: in each case the original is the first, the copy the second.
    #[test]
    fn a_copy_never_has_the_id_of_its_original() {
        let (original, copy) = (store("original", 10), store("a-copy", 20));
        let records = [record(&original)];
        assert!(outranks((&original, &[]), (&copy, &[])), "before either was looked at");
        assert!(outranks((&accepted(original.clone()), &records), (&copy, &[])), "in use");
        assert!(outranks((&accepted(original), &records), (&accepted(copy.clone()), &[])), "it came with a status");
        let restored = store("original", 30);
        assert!(outranks((&restored, &records), (&copy, &[])), "restored after the copy, without its status");
    }

    #[test]
    fn of_two_objects_of_one_second_exactly_one_has_the_id() {
        let (one, two) = (store("a", 10), store("b", 10));
        assert_ne!(outranks((&one, &[]), (&two, &[])), outranks((&two, &[]), (&one, &[])));
    }

    /// D2: an id was adopted under another name, and the manifest of its first one is applied again; or both names are restored.
    #[test]
    fn of_two_recorded_names_the_one_in_service_has_the_id_and_else_the_one_that_had_it_last() {
        let (first, later) = (store("first", 10), store("later", 20));
        let (of_first, of_later) = ([record(&first)], [record(&later)]);
        let again = store("first", 30);
        assert!(outranks((&accepted(later.clone()), &of_later), (&again, &of_first)), "it goes on");
        assert!(outranks((&later, &of_later), (&again, &of_first)), "both came back without a status");
        assert!(outranks((&accepted(again), &of_first), (&later, &of_later)), "whoever is in service stays so");
        let undated = RecoveryRecord { created: None, ..record(&first) };
        assert!(outranks((&later, &of_later), (&first, &[undated])), "a record of an older version");
    }

    /// INV-41: what was removed on purpose, and what stands for another id, speaks for nobody.
    #[test]
    fn only_a_standing_record_of_this_very_id_speaks_for_a_name() {
        let (older, younger) = (store("older", 10), store("younger", 20));
        let removed = RecoveryRecord { removed: Some(Time(Timestamp::UNIX_EPOCH)), ..record(&younger) };
        let mut other = younger.clone();
        other.spec.custom_key_store_id = Some("cks-22222222222222222".into());
        for useless in [removed, record(&other)] {
            assert!(outranks((&older, &[]), (&younger, &[useless])));
        }
        assert!(outranks((&younger, &[record(&younger)]), (&older, &[])));
    }

    fn refused(mut store: CustomKeyStore) -> CustomKeyStore {
        let finding = Finding::new("Accepted", false, ID_IN_USE, "");
        let mut status = store.status.take().unwrap_or_default();
        status.conditions = merge(&[], vec![finding], None, Timestamp::UNIX_EPOCH);
        CustomKeyStore { status: Some(status), ..store }
    }

    /// D2: neither in its own right nor in anybody's way.
    #[test]
    fn a_copy_that_was_refused_has_the_id_only_when_it_is_created_again() {
        let (copy, other) = (store("a-copy", 10), store("other", 20));
        for refused in [refused(copy.clone()), refused(accepted(copy.clone()))] {
            assert!(outranks((&other, &[]), (&refused, &[record(&copy)])), "whatever else speaks for the copy");
            assert!(matches!(among(&refused, Some(other.clone())), Some(Owner::Present(_))));
            assert!(matches!(among(&refused, None), Some(Owner::Gone)), "its original is gone");
        }
        assert!(among(&copy, None).is_none(), "created again, or never refused");
        let told = refusal(&copy, &Owner::Gone);
        for part in [ID, "is gone", "keystore recover", "unprotect", "adopt"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    /// INV-67.
    #[test]
    fn a_copy_is_told_whose_the_id_is_within_its_namespace_only_and_what_to_do() {
        let (owner, mut copy) = (store("original", 10), store("a-copy", 20));
        let owner = Owner::Present(owner);
        let told = refusal(&copy, &owner);
        for part in [ID, "CustomKeyStore original", "unprotect", "without spec.customKeyStoreId, spec.trustAnchor"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        copy.metadata.namespace = Some("team-b".into());
        let told = refusal(&copy, &owner);
        assert!(!told.contains("original") && !told.contains("team-a") && told.contains(ID), "{told}");
    }
}
